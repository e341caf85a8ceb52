//! A bounded closed-loop load: so many connections, so many calls in flight on each, for so long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{Verdict, VerifyTokenRequest};
use sha2::{Digest, Sha256};
use tonic::Request;
use tonic::transport::Endpoint;

/// How much at once.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
}

/// Which tokens are verified, in turn.
pub(crate) enum Asked {
    /// These values, again and again: a replica has them in memory.
    Values(Vec<String>),
    /// The tokens of the filler rows, each once: a replica has to read them.
    Rows(AtomicUsize),
}

impl Asked {
    fn credential(&self, number: usize) -> Credential {
        match self {
            Self::Values(values) => Credential::TokenValue(values[number % values.len()].clone()),
            Self::Rows(next) => {
                let row = next.fetch_add(1, Ordering::Relaxed) + 1;
                Credential::TokenSha256(Sha256::digest(row.to_string()).to_vec())
            }
        }
    }
}

/// Verified tokens a second.
pub(crate) async fn verify(
    address: SocketAddr,
    jwt: &str,
    asked: &Arc<Asked>,
    shape: Shape,
    duration: Duration,
) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicUsize::new(0));
    let authorization: tonic::metadata::MetadataValue<_> =
        format!("Bearer {jwt}").parse().expect("a JWT is ASCII");
    let mut callers = Vec::new();
    for _ in 0..shape.connections {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
        let channel = endpoint.tcp_nodelay(true).connect().await.expect("the server is there");
        for _ in 0..shape.in_flight {
            let (mut client, stop, next) =
                (TokenServiceClient::new(channel.clone()), Arc::clone(&stop), Arc::clone(&next));
            let (asked, authorization) = (Arc::clone(asked), authorization.clone());
            callers.push(tokio::spawn(async move {
                let mut done = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let credential = Some(asked.credential(next.fetch_add(1, Ordering::Relaxed)));
                    let mut request = Request::new(VerifyTokenRequest { credential, ..Default::default() });
                    request.metadata_mut().insert("authorization", authorization.clone());
                    let answer = client.verify_token(request).await.expect("an answer").into_inner();
                    assert_eq!(answer.verdict(), Verdict::Active);
                    done += 1;
                }
                done
            }));
        }
    }
    let started = Instant::now();
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for caller in callers {
        done += caller.await.expect("no caller panics");
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 calls")]
    let done = done as f64;
    done / started.elapsed().as_secs_f64()
}
