//! An authority of certificates that the tests own: for servers, for clients with SPIFFE IDs, and for what must be refused.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

/// Signs certificates with a key of its own.
pub struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct Leaf {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl TestAuthority {
    /// One with a new key.
    ///
    /// # Panics
    /// If the operating system gives no random numbers.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        // Two authorities are two names.
        params.distinguished_name.push(DnType::CommonName, format!("authority {:x}", fastrand::u64(..)));
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For `localhost` and 127.0.0.1.
    #[must_use]
    pub fn server(&self) -> Leaf {
        self.server_for(&["localhost", "127.0.0.1"], Duration::hours(1))
    }

    /// For these names, until so long from now.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn server_for(&self, names: &[&str], life: Duration) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).expect("names"), life)
    }

    /// For a client with these URIs for names.
    #[must_use]
    pub fn client(&self, uris: &[&str]) -> Leaf {
        self.client_for(uris, Duration::hours(1))
    }

    /// The same, until so long from now.
    ///
    /// # Panics
    /// If a URI is not ASCII.
    #[must_use]
    pub fn client_for(&self, uris: &[&str], life: Duration) -> Leaf {
        self.sign(named(uris, ExtendedKeyUsagePurpose::ClientAuth), life)
    }

    /// With these URIs, but for servers only.
    #[must_use]
    pub fn client_of_the_wrong_kind(&self, uris: &[&str]) -> Leaf {
        self.sign(named(uris, ExtendedKeyUsagePurpose::ServerAuth), Duration::hours(1))
    }

    fn sign(&self, mut params: CertificateParams, life: Duration) -> Leaf {
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::days(1);
        params.not_after = now + life;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Leaf { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

fn named(uris: &[&str], usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::new([]).expect("no names");
    params.subject_alt_names =
        uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII"))).collect();
    params.extended_key_usages = vec![usage];
    params
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl Leaf {
    /// Writes it to `NAME.crt` and `NAME.key` in this folder, each in one step, as a good rotation does.
    ///
    /// # Panics
    /// If the folder can't be written to.
    pub fn write(&self, folder: &Path, name: &str) {
        for (ending, text) in [("crt", &self.chain), ("key", &self.key)] {
            replace(&folder.join(format!("{name}.{ending}")), text);
        }
    }
}

/// Whoever reads the file finds all of the old text or all of the new.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("the folder is writable");
    std::fs::rename(&new, path).expect("in one folder");
}
