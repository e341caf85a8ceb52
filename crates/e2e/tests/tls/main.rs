//! TLS at the real server: who gets a connection, who is a caller by certificate, and that certificates can be exchanged while
//! everything goes on.

mod callers;
mod handshakes;
mod loss;
mod ports;
mod rotation;

use std::path::Path;
use std::time::Duration;

use gatekey_e2e::{Client, Leaf, ROOMY, Server, Start, TestAuthority, TestIssuer};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

const VERIFIER: &str = "spiffe://example.org/speech";
const GATEWAY: &str = "spiffe://example.org/edge";
const STRANGER: &str = "spiffe://example.org/speech/other";

/// The folder of a server, an issuer that it trusts, and who signs certificates.
struct Setting {
    folder: TempDir,
    issuer: TestIssuer,
    servers: TestAuthority,
    clients: TestAuthority,
}

impl Setting {
    /// With a good certificate for a server.
    fn new() -> Self {
        let (servers, clients) = (TestAuthority::new(), TestAuthority::new());
        let issuer = TestIssuer::new("https://login.example.com");
        let setting = Self { folder: TempDir::new().expect("a folder"), issuer, servers, clients };
        setting.servers.server().write(setting.path(), "tls");
        setting.trust(&[&setting.clients]);
        setting
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// These are the authorities of clients from now on.
    fn trust(&self, authorities: &[&TestAuthority]) {
        let bundle: String = authorities.iter().map(|authority| authority.pem()).collect();
        self.replace("ca.crt", &bundle);
    }

    fn replace(&self, name: &str, text: &str) {
        let new = self.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, self.path().join(name)).expect("in one folder");
    }

    /// With all that there is of TLS.
    fn start(&self) -> Server {
        self.start_with(&[])
    }

    fn start_with(&self, args: &[&str]) -> Server {
        let start = Start::in_folder(self.path()).trusting(&self.issuer, self.path());
        self.with_tls(start)
            .arg("--tls-client-ca-file")
            .arg(self.path().join("ca.crt"))
            .args(["--verifier-spiffe-id", VERIFIER, "--gateway-spiffe-id", GATEWAY])
            .args(args.iter().copied())
            .start()
    }

    fn with_tls(&self, start: Start) -> Start {
        start
            .arg("--tls-cert-file")
            .arg(self.path().join("tls.crt"))
            .arg("--tls-key-file")
            .arg(self.path().join("tls.key"))
    }

    fn developer_jwt(&self) -> String {
        self.issuer.sign(&self.issuer.claims("ann", &["developer"], Some("acme")))
    }

    /// How a client speaks TLS that trusts the servers' authority.
    fn tls(&self, certificate: Option<&Leaf>) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.servers.pem()));
        match certificate {
            Some(leaf) => tls.identity(Identity::from_pem(&leaf.chain, &leaf.key)),
            None => tls,
        }
    }

    fn client(&self, server: &Server, certificate: Option<&Leaf>, jwt: Option<&str>) -> Client {
        Client::over(endpoint(server, self.tls(certificate)), jwt)
    }

    /// Creates tokens.
    fn developer(&self, server: &Server) -> Client {
        self.client(server, None, Some(&self.developer_jwt()))
    }

    fn verifier(&self, server: &Server) -> Client {
        self.client(server, Some(&self.clients.client(&[VERIFIER])), None)
    }

    fn http(&self, certificate: Option<&Leaf>) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.servers.pem().as_bytes()).expect("one");
        let builder = reqwest::Client::builder().tls_certs_only([authority]);
        let builder = match certificate {
            Some(leaf) => {
                let pem = format!("{}{}", leaf.key, leaf.chain);
                builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("both are there"))
            }
            None => builder,
        };
        builder.build().expect("good settings")
    }
}

fn endpoint(server: &Server, tls: ClientTlsConfig) -> Endpoint {
    let endpoint = Endpoint::from_shared(format!("https://{}", server.grpc)).expect("a URI");
    endpoint.tls_config(tls).expect("good settings")
}

/// A figure of the server's, by its name and labels.
async fn figure(server: &Server, name: &str) -> f64 {
    let address = server.metrics.expect("it serves figures");
    let answer = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer");
    let text = answer.text().await.expect("text");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("it is there").parse().expect("a number")
}

/// Until it is so, in a time that only a broken server needs. Each look is a call or a read of its own.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = timeout(ROOMY, async {
        while !is_so().await {
            // What is looked at may be files of this process: others have to get on.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it never happens: {what}"));
}
