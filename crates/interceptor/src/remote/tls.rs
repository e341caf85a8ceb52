//! TLS to Gatekey: which authorities to trust, and a client certificate of the service's own. Files are read again when
//! they change, so that they can be rotated.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint as Transport, Identity};

/// How `https` endpoints are spoken to. Without it, by the system's authorities and without a client certificate.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Tls {
    authorities: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    server_name: Option<String>,
}

/// What the files held when they were read.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Material {
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

/// A file that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    cause: std::io::Error,
}

impl Tls {
    /// By the system's authorities and without a client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities, in PEM, and not the system's.
    pub fn authorities(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities = Some(file.into());
        self
    }

    /// Proves the service by a client certificate (a chain) and its key, both in PEM.
    pub fn client_certificate(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((chain.into(), key.into()));
        self
    }

    /// Expects a certificate for this name, if it is not the endpoint's.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(crate) const fn proves_itself(&self) -> bool {
        self.identity.is_some()
    }

    pub(super) fn read(&self) -> Result<Material, Unreadable> {
        let identity = self.identity.as_ref().map(|(chain, key)| Ok((file(chain)?, file(key)?)));
        Ok(Material {
            authorities: self.authorities.as_deref().map(file).transpose()?,
            identity: identity.transpose()?,
            server_name: self.server_name.clone(),
        })
    }

    /// Whether all files are there and go together.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.read().map_err(|problem| problem.to_string())?.check()
    }
}

/// The files as they are followed.
pub(super) struct Followed {
    tls: Option<Tls>,
    /// What was read last and can't be used: it is told once, and not tried again.
    rejected: Mutex<Option<Material>>,
}

impl Followed {
    pub(super) fn new(tls: Option<Tls>) -> Self {
        Self { tls, rejected: Mutex::new(None) }
    }

    /// What connections are to be made with: what the files hold, or what they held before if that can't be used, as in the middle
    /// of a rotation. Without either, what is wrong.
    pub(super) fn material(
        &self,
        before: Option<Arc<Material>>,
        tell: impl FnOnce(&str),
    ) -> Result<Option<Arc<Material>>, String> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let read = tls.read().map_err(|problem| (problem.to_string(), None));
        let usable = read.and_then(|material| match material.check() {
            Ok(()) => Ok(material),
            Err(problem) => Err((problem, Some(material))),
        });
        let (outcome, rejected) = match usable {
            Ok(material) => (Ok(Some(Arc::new(material))), None),
            Err((problem, rejected)) => match before {
                Some(before) => {
                    tell(&problem);
                    (Ok(Some(before)), rejected)
                }
                None => (Err(problem), rejected),
            },
        };
        *self.rejected.lock().expect("nothing under this lock panics") = rejected;
        outcome
    }

    /// Whether the files hold something else than this that was not rejected.
    pub(super) fn have_changed(&self, material: Option<&Material>) -> bool {
        // What can't be read now is told when it is needed.
        let read = self.tls.as_ref().and_then(|tls| tls.read().ok());
        read.is_some_and(|new| {
            let rejected = self.rejected.lock().expect("nothing under this lock panics");
            material != Some(&new) && rejected.as_ref() != Some(&new)
        })
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Unreadable> {
    std::fs::read(path).map_err(|cause| Unreadable { path: path.to_owned(), cause })
}

impl Material {
    /// Whether connections can be made with it.
    fn check(&self) -> Result<(), String> {
        let told = |cause: &dyn fmt::Display| format!("the files of TLS can't be used: {cause}");
        if let Some(authorities) = &self.authorities {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(authorities).collect();
            if certificates.map_err(|cause| told(&cause))?.is_empty() {
                return Err(told(&"there is no authority among them"));
            }
        }
        // The key of another certificate shows here.
        let transport = Transport::from_static("https://localhost").tls_config(self.client("localhost"));
        transport.map(drop).map_err(|cause| told(&super::target::innermost(&cause)))
    }

    pub(super) fn client(&self, host: &str) -> ClientTlsConfig {
        let config = ClientTlsConfig::new().domain_name(self.server_name.as_deref().unwrap_or(host));
        let config = match &self.authorities {
            Some(authorities) => config.ca_certificate(Certificate::from_pem(authorities)),
            None => config.with_native_roots(),
        };
        match &self.identity {
            Some((chain, key)) => config.identity(Identity::from_pem(chain, key)),
            None => config,
        }
    }
}

/// Nothing of the key.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}
