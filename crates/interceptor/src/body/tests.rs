//! Bodies end with their token, and what ends by itself is left alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::known::Known;
use crate::{FakeGatekey, Rule, TokenType, VerifiedToken};

/// A little longer than the tokens here are good for.
const YEAR: Duration = Duration::from_hours(24 * 366);

/// Gives these frames, and is pending when there are none.
struct Script {
    frames: VecDeque<Frame<Bytes>>,
    over: bool,
    waker: Option<Waker>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None if self.over => Poll::Ready(None),
            None => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn script(frames: impl IntoIterator<Item = Frame<Bytes>>, over: bool) -> Script {
    Script { frames: frames.into_iter().collect(), over, waker: None }
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

struct Setting {
    fake: FakeGatekey,
    value: String,
    token: VerifiedToken,
}

impl Setting {
    async fn new() -> Self {
        Self::with(FakeGatekey::start()).await
    }

    async fn with(fake: FakeGatekey) -> Self {
        let value = fake.token(TokenType::Realtime).mint();
        let token = fake.gatekey().verify(&value, Rule::Any).await.expect("good");
        Self { fake, value, token }
    }

    fn guard(&self, protocol: Protocol) -> Guard {
        Guard::new(self.token.revoked(), protocol)
    }

    fn revoke(&self) {
        self.fake.revoke(&self.value);
    }
}

/// What a poll gives: data as text, trailers by their status, an error as its text.
fn poll<B>(body: Pin<&mut B>) -> Poll<Option<Result<String, String>>>
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    let frame = body.poll_frame(&mut Context::from_waker(Waker::noop()));
    frame.map(|frame| {
        frame.map(|frame| {
            let frame = frame.map_err(|error| error.to_string())?;
            match frame.into_data() {
                Ok(data) => Ok(String::from_utf8(data.to_vec()).expect("text")),
                Err(other) => {
                    let Ok(trailers) = other.into_trailers() else { panic!("either of these") };
                    Ok(format!("grpc-status {}", trailers["grpc-status"].to_str().expect("ASCII")))
                }
            }
        })
    })
}

fn text(text: &str) -> Poll<Option<Result<String, String>>> {
    Poll::Ready(Some(Ok(text.to_owned())))
}

#[tokio::test]
async fn a_grpc_stream_ends_with_trailers_and_only_once() {
    let setting = Setting::new().await;
    let mut body =
        pin!(ResponseBody::new(script([data("a"), data("b")], false), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(body.as_mut()), text("a"));
    assert_eq!(poll(body.as_mut()), text("b"));
    assert_eq!(poll(body.as_mut()), Poll::Pending);
    setting.revoke();
    assert_eq!(poll(body.as_mut()), text("grpc-status 16"));
    assert_eq!(poll(body.as_mut()), Poll::Ready(None));
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn an_http_body_ends_with_an_error_so_that_the_part_is_not_taken_for_the_whole() {
    let setting = Setting::new().await;
    let mut body = pin!(ResponseBody::new(script([data("a")], false), Some(setting.guard(Protocol::Http))));
    assert_eq!(poll(body.as_mut()), text("a"));
    setting.revoke();
    assert_eq!(poll(body.as_mut()), Poll::Ready(Some(Err("the API token was revoked".to_owned()))));
    assert_eq!(poll(body.as_mut()), Poll::Ready(None));
}

#[tokio::test]
async fn a_stream_that_is_never_pending_is_ended_all_the_same() {
    let setting = Setting::new().await;
    let frames = (0..100).map(|_| data("x"));
    let mut body = pin!(ResponseBody::new(script(frames, false), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(body.as_mut()), text("x"));
    assert_eq!(
        setting.fake.gatekey().health().guarded_tokens,
        0,
        "what is over after one message pays nothing"
    );
    assert_eq!(poll(body.as_mut()), text("x"));
    setting.fake.advance(YEAR);
    assert_eq!(poll(body.as_mut()), text("grpc-status 16"));
    assert_eq!(poll(body.as_mut()), Poll::Ready(None));

    // Once it is out of the cache, only the guards tell of it.
    let setting = Setting::with(FakeGatekey::with_capacity(1)).await;
    let frames = (0..100).map(|_| data("x"));
    let mut body = pin!(ResponseBody::new(script(frames, false), Some(setting.guard(Protocol::Grpc))));
    assert_eq!((poll(body.as_mut()), poll(body.as_mut())), (text("x"), text("x")));
    let other = setting.fake.token(TokenType::Batch).mint();
    setting.fake.gatekey().verify(&other, Rule::Any).await.expect("good");
    setting.revoke();
    assert_eq!(poll(body.as_mut()), text("grpc-status 16"));
}

#[tokio::test]
async fn an_upload_that_is_never_pending_is_ended_all_the_same() {
    let setting = Setting::new().await;
    let frames = (0..100).map(|_| data("x"));
    let mut body = pin!(RequestBody::new(script(frames, false), Some(setting.guard(Protocol::Http))));
    assert_eq!((poll(body.as_mut()), poll(body.as_mut())), (text("x"), text("x")));
    setting.fake.advance(YEAR);
    assert!(matches!(poll(body.as_mut()), Poll::Ready(Some(Err(said))) if said.contains("expired")));
}

#[tokio::test]
async fn a_response_that_is_done_goes_out_whole() {
    let setting = Setting::new().await;
    setting.revoke();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    let frames = [data("all of it"), Frame::trailers(trailers)];
    let mut body = pin!(ResponseBody::new(script(frames, true), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(body.as_mut()), text("all of it"));
    assert_eq!(poll(body.as_mut()), text("grpc-status 0"));
    assert_eq!(poll(body.as_mut()), Poll::Ready(None));
}

#[tokio::test]
async fn a_request_gives_nothing_more_once_its_token_has_ended() {
    for (protocol, said) in
        [(Protocol::Grpc, "the API token is not valid"), (Protocol::Http, "the API token was revoked")]
    {
        let setting = Setting::new().await;
        let mut body = pin!(RequestBody::new(script([data("a")], false), Some(setting.guard(protocol))));
        assert_eq!(poll(body.as_mut()), text("a"));
        assert_eq!(poll(body.as_mut()), Poll::Pending);
        setting.revoke();
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
        let Poll::Ready(Some(Err(error))) = poll(body.as_mut()) else { panic!("it goes on") };
        assert!(error.contains(said), "{error}");
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
        assert_eq!(poll(body.as_mut()), Poll::Ready(None));
    }
}

#[tokio::test]
async fn a_request_that_is_over_is_over() {
    let setting = Setting::new().await;
    setting.revoke();
    let mut body = pin!(RequestBody::new(script([], true), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(body.as_mut()), Poll::Ready(None));
}

#[tokio::test]
async fn expiry_ends_a_stream_and_so_does_a_lease_that_is_lost_for_too_long() {
    let setting = Setting::new().await;
    let mut body = pin!(ResponseBody::new(script([], false), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(body.as_mut()), Poll::Pending);
    setting.fake.advance(YEAR);
    assert_eq!(poll(body.as_mut()), text("grpc-status 16"));

    let setting = Setting::new().await;
    let mut body = pin!(ResponseBody::new(script([], false), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(body.as_mut()), Poll::Pending);
    setting.fake.outage(true);
    setting.fake.advance(Duration::from_secs(59));
    assert_eq!(poll(body.as_mut()), Poll::Pending, "there is a grace");
    setting.fake.advance(Duration::from_secs(2));
    assert_eq!(poll(body.as_mut()), text("grpc-status 14"));
    // Its token is good all the same.
    setting.fake.outage(false);
    let again = setting.fake.gatekey().verify(&setting.value, Rule::Any).await.expect("good");
    assert_eq!(again.ended(), None);
}

#[tokio::test]
async fn what_a_server_called_good_while_there_was_no_lease_has_a_grace_of_its_own() {
    let setting = Setting::new().await;
    let mut old = pin!(ResponseBody::new(script([], false), Some(setting.guard(Protocol::Grpc))));
    assert_eq!(poll(old.as_mut()), Poll::Pending);
    // The servers answer, and none has a lease to give.
    setting.fake.gatekey().shared().connected(None, tokio::sync::mpsc::unbounded_channel().0);
    setting.fake.advance(Duration::from_secs(50));
    let fresh = setting.fake.token(TokenType::Batch).mint();
    let fresh = setting.fake.gatekey().verify(&fresh, Rule::Any).await.expect("good");
    let mut fresh = pin!(fresh.revoked());
    let mut poll_fresh = || fresh.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(poll_fresh(), Poll::Pending);
    setting.fake.advance(Duration::from_secs(20));
    assert_eq!(poll(old.as_mut()), text("grpc-status 14"));
    assert_eq!(poll_fresh(), Poll::Pending);
    setting.fake.advance(Duration::from_secs(45));
    assert_eq!(poll_fresh(), Poll::Ready(Ended::Unavailable));
}

#[tokio::test]
async fn who_waits_for_an_end_hears_of_it_when_the_last_handle_is_gone() {
    let Setting { fake, token, .. } = Setting::new().await;
    let waits = tokio::spawn(token.revoked());
    while fake.gatekey().health().guarded_tokens == 0 {
        tokio::task::yield_now().await;
    }
    drop(fake);
    let ended =
        tokio::time::timeout(Duration::from_mins(1), waits).await.expect("in time").expect("no panic");
    assert_eq!(ended, Ended::Unavailable);
}

#[tokio::test]
async fn without_a_guard_a_body_is_left_alone() {
    let mut body = pin!(ResponseBody::new(script([data("a")], true), None));
    assert_eq!(poll(body.as_mut()), text("a"));
    assert_eq!(poll(body.as_mut()), Poll::Ready(None));
    let mut body = pin!(RequestBody::new(script([data("a")], true), None));
    assert_eq!(poll(body.as_mut()), text("a"));
    let refusal: ResponseBody<Script> = Bytes::from_static(b"no").into();
    assert_eq!(refusal.size_hint().exact(), Some(2));
    assert_eq!(poll(pin!(refusal)), text("no"));
    let empty = ResponseBody::<Script>::default();
    assert!(empty.is_end_stream() && empty.size_hint().exact() == Some(0));
    assert_eq!(poll(pin!(empty)), Poll::Ready(None));
}

#[tokio::test]
async fn the_waker_of_the_last_poll_is_woken() {
    use std::sync::atomic::{AtomicBool, Ordering};
    struct Woken(AtomicBool);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let setting = Setting::new().await;
    let mut body = pin!(ResponseBody::new(script([], false), Some(setting.guard(Protocol::Grpc))));
    let woken: Vec<Arc<Woken>> = (0..2).map(|_| Arc::new(Woken(AtomicBool::new(false)))).collect();
    for woken in &woken {
        let waker = Arc::clone(woken).into();
        assert!(body.as_mut().poll_frame(&mut Context::from_waker(&waker)).is_pending());
    }
    setting.revoke();
    let woken: Vec<bool> = woken.iter().map(|woken| woken.0.load(Ordering::SeqCst)).collect();
    assert_eq!(woken, [false, true]);
}

#[test]
fn without_its_home_nothing_goes_on() {
    let known = Arc::new(crate::known::tests::known(1));
    let token: VerifiedToken = VerifiedToken::new(Arc::<Known>::clone(&known), true);
    let mut revoked = pin!(token.revoked());
    let ended = revoked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(ended, Poll::Ready(Ended::Unavailable));
}
