//! Who gets a connection, and that whoever gets none holds up nobody.

use std::sync::Arc;

use gatekey_e2e::{ROOMY, Server, TestAuthority};
use gatekey_proto::v1::Verdict;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic::transport::Endpoint;

use super::{STRANGER, Setting, VERIFIER, endpoint, figure};

/// The certificate that the server shows to a client that speaks these versions, or why there is no connection.
pub(super) async fn shown(
    setting: &Setting,
    server: &Server,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Vec<u8>, String> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(setting.servers.pem().as_bytes()).expect("one");
    roots.add(authority).expect("a good one");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(server.grpc).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = timeout(ROOMY, handshake).await.expect("in time").map_err(|cause| cause.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().expect("the server showed one");
    Ok(chain[0].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn good_clients_pass_with_and_without_a_certificate() {
    let setting = Setting::new();
    let server = setting.start();
    let (_, value) = setting.developer(&server).create_batch("a").await;
    assert_eq!(setting.verifier(&server).verdict(&value).await, Verdict::Active);
    let both =
        setting.client(&server, Some(&setting.clients.client(&[STRANGER])), Some(&setting.developer_jwt()));
    assert_eq!(both.list(0, "").await.expect("by the JWT").tokens.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_certificates_of_clients_are_refused_in_the_handshake() {
    let setting = Setting::new();
    let server = setting.start_with(&["--metrics-addr", "127.0.0.1:0"]);
    let other = TestAuthority::new();
    let cases = [
        ("client_certificate_expired", setting.clients.client_for(&[VERIFIER], Duration::hours(-1))),
        ("client_authority_unknown", other.client(&[VERIFIER])),
        // It may not be used by a client.
        ("client_certificate_invalid", setting.clients.client_of_the_wrong_kind(&[VERIFIER])),
    ];
    for (result, certificate) in cases {
        // A good JWT does not help.
        let client = setting.client(&server, Some(&certificate), Some(&setting.developer_jwt()));
        let refused = client.list(0, "").await.expect_err(result);
        assert!(
            matches!(refused.code(), Code::Unavailable | Code::Unknown | Code::Cancelled),
            "{result}: {refused:?}"
        );
        let count = figure(&server, &format!("gatekey_tls_handshakes_total{{result=\"{result}\"}}")).await;
        assert!(count >= 1.0, "{result}");
    }
    assert!(setting.developer(&server).list(0, "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_refuse_a_server_that_does_not_prove_itself() {
    let setting = Setting::new();
    let other = TestAuthority::new();
    for (case, leaf, expected) in [
        ("another authority", other.server(), "UnknownIssuer"),
        ("another name", setting.servers.server_for(&["elsewhere"], Duration::hours(1)), "NotValidForName"),
        ("expired", setting.servers.server_for(&["localhost", "127.0.0.1"], Duration::hours(-1)), "Expired"),
    ] {
        leaf.write(setting.path(), "tls");
        let server = setting.start();
        let refused = endpoint(&server, setting.tls(None)).connect().await.expect_err(case);
        assert!(format!("{refused:?}").contains(expected), "{case}: {refused:?}");
        assert_eq!(server.log().contains("has expired: its clients will refuse it"), case == "expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_by_the_setting() {
    let setting = Setting::new();
    let (old, new) = (&rustls::version::TLS12, &rustls::version::TLS13);
    let server = setting.start();
    for version in [old, new] {
        shown(&setting, &server, &[version]).await.expect("both are spoken");
    }
    drop(server);
    let server = setting.start_with(&["--tls-min-version", "1.3"]);
    shown(&setting, &server, &[new]).await.expect("it is spoken");
    let refused = shown(&setting, &server, &[old]).await.expect_err("too old");
    assert!(refused.contains("ProtocolVersion"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_gets_nothing_from_a_port_with_tls() {
    let setting = Setting::new();
    let server = setting.start();
    let plain = Endpoint::from_shared(format!("http://{}", server.grpc)).expect("a URI");
    let client = gatekey_e2e::Client::over(plain, Some(&setting.developer_jwt()));
    assert!(client.list(0, "").await.is_err());
    for address in [server.grpc, server.http] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it takes it");
        let mut answer = Vec::new();
        // Reset or closed, after an alert at the most.
        timeout(ROOMY, stream.read_to_end(&mut answer)).await.expect("in time").ok();
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    }
    assert!(setting.developer(&server).list(0, "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_slow_connections_hold_up_nobody() {
    let setting = Setting::new();
    let server = setting.start();
    let mut held = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(server.grpc).await.expect("it listens");
        if number % 2 == 0 {
            // The beginning of a handshake that never comes: a record of 512 bytes is announced.
            stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.expect("it takes it");
        }
        held.push(stream);
    }
    for _ in 0..10 {
        setting.developer(&server).list(0, "").await.expect("a connection of its own, as ever");
    }
    // They are given up in the end; until then they are open.
    let mut byte = [0];
    let ended = timeout(ROOMY, held[0].read(&mut byte)).await.expect("it is given up");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_spoken_in_both_versions() {
    let setting = Setting::new();
    let server = setting.start();
    let url = format!("https://{}/livez", server.http);
    let answer = setting.http(None).get(&url).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    let authority = reqwest::Certificate::from_pem(setting.servers.pem().as_bytes()).expect("one");
    let old = reqwest::Client::builder().tls_certs_only([authority]).http1_only().build().expect("good");
    let answer = old.get(&url).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
}
