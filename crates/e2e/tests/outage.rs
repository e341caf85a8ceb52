//! Postgres goes away and comes back: answers in bounded time, never a wrong one, and recovery by itself.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use gatekey_e2e::{Cluster, ROOMY, Start, Way, by_every_way, reason};
use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::v1::Verdict;
use tempfile::TempDir;
use tonic::Code;

/// Far more than the store's own bound of 5 seconds, so that a busy machine does not fail the test.
const BOUNDED: Duration = Duration::from_secs(30);

by_every_way! { a_postgres_outage_is_unavailable_and_passes }

async fn a_postgres_outage_is_unavailable_and_passes(way: Way) {
    let folder = TempDir::new().expect("a folder");
    let cluster = Cluster::start();
    let database = cluster.database().await;
    database.migrate();
    let pooler = way.pooler(cluster.address());
    let url = pooler.as_ref().map_or_else(|| database.url.clone(), |pooler| pooler.url(&database.url));
    let start = Start::in_folder(folder.path()).args(["--dev", "--lease", "2"]);
    let server = way.flags(&url, &database.url).into_iter().fold(start, Start::arg).start();
    let client = server.client(folder.path(), &["developer", "verifier"], "acme");
    let (token, value) = client.create_batch("survivor").await;
    let request = HealthCheckRequest { service: "gatekey.v1.TokenService".to_owned() };
    let mut health = client.health();
    let mut phases = health.watch(request).await.expect("a watch").into_inner();
    let mut next_phase = async || {
        let next = tokio::time::timeout(ROOMY, phases.next()).await.expect("health changes");
        next.expect("the watch goes on").expect("no error").status()
    };
    assert_eq!(next_phase().await, ServingStatus::Serving);
    let (_, hot) = client.create_batch("in memory").await;
    assert_eq!(client.verdict(&hot).await, Verdict::Active);

    cluster.stop();
    let started = Instant::now();
    let answers = [
        client.verify(&value).await.expect_err("cannot tell"),
        client.list(0, "").await.expect_err("cannot tell"),
        client.delete(token.id).await.expect_err("cannot tell"),
    ];
    for status in answers {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unavailable, "gatekey/STORE_UNAVAILABLE")
        );
    }
    assert!(started.elapsed() < BOUNDED, "took {:?}", started.elapsed());
    // What is in memory goes on while the lease lives, and is never more than that.
    let cut_off = loop {
        match client.verify(&hot).await {
            Ok(answer) => assert_eq!(answer.verdict(), Verdict::Active),
            Err(status) => break status,
        }
        assert!(started.elapsed() < BOUNDED, "a lease of 2 seconds lives after {:?}", started.elapsed());
    };
    assert_eq!(reason(&cut_off), "gatekey/STORE_UNAVAILABLE");
    assert_eq!(next_phase().await, ServingStatus::NotServing);
    let alive = health.check(HealthCheckRequest::default()).await.expect("an answer");
    assert_eq!(alive.get_ref().status(), ServingStatus::Serving, "alive, though not ready");

    cluster.resume();
    assert_eq!(next_phase().await, ServingStatus::Serving);
    let begun = Instant::now();
    let verdict = loop {
        match client.verify(&value).await {
            Ok(answer) => break answer.verdict(),
            // A pooler tries a server that was away again after half a second. The lease came back past it.
            Err(status) => {
                assert_eq!((way, reason(&status).as_str()), (Way::PastPooler, "gatekey/STORE_UNAVAILABLE"));
            }
        }
        assert!(begun.elapsed() < BOUNDED, "the pooler does not come back");
    };
    assert_eq!(verdict, Verdict::Active);
    client.delete(token.id).await.expect("deleted");
    assert_eq!(client.verdict(&value).await, Verdict::Revoked);
}
