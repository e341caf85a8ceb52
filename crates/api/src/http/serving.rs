//! Serves the connections of an HTTP port. `axum::serve` does it without a limit: a client that went away without a word kept
//! its place for good, and so did one of HTTP/1.1 that asked nothing more, or never ended the head of a request.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::connections::{Incoming, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_STREAMS_PER_CONNECTION};
use crate::error::Chain;

/// A connection of HTTP/1.1 is closed if no whole head of a request has come for so long. Longer than what stands in front keeps
/// its own (nginx 1 minute, Caddy 2, load balancers up to 10), so that it is they who close, and none of their requests meets a
/// connection that is being closed.
const HEAD_WITHIN: Duration = Duration::from_secs(650);
/// The longest head of a request over HTTP/1.1, and the longest list of headers over HTTP/2; beyond it the answer is 431. A
/// gateway's question has all headers of its client, and its path besides: Envoy takes 60 KiB of them unless it is told
/// otherwise, Caddy and Traefik more.
const MAX_HEAD_BYTES: u32 = 128 * 1024;

/// Serves the routes until `stop` resolves and what runs then is finished. If it is dropped, no more is taken, and connections
/// are closed as they finish what they are at.
pub(super) async fn serve(mut incoming: Incoming, router: Router, stop: impl Future<Output = ()>) {
    let builder = builder();
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let connection = tokio::select! {
            connection = incoming.next() => connection,
            () = &mut stop => break,
        };
        let peer = ConnectInfo(connection.peer().clone());
        let service = router.clone().map_request(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request.map(Body::new)
        });
        let served = builder.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service));
        let served = open.watch(served.into_owned());
        tokio::spawn(async move {
            if let Err(cause) = served.await {
                tracing::debug!(cause = %Chain(cause.as_ref()), "a connection was broken off");
            }
        });
    }
    drop(incoming);
    open.shutdown().await;
}

