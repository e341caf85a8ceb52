//! What a URL of keys may keep to itself: no log and no error shows it.

use std::sync::Arc;

use gatekey_core::SystemClock;

use super::fixture::{Fixture, claims, jwt, settings};
use super::issuer_server::{Answer, IssuerServer};
use super::log::Log;
use super::signing_key::SigningKey;
use crate::auth::{Authenticator, JwksSource};

fn source(url: &str) -> JwksSource {
    JwksSource::Url(url.parse().expect(url))
}

async fn set_up_error(source: JwksSource) -> String {
    let error = Authenticator::new(vec![settings(source)], Arc::new(SystemClock)).await;
    error.err().expect("can't be set up").to_string()
}

#[tokio::test]
async fn user_info_in_a_url_is_refused_and_not_shown() {
    for url in [
        "https://ada:hunter2@id.example/jwks?key=hunter2#hunter2",
        "https://hunter2@id.example/jwks",
        "https://:hunter2@id.example/jwks",
        "http://ada:hunter2@localhost:1/jwks",
        "http://localhost:hunter2@id.example/jwks",
        "ftp://ada:hunter2@id.example/jwks",
    ] {
        let error = set_up_error(source(url)).await;
        assert!(error.contains("user name or password"), "{error}");
        assert!(error.contains("/jwks") && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_query_is_in_no_error_and_in_no_debug_text() {
    let url = "http://id.example/jwks?key=hunter2#hunter2";
    let error = set_up_error(source(url)).await;
    assert!(error.contains("http://id.example/jwks: ") && !error.contains("hunter2"), "{error}");
    for url in [url, "https://ada:hunter2@id.example/jwks", "data:text/plain,x?hunter2"] {
        let debug = format!("{:?}", settings(source(url)));
        assert!(debug.contains("Url(") && !debug.contains("hunter2"), "{debug}");
    }
}

#[tokio::test]
async fn a_query_is_sent_but_in_no_log() {
    let server = IssuerServer::start(Answer::Status(500)).await;
    let mut url = server.url().clone();
    url.set_query(Some("key=hunter2"));
    let (log, _guard) = Log::start();
    let fixture = Fixture::of(vec![settings(JwksSource::Url(url))]).await;
    fixture.cannot_tell(&jwt(&SigningKey::ed25519(), &claims())).await;
    let log = log.of("gatekey_api");
    assert!(log.contains("/jwks.json: answered 500") && !log.contains("hunter2"), "{log}");
    assert_eq!(server.last_query().as_deref(), Some("key=hunter2"));
}
