//! The files of TLS: read, parsed, and held against each other. When they are read again is decided elsewhere.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatekey_model::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

/// Which files there are, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and an authority that clients know.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of clients; without it no client is asked for a certificate.
    pub client_authorities: Option<PathBuf>,
}

/// What is wrong with one of the files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {}: {cause}", path.display())]
pub struct TlsProblem {
    /// The flag that names the file.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong, for people.
    pub cause: String,
}

/// What good files hold.
#[derive(Clone)]
pub struct TlsMaterial {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) authorities: Option<Arc<RootCertStore>>,
    pub(super) serial: String,
    /// From when on the server's own certificate is valid.
    pub(super) begins: Timestamp,
    /// When the first of the chain's certificates expires.
    pub(super) expires: Timestamp,
    pub(super) fingerprint: Fingerprint,
}

/// The files as they were read: what is the same need not be parsed again.
pub(super) struct Read {
    certificate: Result<Vec<u8>, TlsProblem>,
    key: Result<Zeroizing<Vec<u8>>, TlsProblem>,
    client_authorities: Option<Result<Vec<u8>, TlsProblem>>,
}

/// Tells contents apart without keeping a key. What can't be read is nothing.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    certificate: Option<[u8; 32]>,
    key: Option<[u8; 32]>,
    pub(super) client_authorities: Option<[u8; 32]>,
}

const CERTIFICATE: &str = "--tls-cert-file";
const KEY: &str = "--tls-key-file";
const CLIENT_AUTHORITIES: &str = "--tls-client-ca-file";

impl TlsFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// All that is wrong with them: one that can't be read or has nothing of use in it, or a key of another certificate.
    pub fn load(&self) -> Result<TlsMaterial, Vec<TlsProblem>> {
        self.read().parse(self)
    }

    /// Something is wrong with the certificate that shows only when it is put to use.
    pub(super) fn problem(&self, cause: &rustls::Error) -> TlsProblem {
        problem(CERTIFICATE, &self.certificate, cause)
    }

    pub(super) fn read(&self) -> Read {
        Read {
            certificate: read(CERTIFICATE, &self.certificate),
            key: read(KEY, &self.key).map(Zeroizing::new),
            client_authorities: self.client_authorities.as_deref().map(|path| read(CLIENT_AUTHORITIES, path)),
        }
    }
}

fn problem(flag: &'static str, path: &Path, cause: impl fmt::Display) -> TlsProblem {
    TlsProblem { flag, path: path.to_owned(), cause: cause.to_string() }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsProblem> {
    std::fs::read(path).map_err(|cause| problem(flag, path, cause))
}

impl Read {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let of = |bytes: &[u8]| Some(Sha256::digest(bytes).into());
        Fingerprint {
            certificate: self.certificate.as_deref().ok().and_then(of),
            key: self.key.as_ref().ok().and_then(|key| of(key)),
            client_authorities: self.client_authorities.as_ref().and_then(|read| of(read.as_deref().ok()?)),
        }
    }

    pub(super) fn parse(self, files: &TlsFiles) -> Result<TlsMaterial, Vec<TlsProblem>> {
        let fingerprint = self.fingerprint();
        let mut problems = Vec::new();
        let mut tell = |problem| problems.push(problem);
        let chain = self.certificate.and_then(|pem| chain(&files.certificate, &pem)).map_err(&mut tell).ok();
        let key = self.key.and_then(|pem| key(&files.key, &pem)).map_err(&mut tell).ok();
        let authorities = files.client_authorities.as_deref().zip(self.client_authorities);
        let authorities =
            authorities.map(|(path, read)| read.and_then(|pem| roots(path, &pem)).map_err(&mut tell));
        let told = chain.as_ref().map(|chain| about(&files.certificate, chain).map_err(&mut tell));
        let certified = chain.zip(key).map(|(chain, key)| {
            CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|cause| {
                let cause = match cause {
                    rustls::Error::InconsistentKeys(_) => {
                        format!("it is not the key of the certificate in {}", files.certificate.display())
                    }
                    cause => cause.to_string(),
                };
                tell(problem(KEY, &files.key, cause));
            })
        });
        match (certified, told, authorities.transpose()) {
            (Some(Ok(certified)), Some(Ok(about)), Ok(authorities)) => {
                let About { serial, begins, expires } = about;
                let certified = Arc::new(certified);
                Ok(TlsMaterial { certified, authorities, serial, begins, expires, fingerprint })
            }
            _ => Err(problems),
        }
    }
}

fn certificates(
    flag: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates =
        certificates.map_err(|cause| problem(flag, path, format!("it is no good PEM: {cause}")))?;
    if certificates.is_empty() {
        return Err(problem(flag, path, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    certificates(CERTIFICATE, path, pem)
}

fn key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|cause| {
        let cause = match cause {
            pem::Error::NoItemsFound => "there is no private key in it that is not encrypted".to_owned(),
            // Nothing of what it holds.
            _ => "it is no good PEM".to_owned(),
        };
        problem(KEY, path, cause)
    })
}

fn roots(path: &Path, pem: &[u8]) -> Result<Arc<RootCertStore>, TlsProblem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_AUTHORITIES, path, pem)? {
        roots.add(certificate).map_err(|cause| problem(CLIENT_AUTHORITIES, path, cause))?;
    }
    Ok(Arc::new(roots))
}

/// What people want to know of a chain.
struct About {
    serial: String,
    begins: Timestamp,
    expires: Timestamp,
}

fn about(path: &Path, chain: &[CertificateDer<'_>]) -> Result<About, TlsProblem> {
    let mut about = About { serial: String::new(), begins: Timestamp::MAX, expires: Timestamp::MAX };
    for (number, certificate) in chain.iter().enumerate() {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| problem(CERTIFICATE, path, "a certificate in it can't be read"))?;
        if number == 0 {
            about.serial = parsed.raw_serial_as_string();
            about.begins = super::begin(&parsed);
        }
        about.expires = about.expires.min(super::end(&parsed));
    }
    Ok(about)
}

/// Nothing of the key.
impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMaterial").field("serial", &self.serial).finish_non_exhaustive()
    }
}
