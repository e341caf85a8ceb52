//! What is left of a request that is answered before it was read.
//!
//! Over HTTP/2, a client that is refused by its headers has its message on the way: nearly every unary gRPC call. The h2 crate, from
//! 0.4.16 on, charges each small DATA frame to a budget of the connection and gives that back when the frame is read. A frame that
//! comes after its stream's body was dropped is read by nobody. After some 2,000 of those, unless large frames came meanwhile, h2
//! closes the connection with `ENHANCE_YOUR_CALM` and "`too_many_data_frames`", and with it the calls of everybody who shares it. A
//! client with a wrong token would do that to all the others behind the same proxy.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Buf;
use http::{Request, Version};
use http_body::Body;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// No more is read of a body, in bytes: a message, and not a file.
const AT_MOST: usize = 64 * 1024;
/// A frame counts as at least so many of them, as h2 counts it.
const FRAME: usize = 256;
/// And for no longer: what was on its way has come by then. A client that sends on has its stream reset.
const WITHIN: Duration = Duration::from_millis(500);
/// So many are read in the background at once, in all of the process; beyond it, bodies are dropped.
const AT_ONCE: usize = 4_096;

static READING: AtomicUsize = AtomicUsize::new(0);

/// One of those that are read in the background.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        // Made before the count is looked at, so that it is given back in any case.
        let place = Self;
        (READING.fetch_add(1, Ordering::Relaxed) < AT_ONCE).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        READING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads the rest of an HTTP/2 request that nobody will read, in the background: up to 64 KiB, for up to half a second, and
/// for up to 4,096 requests at once. To be called where a request is answered without its handler; the answer does not wait for it.
///
/// Over HTTP/1 it drops the request, as it does where there is no Tokio runtime. A runtime without timers reads nothing.
pub fn drain<B>(request: Request<B>)
where
    B: Body + Send + 'static,
{
    if request.version() == Version::HTTP_2 {
        drain_body(request.into_body());
    }
}

/// The same for the body of an HTTP/2 request.
pub fn drain_body<B>(body: B)
where
    B: Body + Send + 'static,
{
    if body.is_end_stream() {
        return;
    }
    let mut rest = Box::pin(read(body));
    // Mostly all of it is there already.
    if rest.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        && let Ok(runtime) = Handle::try_current()
        && let Some(place) = Place::take()
    {
        // The timer is made by the task: without a driver for it, that alone panics.
        runtime.spawn(async move {
            let _place = place;
            timeout(WITHIN, rest).await
        });
    }
}

async fn read<B: Body>(body: B) {
    let mut body = std::pin::pin!(body);
    let mut left = AT_MOST;
    while let Some(Ok(frame)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let size = frame.data_ref().map_or(0, Buf::remaining);
        match left.checked_sub(size.max(FRAME)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use bytes::Bytes;
    use http_body::Frame;
    use tokio::sync::mpsc;

    use super::*;

    /// A body whose frames come by a channel; its end of that is closed when it is dropped.
    struct Sent {
        frames: mpsc::Receiver<usize>,
        read: Arc<AtomicUsize>,
    }

    impl Body for Sent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.frames.poll_recv(context).map(|size| {
                let size = size?;
                self.read.fetch_add(size, Ordering::SeqCst);
                Some(Ok(Frame::data(vec![0; size].into())))
            })
        }
    }

    struct Client {
        send: mpsc::Sender<usize>,
        read: Arc<AtomicUsize>,
    }

    fn request(version: Version) -> (Client, Request<Sent>) {
        let (send, frames) = mpsc::channel(100);
        let read = Arc::new(AtomicUsize::new(0));
        let mut request = Request::new(Sent { frames, read: Arc::clone(&read) });
        *request.version_mut() = version;
        (Client { send, read }, request)
    }

    impl Client {
        fn read(&self) -> usize {
            self.read.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_answer_is_read_to_its_end() {
        let (client, request) = request(Version::HTTP_2);
        client.send.send(5).await.expect("room");
        drain(request);
        assert_eq!(client.read(), 5, "what was there already takes no task");
        for _ in 0..3 {
            client.send.send(7).await.expect("not dropped");
        }
        let Client { send, read } = client;
        drop(send);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(read.load(Ordering::SeqCst), 26);
        assert_eq!(Arc::strong_count(&read), 1, "the body is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_on_and_on_is_not_read_for_ever() {
        let (client, request) = request(Version::HTTP_2);
        let begun = tokio::time::Instant::now();
        drain(request);
        client.send.send(5).await.expect("not dropped");
        client.send.closed().await;
        assert_eq!(begun.elapsed(), WITHIN);
        assert_eq!(client.read(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_read_than_is_on_its_way() {
        let (client, request) = request(Version::HTTP_2);
        let begun = tokio::time::Instant::now();
        drain(request);
        while client.send.send(16 * 1024).await.is_ok() {}
        assert!(client.read() <= AT_MOST + 16 * 1024, "{}", client.read());
        assert!(begun.elapsed() < WITHIN);
    }

    #[tokio::test]
    async fn over_http_1_nothing_is_read() {
        // It would ask a client that waits for `100 Continue` to send.
        let (client, request) = request(Version::HTTP_11);
        client.send.send(5).await.expect("room");
        drain(request);
        client.send.closed().await;
        assert_eq!(client.read(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn many_small_frames_are_not_read_for_long() {
        let (client, request) = request(Version::HTTP_2);
        drain(request);
        while client.send.send(0).await.is_ok() {}
    }

    #[test]
    fn without_timers_only_the_task_is_lost() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (client, request) = request(Version::HTTP_2);
        runtime.block_on(async {
            drain(request);
            client.send.closed().await;
        });
    }

    #[test]
    fn without_a_runtime_it_is_dropped() {
        let (client, request) = request(Version::HTTP_2);
        drain(request);
        assert!(client.send.is_closed());
    }
}
