//! Create, list and delete over REST, beside the same over gRPC, on one server in one run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekey_e2e::{Client, Start, dev_token};
use gatekey_proto::v1::{CreateTokenRequest, TokenType};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::table::{Line, median, print};

/// Calls in flight.
const AT_ONCE: usize = 16;
const GOAL: f64 = 0.7;
/// As many tokens are listed.
const LISTED: usize = 100;

/// One of the two ways to the same use cases.
#[derive(Clone)]
enum Way {
    Grpc(Box<Client>),
    Rest(Arc<Rest>),
}

struct Rest {
    http: reqwest::Client,
    tokens: String,
    authorization: String,
}

/// Nobody waits for the other's work: each task takes the next number until all are taken.
async fn timed<F>(count: usize, work: impl Fn(usize) -> F + Clone + Send + 'static) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (next, work) = (Arc::clone(&next), work.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    work(number).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no call fails");
    }
    begin.elapsed()
}

impl Rest {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.tokens))
            .header("authorization", &self.authorization)
    }
}

async fn taken(request: RequestBuilder, status: u16) -> String {
    let response = request.send().await.expect("the server is there");
    assert_eq!(response.status().as_u16(), status);
    response.text().await.expect("text")
}

impl Way {
    async fn create(&self) -> i64 {
        match self {
            Self::Grpc(client) => {
                let request = CreateTokenRequest {
                    name: "benchmark".to_owned(),
                    r#type: TokenType::Batch.into(),
                    years_valid: 1,
                    request_id: String::new(),
                };
                client.create(request).await.expect("created").token.expect("a token").id
            }
            Self::Rest(rest) => {
                let request = rest.request(Method::POST, "").header("content-type", "application/json");
                let body = r#"{"name":"benchmark","type":"batch","years_valid":1}"#;
                let created: Value =
                    serde_json::from_str(&taken(request.body(body), 201).await).expect("JSON");
                created["id"].as_i64().expect("an id")
            }
        }
    }

    async fn list(&self) {
        let listed = match self {
            Self::Grpc(client) => client.list(0, "").await.expect("listed").tokens.len(),
            Self::Rest(rest) => {
                let text = taken(rest.request(Method::GET, ""), 200).await;
                let list: Value = serde_json::from_str(&text).expect("JSON");
                list["tokens"].as_array().expect("a list").len()
            }
        };
        assert_eq!(listed, LISTED);
    }

    async fn delete(&self, id: i64) {
        match self {
            Self::Grpc(client) => drop(client.delete(id).await.expect("deleted")),
            Self::Rest(rest) => drop(taken(rest.request(Method::DELETE, &format!("/{id}")), 204).await),
        }
    }

    /// Creates and deletes `count` tokens, and lists in between; seconds for each of the three.
    async fn round(&self, count: usize) -> [f64; 3] {
        let (sent, ids) = std::sync::mpsc::channel();
        let way = self.clone();
        let create = timed(count, move |_| {
            let (way, sent) = (way.clone(), sent.clone());
            async move { sent.send(way.create().await).expect("it is received") }
        });
        let create = create.await;
        let ids: Arc<Vec<i64>> = Arc::new(ids.into_iter().collect());
        let (way, doomed) = (self.clone(), Arc::clone(&ids));
        let delete_at = |range: std::ops::Range<usize>| {
            let (way, doomed) = (way.clone(), Arc::clone(&doomed));
            timed(range.len(), move |number| {
                let (way, id) = (way.clone(), doomed[range.start + number]);
                async move { way.delete(id).await }
            })
        };
        let mut delete = delete_at(LISTED..count).await;
        let way = self.clone();
        let list = timed(count, move |_| {
            let way = way.clone();
            async move { way.list().await }
        });
        let list = list.await;
        delete += delete_at(0..LISTED).await;
        [create, list, delete].map(|took| took.as_secs_f64())
    }
}

/// `count` calls of each kind in a run, `pairs` of runs.
pub(crate) async fn run(count: usize, pairs: usize) {
    let count = count.max(2 * LISTED);
    let folder = TempDir::new().expect("a folder");
    let limit = (2 * count).to_string();
    let server =
        Start::in_folder(folder.path()).args(["--log", "warn", "--tokens-per-tenant", &limit]).start();
    let jwt = dev_token(folder.path(), &["--role", "developer", "--tenant", "acme"]);
    let grpc = Way::Grpc(Box::new(server.client_with(&jwt)));
    let rest = Way::Rest(Arc::new(Rest {
        http: reqwest::Client::new(),
        tokens: format!("http://{}/api/v3/tokens", server.http),
        authorization: format!("Bearer {jwt}"),
    }));
    let (mut of_grpc, mut of_rest) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        eprintln!("pair {} of {pairs}: {count} creates, lists of {LISTED} and deletes each", pair + 1);
        of_grpc.push(grpc.round(count).await);
        of_rest.push(rest.round(count).await);
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let a_second = |seconds: f64| count as f64 / seconds;
    let lines = ["create", "list of 100", "delete"].into_iter().enumerate().map(|(kind, what)| {
        let ratio =
            median(of_rest.iter().zip(&of_grpc).map(|(rest, grpc)| grpc[kind] / rest[kind]).collect());
        let rate = |rounds: &[[f64; 3]]| a_second(median(rounds.iter().map(|round| round[kind]).collect()));
        Line {
            what: format!("REST {what}, {AT_ONCE} in flight"),
            figure: format!("{:.0}/s", rate(&of_rest)),
            peer: format!("gRPC {:.0}/s", rate(&of_grpc)),
            ratio: Some(ratio),
            goal: "≥ 0.7",
            met: Some(ratio >= GOAL),
        }
    });
    print(&lines.collect::<Vec<_>>());
}