/// The same at a plain port of its own for so many connections, until it is dropped: in development mode for local callers only.
pub(super) async fn serve_apart(listener: TcpListener, at_once: usize, mut router: Router, only_local: bool) {
    if only_local {
        router = router.layer(from_fn(crate::loopback::only_local));
    }
    serve(Incoming::plain(listener, at_once), router, pending()).await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        // It bounds no body: that is read piece by piece.
        .max_buf_size(MAX_HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::get;
    use http::StatusCode;
    use hyper::client::conn::http2;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    const SOON: &str = "GET /soon HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const LATE: &str = "GET /late HTTP/1.1\r\nhost: localhost\r\n\r\n";
    /// The preface, and an empty SETTINGS frame (RFC 9113 sections 3.4 and 6.5).
    const HTTP_2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const A_MOMENT: Duration = Duration::from_secs(1);

    struct Scene {
        client: TcpStream,
        end: oneshot::Sender<()>,
        served: JoinHandle<()>,
    }

    impl Scene {
        /// A connection to a port that is served.
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let late = || async {
                sleep(HEAD_WITHIN * 2).await;
                "answer"
            };
            let whole = |body: Bytes| async move { format!("{} bytes, and an answer", body.len()) };
            let router = Router::new().route("/soon", get(|| async { "answer" }).post(whole));
            let router = router.route("/late", get(late));
            let (end, ended) = oneshot::channel();
            let stop = async move { ended.await.unwrap_or(()) };
            let served = tokio::spawn(serve(Incoming::plain(listener, 4), router, stop));
            Self { client: TcpStream::connect(address).await.expect("it connects"), end, served }
        }

        async fn say(&mut self, words: &str) {
            self.client.write_all(words.as_bytes()).await.expect("it writes");
        }

        async fn answer(&mut self) {
            let mut answer = Vec::new();
            while !answer.ends_with(b"answer") {
                assert_ne!(self.client.read_buf(&mut answer).await.expect("it reads"), 0, "no answer");
            }
        }

        /// How long it takes until the other side closes, on a clock that goes on as soon as nothing else happens. Asked for
        /// only once something was read: a new connection that is not yet heard has a limit of its own.
        async fn closed_after(&mut self) -> Duration {
            tokio::time::pause();
            let begun = Instant::now();
            let mut rest = Vec::new();
            let closed = timeout(HEAD_WITHIN * 3, self.client.read_to_end(&mut rest)).await;
            let took = begun.elapsed();
            tokio::time::resume();
            // Closed, or reset.
            closed.expect("it closes").ok();
            took
        }
    }

    fn assert_about(took: Duration, expected: Duration) {
        assert!(took.abs_diff(expected) <= A_MOMENT, "{took:?}");
    }

    #[tokio::test]
    async fn a_connection_that_asks_nothing_more_is_closed() {
        let mut scene = Scene::new().await;
        for _ in 0..2 {
            scene.say(SOON).await;
            scene.answer().await;
        }
        assert_about(scene.closed_after().await, HEAD_WITHIN);
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_given_up() {
        let mut scene = Scene::new().await;
        scene.say(SOON).await;
        scene.answer().await;
        scene.say(&SOON[..SOON.len() - 2]).await;
        assert_about(scene.closed_after().await, HEAD_WITHIN);
    }

    #[tokio::test]
    async fn an_answer_may_take_longer() {
        let mut scene = Scene::new().await;
        scene.say(SOON).await;
        scene.answer().await;
        tokio::time::pause();
        scene.say(LATE).await;
        scene.answer().await;
    }

    #[tokio::test]
    async fn a_client_of_http_2_that_has_gone_is_found_out() {
        let mut scene = Scene::new().await;
        scene.say(HTTP_2).await;
        // Its SETTINGS. What else comes, a PING among it, is not answered.
        let mut head = [0; 9];
        scene.client.read_exact(&mut head).await.expect("it reads");
        assert_eq!(head[3], 4);
        assert_about(scene.closed_after().await, KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT);
    }

    /// A request whose head has so many bytes.
    fn head_of(bytes: usize) -> String {
        let head = "GET /soon HTTP/1.1\r\nhost: localhost\r\nx-client: ";
        let end = "\r\n\r\n";
        format!("{head}{}{end}", "x".repeat(bytes - head.len() - end.len()))
    }

    #[tokio::test]
    async fn a_head_of_http_1_may_have_what_a_gateway_takes_and_not_much_more() {
        let mut scene = Scene::new().await;
        scene.say(&head_of(120 * 1024)).await;
        scene.answer().await;
        // It may be closed before all of it is written.
        scene.client.write_all(head_of(160 * 1024).as_bytes()).await.ok();
        let mut answer = Vec::new();
        scene.client.read_to_end(&mut answer).await.ok();
        assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn a_list_of_headers_of_http_2_has_the_same_limit() {
        let scene = Scene::new().await;
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(scene.client)).await.expect("it connects");
        tokio::spawn(connection);
        for (bytes, expected) in
            [(120 * 1024, StatusCode::OK), (160 * 1024, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)]
        {
            let request = Request::get("http://localhost/soon").header("x-client", "x".repeat(bytes));
            let request = request.body(Body::empty()).expect("a request");
            assert_eq!(sender.send_request(request).await.expect("an answer").status(), expected);
        }
    }

    #[tokio::test]
    async fn a_client_of_http_2_is_told_how_much_it_may_do_at_once() {
        let mut scene = Scene::new().await;
        scene.say(HTTP_2).await;
        let mut head = [0; 9];
        scene.client.read_exact(&mut head).await.expect("it reads");
        let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        scene.client.read_exact(&mut settings).await.expect("it reads");
        // SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 section 6.5.2).
        assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 100]), "{settings:?}");
    }

    #[tokio::test]
    async fn a_body_may_be_longer_than_a_head() {
        let mut scene = Scene::new().await;
        let length = 2 * MAX_HEAD_BYTES as usize;
        scene
            .say(&format!("POST /soon HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"))
            .await;
        scene.say(&"x".repeat(length)).await;
        scene.answer().await;
    }

    #[tokio::test]
    async fn when_it_is_to_stop_it_closes_what_is_idle_and_finishes_the_rest() {
        let mut idle = Scene::new().await;
        idle.say(SOON).await;
        idle.answer().await;
        idle.end.send(()).expect("it is served");
        let mut rest = Vec::new();
        idle.client.read_to_end(&mut rest).await.expect("it closes in good order");
        assert!(rest.is_empty());
        idle.served.await.expect("it ends");

        let mut busy = Scene::new().await;
        busy.say(SOON).await;
        busy.answer().await;
        tokio::time::pause();
        busy.say(LATE).await;
        sleep(A_MOMENT).await;
        busy.end.send(()).expect("it is served");
        let mut answer = Vec::new();
        busy.client.read_to_end(&mut answer).await.expect("it closes in good order");
        assert!(answer.ends_with(b"answer"), "{}", String::from_utf8_lossy(&answer));
        busy.served.await.expect("it ends");
    }
}
