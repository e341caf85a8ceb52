//! Over a WebSocket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gatekey_interceptor::{FakeGatekey, TokenType};
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::start_http;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a WebSocket goes over.
trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

async fn connect(address: SocketAddr, value: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{address}/v1/realtime").into_client_request().expect("a request");
    let bearer = format!("Bearer {value}").parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    connect_async(request).await.map(|(socket, _)| socket)
}

/// By the extended CONNECT of HTTP/2 (RFC 8441).
async fn connect_by_http2(address: SocketAddr, value: &str) -> WebSocketStream<impl Io> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    let mut request = hyper::Request::connect(format!("http://{address}/v1/realtime"));
    request =
        request.header("authorization", format!("Bearer {value}")).header("sec-websocket-version", "13");
    request = request.extension(Protocol::from_static("websocket"));
    sender.ready().await.expect("open");
    let answer =
        sender.send_request(request.body(String::new()).expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let socket = hyper::upgrade::on(answer).await.expect("a socket");
    WebSocketStream::from_raw_socket(TokioIo::new(socket), Role::Client, None).await
}

async fn answer(socket: &mut WebSocketStream<impl Io>, message: Message) -> Message {
    socket.send(message).await.expect("open");
    socket.next().await.expect("an answer").expect("no error")
}

async fn close_frame(mut socket: WebSocketStream<impl Io>) -> CloseFrame {
    let Message::Close(Some(frame)) = socket.next().await.expect("a message").expect("no error") else {
        panic!("something else than the end, and its reason");
    };
    // It goes through to a good end.
    assert!(socket.next().await.is_none());
    frame
}

#[tokio::test]
async fn a_conversation_ends_with_its_token() {
    let fake = FakeGatekey::start();
    let address = start_http(&fake).await;
    let (gone, stays) = (fake.token(TokenType::Realtime).mint(), fake.token(TokenType::Realtime).mint());
    let mut ends = connect(address, &gone).await.expect("good");
    let mut goes_on = connect(address, &stays).await.expect("good");
    for socket in [&mut ends, &mut goes_on] {
        let audio = Message::binary(vec![0; 320]);
        assert_eq!(answer(socket, audio).await, Message::text("heard 320 bytes"));
        assert_eq!(answer(socket, Message::text("hello")).await, Message::text("heard 5 bytes"));
    }

    fake.revoke(&gone);
    let frame = close_frame(ends).await;
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Policy, "the API token is not valid"));
    assert_eq!(answer(&mut goes_on, Message::text("hello")).await, Message::text("heard 5 bytes"));

    // A year and a day.
    fake.advance(Duration::from_hours(24 * 366));
    assert_eq!(close_frame(goes_on).await.code, CloseCode::Policy);
}

#[tokio::test]
async fn a_conversation_over_http2_ends_with_its_token() {
    let fake = FakeGatekey::start();
    let realtime = fake.token(TokenType::Realtime).mint();
    let mut socket = connect_by_http2(start_http(&fake).await, &realtime).await;
    assert_eq!(answer(&mut socket, Message::text("hello")).await, Message::text("heard 5 bytes"));
    fake.revoke(&realtime);
    assert_eq!(close_frame(socket).await.code, CloseCode::Policy);
}

#[tokio::test]
async fn nobody_can_tell_is_another_end() {
    let fake = FakeGatekey::start();
    let address = start_http(&fake).await;
    let realtime = fake.token(TokenType::Realtime).mint();
    let mut socket = connect(address, &realtime).await.expect("good");
    assert_eq!(answer(&mut socket, Message::text("hello")).await, Message::text("heard 5 bytes"));
    fake.outage(true);
    assert_eq!(answer(&mut socket, Message::text("hello")).await, Message::text("heard 5 bytes"));
    fake.advance(Duration::from_mins(2));
    assert_eq!(close_frame(socket).await.code, CloseCode::Again);
}

#[tokio::test]
async fn the_other_type_is_refused_before_it_begins() {
    let fake = FakeGatekey::start();
    let address = start_http(&fake).await;
    let batch = fake.token(TokenType::Batch).mint();
    let Err(Error::Http(refused)) = connect(address, &batch).await else { panic!("no refusal over HTTP") };
    assert_eq!(refused.status(), 403);
    assert!(refused.headers().contains_key("www-authenticate"));
}
