//! TLS to Gatekey: which authorities to trust, and a client certificate of the service's own. Files are read again when
//! they change, so that they can be rotated.

use std::fmt;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

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
pub(crate) struct Unreadable {
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

    /// Whether all files are there.
    pub(crate) fn check(&self) -> Result<(), Unreadable> {
        self.read().map(drop)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Unreadable> {
    std::fs::read(path).map_err(|cause| Unreadable { path: path.to_owned(), cause })
}

impl Material {
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
