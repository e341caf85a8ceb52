//! The key with which a server in development mode signs its callers' JWTs. It lies in the data
//! folder, so that JWTs outlive a restart and servers on one machine may share it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatekey_api::{IssuerSettings, JwksAccess, JwksSource};
use gatekey_core::Role;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

/// Its name in the data folder.
pub(crate) const FILE: &str = "dev-signing-key.pk8";
const ISSUER: &str = "gatekey-development";
const AUDIENCE: &str = "gatekey";

/// The signing key of development mode.
pub(crate) struct DevKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

/// Whom a JWT is for.
pub(crate) struct DevCaller<'a> {
    pub(crate) subject: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) roles: &'a [Role],
    /// In seconds.
    pub(crate) ttl: u32,
}

impl DevKey {
    /// Reads the key of this folder; makes the folder and the key where there is none.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        create_private_dir(folder)?;
        let path = folder.join(FILE);
        if !path.exists() {
            let random = aws_lc_rs::rand::SystemRandom::new();
            let made = Ed25519KeyPair::generate_pkcs8(&random).map_err(io::Error::other)?;
            publish(folder, &path, made.as_ref())?;
        }
        Self::existing(folder)
    }

    /// Reads the key of this folder, which a server has made.
    pub(crate) fn existing(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let pkcs8 = fs::read(&path)?;
        // Whoever reads it can be any caller of this server.
        if fs::metadata(&path)?.permissions().mode() & 0o077 != 0 {
            let problem = format!("{} can be read by others: chmod 600 it", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
        }
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|cause| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {cause}", path.display()))
        })?;
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { pkcs8, public })
    }

    /// The issuer that this key stands for. A role claim may make a verifier here, and only here.
    pub(crate) fn issuer(&self) -> IssuerSettings {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": self.id(), "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(&self.public) });
        IssuerSettings {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks: JwksSource::Inline(json!({ "keys": [jwk] }).to_string()),
            jwks_access: JwksAccess::default(),
            roles_pointer: "/roles".to_owned(),
            tenant_pointer: "/tenant".to_owned(),
            verifier_subjects: Vec::new(),
            verifier_by_claim: true,
        }
    }

    /// Signs a JWT.
    pub(crate) fn sign(&self, caller: &DevCaller<'_>) -> Result<String, jsonwebtoken::errors::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let roles: Vec<&str> = caller.roles.iter().map(|role| role.as_str()).collect();
        let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": caller.subject, "roles": roles,
            "iat": now, "exp": now + u64::from(caller.ttl) });
        if let Some(tenant) = caller.tenant {
            claims["tenant"] = tenant.into();
        }
        let header = Header { kid: Some(self.id()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &EncodingKey::from_ed_der(&self.pkcs8))
    }

    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.public[..9])
    }
}

/// Makes a folder that only its owner can read, and those above it.
pub(crate) fn create_private_dir(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Puts a whole file in place, or leaves the one that another process put there first.
fn publish(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = folder.join(format!("{FILE}.{:016x}", getrandom::u64().map_err(io::Error::other)?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    let linked = match fs::hard_link(&draft, path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&draft)?;
    linked?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        DevKey::in_folder(folder.path()).expect("a key");
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.path().join(FILE), open).expect("it is ours");
        let refused = DevKey::in_folder(folder.path()).err().expect("refused");
        assert!(refused.to_string().contains("chmod 600"));
    }

    #[test]
    fn a_folder_has_one_key_however_many_start_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("new/data");
        let publics: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| DevKey::in_folder(&data).expect("a key").public)).collect();
            starts.into_iter().map(|start| start.join().expect("no panic")).collect()
        });
        assert!(publics.windows(2).all(|pair| pair[0] == pair[1]));
        let mode = fs::metadata(data.join(FILE)).expect("the key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).expect("the folder").count(), 1, "no drafts are left");
    }
}
