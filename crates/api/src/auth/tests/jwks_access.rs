//! Keys whose host is known by an authority of its own, and that shows them only to whoever proves itself: as the API server of
//! a Kubernetes cluster does.

use std::path::PathBuf;
use std::sync::Arc;

use gatekey_core::SystemClock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::fixture::{Fixture, KEY_ID, claims, jwt, pass, set_of, settings};
use super::log::Log;
use super::signing_key::SigningKey;
use crate::auth::jwks::MIN_INTERVAL;
use crate::auth::{Authenticator, IssuerSettings, JwksAccess, JwksSource};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }
}

/// Serves a set over TLS to whoever brings the token. Ends with the test's runtime.
async fn api_server(authority: &Authority, token: &'static str, set: Value) -> String {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority.0).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("they fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not know the authority goes away here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.expect("a request"));
            }
            let asked = String::from_utf8(asked).expect("text").to_ascii_lowercase();
            let proved = asked.contains(&format!("\r\nauthorization: bearer {token}\r\n"));
            let (status, body) =
                if proved { ("200 OK", set.to_string()) } else { ("401 Unauthorized", String::new()) };
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.expect("it listens");
            stream.shutdown().await.ok();
        }
    });
    format!("https://localhost:{port}/openid/v1/jwks")
}

struct Files(TempDir);

impl Files {
    fn new(authority: &str, token: &str) -> Self {
        let files = Self(TempDir::new().expect("a folder"));
        files.write("ca.crt", authority);
        files.write("token", token);
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn access(&self) -> JwksAccess {
        JwksAccess { ca_file: Some(self.path("ca.crt")), bearer_file: Some(self.path("token")) }
    }
}

fn issuer(url: &str, jwks_access: JwksAccess) -> IssuerSettings {
    IssuerSettings { jwks_access, ..settings(JwksSource::Url(url.parse().expect("a URL"))) }
}

#[tokio::test]
async fn keys_come_from_who_is_known_by_the_authority_to_who_brings_the_token() {
    let (log, _guard) = Log::start();
    let (key, authority) = (SigningKey::ed25519(), Authority::new());
    let url = api_server(&authority, "hunter2", set_of(&[key.jwk(KEY_ID)])).await;
    let files = Files::new(&authority.0.pem(), "hunter2\n");
    let fixture = Fixture::of(vec![issuer(&url, files.access())]).await;
    fixture.accepted(&jwt(&key, &claims())).await;

    let without = [
        JwksAccess { ca_file: None, ..files.access() },
        JwksAccess { bearer_file: None, ..files.access() },
        JwksAccess::default(),
    ];
    for access in without {
        let fixture = Fixture::of(vec![issuer(&url, access.clone())]).await;
        fixture.cannot_tell(&jwt(&key, &claims())).await;
    }
    let log = log.of("gatekey_api");
    assert!(log.contains("answered 401") && !log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn both_files_may_be_exchanged_while_it_runs() {
    let (key, authority) = (SigningKey::ed25519(), Authority::new());
    let url = api_server(&authority, "second", set_of(&[key.jwk(KEY_ID)])).await;
    let files = Files::new(&Authority::new().0.pem(), "first");
    let fixture = Fixture::of(vec![issuer(&url, files.access())]).await;
    let token = jwt(&key, &claims());
    fixture.cannot_tell(&token).await;
    files.write("ca.crt", &authority.0.pem());
    pass(MIN_INTERVAL).await;
    fixture.cannot_tell(&token).await;
    files.write("token", "second");
    pass(MIN_INTERVAL).await;
    fixture.accepted(&token).await;
}

#[tokio::test]
async fn files_that_are_none_end_the_start_and_are_named() {
    let url = "https://localhost:1/jwks";
    for (name, text, why) in [
        ("ca.crt", "no certificate", "ca.crt"),
        ("token", "", "holds no bearer token"),
        ("token", "hunter2\nhunter2", "holds no bearer token"),
    ] {
        let files = Files::new(&Authority::new().0.pem(), "token");
        files.write(name, text);
        let error = Authenticator::new(vec![issuer(url, files.access())], Arc::new(SystemClock)).await;
        let error = error.err().expect("it can't be set up").to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        std::fs::remove_file(files.path(name)).expect("it was there");
        let error = Authenticator::new(vec![issuer(url, files.access())], Arc::new(SystemClock)).await;
        assert!(error.err().expect("it can't be set up").to_string().contains(name));
    }
}
