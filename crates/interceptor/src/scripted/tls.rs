//! TLS to the server: whom the interceptor trusts, how it proves itself, and that both may change while it runs.

use std::path::PathBuf;

use gatekey_proto::v1::Verdict;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::script::{ROOMY, Script, Stream};
use super::{checked, value};
use crate::clock::Clock;
use crate::{Gatekey, Refusal, Rule, Tls};

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Leaf {
    chain: String,
    key: String,
    der: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> Leaf {
        self.issue_until(name, 2999)
    }

    fn issue_until(&self, name: &str, year: i32) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }
}

/// Files that are given to an interceptor.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(authority: &Authority, client: &Leaf) -> Self {
        let files = Self { folder: TempDir::new().expect("a folder") };
        files.write("authorities.pem", &authority.pem());
        files.prove_by(client);
        files
    }

    fn prove_by(&self, client: &Leaf) {
        self.write("client.pem", &client.chain);
        self.write("client.key", &client.key);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self) -> Tls {
        Tls::new()
            .authorities(self.path("authorities.pem"))
            .client_certificate(self.path("client.pem"), self.path("client.key"))
    }
}

async fn server(authority: &Authority, leaf: &Leaf) -> Script {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&leaf.chain, &leaf.key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    Script::start_with(Server::builder().tls_config(tls).expect("good settings")).await
}

fn connect(script: &Script, tls: Tls) -> Gatekey {
    Gatekey::builder([endpoint(script)]).tls(tls).connect().expect("good settings")
}

fn endpoint(script: &Script) -> String {
    format!("https://localhost:{}", script.address.port())
}

async fn lease(script: &mut Script) -> Stream {
    let mut stream = script.stream().await;
    stream.lease().await;
    stream
}

#[tokio::test]
async fn a_client_certificate_proves_the_service() {
    let authority = Authority::new();
    let client = authority.issue("a-service");
    let files = Files::new(&authority, &client);
    let mut script = server(&authority, &authority.issue("localhost")).await;
    let gatekey = connect(&script, files.tls());
    let stream = lease(&mut script).await;
    assert_eq!(stream.certificate.as_ref(), Some(&client.der));
    assert_eq!(stream.authorization, None);
    timeout(ROOMY, gatekey.leased()).await.expect("in time");
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}

/// Until it has said what is wrong with the server.
async fn trouble(gatekey: &Gatekey) -> String {
    let mut events = gatekey.events();
    if let Some(trouble) = gatekey.health().trouble {
        return trouble.to_string();
    }
    let told = timeout(ROOMY, events.recv()).await.expect("in time").expect("an event");
    format!("{told:?}")
}

#[tokio::test]
async fn a_server_that_does_not_prove_itself_is_told_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let client = authority.issue("a-service");
    for (leaf, expected) in [
        (stranger.issue("localhost"), "invalid peer certificate"),
        (authority.issue("elsewhere"), "not valid for name"),
        (authority.issue_until("localhost", 2001), "expired"),
    ] {
        let files = Files::new(&authority, &client);
        let script = server(&authority, &leaf).await;
        let gatekey = connect(&script, files.tls());
        let said = trouble(&gatekey).await;
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(
            gatekey.verify(&value(), Rule::Any).await.expect_err("cannot tell"),
            Refusal::Unverifiable
        );
    }
}

#[tokio::test]
async fn another_name_may_be_expected_of_the_server() {
    let authority = Authority::new();
    let files = Files::new(&authority, &authority.issue("a-service"));
    let mut script = server(&authority, &authority.issue("gatekey.internal")).await;
    let _gatekey = connect(&script, files.tls().server_name("gatekey.internal"));
    lease(&mut script).await;
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let authority = Authority::new();
    let (first, second) = (authority.issue("a-service"), authority.issue("a-service"));
    let files = Files::new(&authority, &first);
    let mut script = server(&authority, &authority.issue("localhost")).await;
    let clock = Clock::default();
    let builder = Gatekey::builder([endpoint(&script)]).tls(files.tls()).clock(clock.clone());
    let gatekey = builder.connect().expect("good settings");
    let mut stream = script.stream().await;
    stream.hello().await;
    assert_eq!(stream.certificate.as_ref(), Some(&first.der));
    files.prove_by(&second);
    let mut stream = tokio::select! {
        never = stream.keep(0) => match never {},
        stream = script.stream() => stream,
    };
    assert_eq!(stream.certificate.as_ref(), Some(&second.der));
    assert_eq!(stream.hello().await.stream, 2);
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}

#[tokio::test]
async fn files_that_are_bad_for_a_while_change_nothing() {
    let authority = Authority::new();
    let (first, second) = (authority.issue("a-service"), authority.issue("a-service"));
    let files = Files::new(&authority, &first);
    let mut script = server(&authority, &authority.issue("localhost")).await;
    let gatekey = connect(&script, files.tls());
    let mut events = gatekey.events();
    let stream = lease(&mut script).await;
    assert_eq!(stream.certificate.as_ref(), Some(&first.der));
    // Half of a rotation: the certificate of another key. A stream that breaks now is opened with what was there before.
    files.write("client.pem", &second.chain);
    drop(stream);
    let stream = lease(&mut script).await;
    assert_eq!(stream.certificate.as_ref(), Some(&first.der));
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
    let told = timeout(ROOMY, async {
        loop {
            let event = format!("{:?}", events.recv().await.expect("an event"));
            if event.contains("the files of TLS can't be used") {
                return;
            }
        }
    });
    told.await.expect("it is told");
    files.write("client.key", &second.key);
    drop(stream);
    let stream = lease(&mut script).await;
    assert_eq!(stream.certificate.as_ref(), Some(&second.der));
}

#[test]
fn files_that_are_not_there_are_told_at_once() {
    let error =
        Gatekey::builder(["https://localhost:1"]).tls(Tls::new().authorities("/no/such/file")).connect();
    let error = error.expect_err("no file, and nothing that proves the service");
    assert!(error.to_string().contains("tls: /no/such/file") && error.problems().len() == 2, "{error}");
}
