//! A small issuer that serves its JWK set, well or badly.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::Uri;
use http::header::{CONNECTION, LOCATION};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::auth::JwksSource;

#[derive(Clone)]
pub(super) enum Answer {
    Set(Value),
    Text(String),
    Status(u16),
    /// A good set, but not with 200.
    SetUnder(u16, Value),
    RedirectTo(String),
    /// This set, once [`IssuerServer::release`] is called.
    Held(Value),
    /// A body that begins and never goes on.
    Stalled,
    /// A body that never ends.
    Endless,
}

struct Issuer {
    answer: Mutex<Answer>,
    hits: AtomicUsize,
    last_query: Mutex<Option<String>>,
    arrived: Notify,
    released: Notify,
}

/// Ends with the test's runtime.
pub(super) struct IssuerServer {
    url: reqwest::Url,
    issuer: Arc<Issuer>,
}

impl IssuerServer {
    pub(super) async fn start(answer: Answer) -> Self {
        let issuer = Arc::new(Issuer {
            answer: Mutex::new(answer),
            hits: AtomicUsize::new(0),
            last_query: Mutex::default(),
            arrived: Notify::new(),
            released: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let app = Router::new().fallback(answer_call).with_state(Arc::clone(&issuer));
        tokio::spawn(axum::serve(listener, app).into_future());
        let url = format!("http://{address}/jwks.json").parse().expect("a URL");
        Self { url, issuer }
    }

    pub(super) fn url(&self) -> &reqwest::Url {
        &self.url
    }

    pub(super) fn source(&self) -> JwksSource {
        JwksSource::Url(self.url.clone())
    }

    /// From now on answers this.
    pub(super) fn answer(&self, answer: Answer) {
        *self.issuer.answer.lock().expect("nobody panics with it") = answer;
    }

    /// How often it was asked.
    pub(super) fn hits(&self) -> usize {
        self.issuer.hits.load(Ordering::SeqCst)
    }

    /// The query of the last question.
    pub(super) fn last_query(&self) -> Option<String> {
        self.issuer.last_query.lock().expect("nobody panics with it").clone()
    }

    /// Waits until it is asked, unless it was since the last wait.
    pub(super) async fn arrived(&self) {
        let arrived = self.issuer.arrived.notified();
        tokio::time::timeout(Duration::from_mins(1), arrived).await.expect("the issuer is asked");
    }

    /// Answers one question that it held back.
    pub(super) fn release(&self) {
        self.issuer.released.notify_one();
    }
}

async fn answer_call(State(issuer): State<Arc<Issuer>>, uri: Uri) -> Response {
    *issuer.last_query.lock().expect("nobody panics with it") = uri.query().map(str::to_owned);
    issuer.hits.fetch_add(1, Ordering::SeqCst);
    issuer.arrived.notify_one();
    let answer = issuer.answer.lock().expect("nobody panics with it").clone();
    // No connection is used again: time that a test lets pass would end it at either side.
    let response = Response::builder().header(CONNECTION, "close");
    let response = match answer {
        Answer::Set(set) => response.body(Body::from(set.to_string())),
        Answer::Text(text) => response.body(Body::from(text)),
        Answer::Status(code) => response.status(code).body(Body::empty()),
        Answer::SetUnder(code, set) => response.status(code).body(Body::from(set.to_string())),
        Answer::RedirectTo(url) => response.status(302).header(LOCATION, url).body(Body::empty()),
        Answer::Held(set) => {
            issuer.released.notified().await;
            response.body(Body::from(set.to_string()))
        }
        Answer::Stalled => {
            let begun = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"{\"keys\":[")) });
            response.body(Body::from_stream(begun.chain(stream::pending())))
        }
        Answer::Endless => {
            let spaces = Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1 << 12]));
            response.body(Body::from_stream(stream::repeat(spaces)))
        }
    };
    response.expect("a valid response")
}
