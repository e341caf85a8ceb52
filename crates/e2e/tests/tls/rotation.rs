//! Files that change: good ones are taken, bad ones are not, and no request fails for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gatekey_e2e::{ROOMY, Server, TestAuthority};
use gatekey_interceptor::{Gatekey, Rule, Tls};
use gatekey_proto::v1::Verdict;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::timeout;

use super::handshakes::shown;
use super::{Setting, VERIFIER, figure, until};

/// Signs a new certificate for the server, has it looked at if asked to, and waits until it is the one that is shown.
async fn rotate(setting: &Setting, server: &Server, signal: bool) {
    let leaf = setting.servers.server();
    leaf.write(setting.path(), "tls");
    if signal {
        server.signal("HUP");
    }
    let new = CertificateDer::from_pem_slice(leaf.chain.as_bytes()).expect("one");
    until("the new certificate is shown", async || {
        shown(setting, server, &[&rustls::version::TLS13]).await.as_deref() == Ok(new.as_ref())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_are_found_without_a_signal() {
    let setting = Setting::new();
    let server = setting.start();
    rotate(&setting, &server, false).await;
    assert!(server.log().contains("new files of TLS are in force"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_change_nothing_and_are_told() {
    let setting = Setting::new();
    let server = setting.start_with(&["--metrics-addr", "127.0.0.1:0"]);
    let before = shown(&setting, &server, &[&rustls::version::TLS13]).await.expect("a connection");
    let good = setting.servers.server();
    let bad = [
        ("tls.key", good.key.clone(), "tls.key: it is not the key of the certificate"),
        ("tls.crt", good.chain[..100].to_owned(), "tls.crt: it is no good PEM"),
        ("tls.crt", String::new(), "tls.crt: there is no certificate in it"),
        ("ca.crt", "garbage".to_owned(), "ca.crt: there is no certificate in it"),
    ];
    for (name, text, said) in bad {
        let kept = std::fs::read_to_string(setting.path().join(name)).expect("it is there");
        let failures = figure(&server, "gatekey_tls_reload_failures_total").await;
        setting.replace(name, &text);
        server.signal("HUP");
        until(said, async || server.log().contains(said)).await;
        assert!(figure(&server, "gatekey_tls_reload_failures_total").await > failures);
        let now = shown(&setting, &server, &[&rustls::version::TLS13]).await;
        assert_eq!(now.as_deref(), Ok(before.as_slice()), "{said}");
        assert!(setting.developer(&server).list(0, "").await.is_ok(), "{said}");
        setting.replace(name, &kept);
    }
    rotate(&setting, &server, true).await;
    assert!(figure(&server, "gatekey_tls_certificate_expires_timestamp_seconds").await > 1e9);
}

const WATCHES: &str = "grpc_server_started_total{grpc_type=\"bidi_stream\",grpc_service=\"gatekey.v1.RevocationService\",grpc_method=\"Watch\"}";

/// What goes on meanwhile, and how much of it failed.
#[derive(Default)]
struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

impl Tally {
    async fn keep<F: Future<Output = Result<(), String>>>(&self, mut call: impl FnMut() -> F) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(why) = call().await {
                eprintln!("failed: {why}");
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            self.done.fetch_add(1, Ordering::Relaxed);
            // A hit is never pending: others have to get on.
            tokio::task::yield_now().await;
        }
    }
}

/// As many more of each kind have been done.
async fn progress(tallies: &[Arc<Tally>]) {
    let before: Vec<u64> = tallies.iter().map(|tally| tally.done.load(Ordering::Relaxed)).collect();
    let all = || {
        tallies.iter().zip(&before).all(|(tally, before)| tally.done.load(Ordering::Relaxed) > before + 20)
    };
    until("all get on", async || all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_everything_is_rotated() {
    let setting = Arc::new(Setting::new());
    let server = Arc::new(setting.start_with(&["--metrics-addr", "127.0.0.1:0"]));
    let (token, value) = setting.developer(&server).create_batch("a").await;
    setting.replace("servers.crt", &setting.servers.pem());
    setting.clients.client(&[VERIFIER]).write(setting.path(), "client");
    let tls = Tls::new()
        .authorities(setting.path().join("servers.crt"))
        .client_certificate(setting.path().join("client.crt"), setting.path().join("client.key"));
    let service = Gatekey::builder([format!("https://localhost:{}", server.grpc.port())]).tls(tls).connect();
    let service = service.expect("good settings");
    timeout(ROOMY, service.leased()).await.expect("in time");

    let tallies: Vec<Arc<Tally>> = (0..4).map(|_| Arc::default()).collect();
    let mut tasks = Vec::new();
    let kept = setting.developer(&server);
    let tally = Arc::clone(&tallies[0]);
    tasks.push(tokio::spawn(async move {
        tally.keep(|| async { kept.list(0, "").await.map(drop).map_err(|status| status.to_string()) }).await;
    }));
    let (tally, world) = (Arc::clone(&tallies[1]), (Arc::clone(&setting), Arc::clone(&server)));
    tasks.push(tokio::spawn(async move {
        // A connection each.
        let call = || async {
            let (setting, server) = &world;
            setting.developer(server).list(0, "").await.map(drop).map_err(|status| status.to_string())
        };
        tally.keep(call).await;
    }));
    let (tally, asked, checked) = (Arc::clone(&tallies[2]), service.clone(), value.clone());
    tasks.push(tokio::spawn(async move {
        let call = || async {
            asked.verify(&checked, Rule::Any).await.map(drop).map_err(|refusal| format!("{refusal:?}"))
        };
        tally.keep(call).await;
    }));
    let (tally, world, asked) =
        (Arc::clone(&tallies[3]), (Arc::clone(&setting), Arc::clone(&server)), service.clone());
    tasks.push(tokio::spawn(async move {
        // A token each, which nobody has asked about before.
        let creator = world.0.developer(&world.1);
        let call = || async {
            let (token, value) = creator.create_batch("fresh").await;
            let checked = asked.verify(&value, Rule::Any).await;
            creator.delete(token.id).await.map_err(|status| status.to_string())?;
            checked.map(drop).map_err(|refusal| format!("{refusal:?}"))
        };
        tally.keep(call).await;
    }));

    let mut authorities = vec![TestAuthority::new(), TestAuthority::new()];
    let mut old = None;
    for _ in 0..2 {
        rotate(&setting, &server, true).await;
        progress(&tallies).await;
        // The authority of clients, with overlap: both are known, then clients show the new, then only that is known.
        let new = authorities.pop().expect("one for each round");
        setting.trust(&[old.as_ref().unwrap_or(&setting.clients), &new]);
        server.signal("HUP");
        let certificate = new.client(&[VERIFIER]);
        until("the new authority is known", async || {
            setting.client(&server, Some(&certificate), None).verify(&value).await.is_ok()
        })
        .await;
        // The service looks at its files when it renews its lease, and then opens another stream.
        let before = figure(&server, WATCHES).await;
        certificate.write(setting.path(), "client");
        until("the service shows the new certificate", async || figure(&server, WATCHES).await > before)
            .await;
        timeout(ROOMY, service.leased()).await.expect("in time");
        progress(&tallies).await;
        setting.trust(&[&new]);
        server.signal("HUP");
        let gone = old.as_ref().unwrap_or(&setting.clients).client(&[VERIFIER]);
        until("the old authority is forgotten", async || {
            setting.client(&server, Some(&gone), None).verify(&value).await.is_err()
        })
        .await;
        progress(&tallies).await;
        old = Some(new);
    }
    for tally in &tallies {
        tally.stop.store(true, Ordering::Relaxed);
    }
    for task in tasks {
        task.await.expect("none of them panics");
    }
    let counts: Vec<_> = tallies.iter().map(|tally| (&tally.done, &tally.failed)).collect();
    assert!(tallies.iter().all(|tally| tally.failed.load(Ordering::Relaxed) == 0), "{counts:?}");

    // Strict as ever.
    assert_eq!(service.verify(&value, Rule::Any).await.expect("good").id(), token.id);
    setting.developer(&server).delete(token.id).await.expect("deleted");
    service.verify(&value, Rule::Any).await.expect_err("revoked");
    let by_new = setting.client(&server, Some(&old.expect("two rounds").client(&[VERIFIER])), None);
    assert_eq!(by_new.verdict(&value).await, Verdict::Revoked);
}
