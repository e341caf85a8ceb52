//! Many interceptors that leave at once, as those of a service that is taken down do: in good order, and cut off.

use std::time::{Duration, Instant};

use gatekey_e2e::dev_token;
use gatekey_interceptor::Gatekey;
use tokio::task::JoinSet;

use crate::scene::Scene;
use crate::table::{Line, print};

const LEASE: Duration = Duration::from_secs(4);

pub(crate) async fn run(count: usize) {
    let mut lines = Vec::new();
    for in_good_order in [true, false] {
        lines.push(measure(count, in_good_order).await);
    }
    print(&lines);
}

async fn measure(count: usize, in_good_order: bool) -> Line {
    let Scene { folder, server } = Scene::with(LEASE).await;
    let client = server.client(folder.path(), &["developer"], "acme");
    let jwt = dev_token(folder.path(), &["--role", "verifier"]);
    let endpoint = format!("http://{}", server.grpc);
    let connect = |_| Gatekey::builder([endpoint.clone()]).bearer(&jwt).connect().expect("good settings");
    let interceptors: Vec<Gatekey> = (0..count).map(connect).collect();
    for interceptor in &interceptors {
        interceptor.leased().await;
    }
    let (token, _) = client.create_batch("benchmark").await;
    let receipt = client.delete(token.id).await.expect("a receipt");
    assert_eq!(usize::try_from(receipt.holders_confirmed), Ok(count), "{receipt:?}");

    eprintln!(
        "{count} interceptors have a lease, and leave{}",
        if in_good_order { "" } else { " without a word" }
    );
    let begun = Instant::now();
    let mut leaving = JoinSet::new();
    for interceptor in interceptors {
        if in_good_order {
            leaving.spawn(async move { interceptor.shutdown().await });
        } else {
            interceptor.crash();
        }
    }
    let (mut longest, mut deletes) = (Duration::ZERO, 0);
    loop {
        let (token, _) = client.create_batch("benchmark").await;
        let asked = Instant::now();
        let receipt = client.delete(token.id).await.expect("a receipt");
        longest = longest.max(asked.elapsed());
        deletes += 1;
        if receipt.holders_confirmed == 0 && receipt.leases_waited_out == 0 {
            break;
        }
    }
    let gone = begun.elapsed();
    leaving.join_all().await;
    let limit = LEASE.mul_f64(1.25) + Duration::from_secs(1);
    Line {
        what: format!(
            "{count} interceptors {} at once: the longest DeleteToken meanwhile, lease {} s",
            if in_good_order { "leave" } else { "are cut off" },
            LEASE.as_secs()
        ),
        figure: format!("{:.0} ms", longest.as_secs_f64() * 1_000.0),
        peer: format!(
            "none is waited for after {:.0} ms and {deletes} deletes",
            gone.as_secs_f64() * 1_000.0
        ),
        ratio: Some(longest.as_secs_f64() / limit.as_secs_f64()),
        goal: "≤ 1.25 × lease + 1 s",
        met: Some(longest <= limit),
    }
}
