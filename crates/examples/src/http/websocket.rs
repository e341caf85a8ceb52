//! `/v1/realtime`: a WebSocket. What goes over it is no body of HTTP any more, so it ends itself with its token.

use std::time::Duration;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::response::Response;
use gatekey_interceptor::{Ended, VerifiedToken};
use tokio::time::timeout;

/// How long a client is waited for that does not read that it is over, or does not say that it has.
const FAREWELL: Duration = Duration::from_secs(1);

/// Answers each message until the client is done or the token has ended.
pub(super) async fn realtime(upgrade: WebSocketUpgrade, token: VerifiedToken) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let ended = tokio::select! {
            // First, so that no message is answered after it.
            biased;
            ended = token.revoked() => ended,
            () = converse(&mut socket) => return,
        };
        // Either way the connection is dropped now.
        timeout(FAREWELL, close(socket, ended)).await.ok();
    })
}

async fn converse(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let length = match message {
            Message::Binary(audio) => audio.len(),
            Message::Text(text) => text.len(),
            // axum answers these by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
        };
        if socket.send(Message::text(format!("heard {length} bytes"))).await.is_err() {
            return;
        }
    }
}

/// Says why it is over, and reads on until the client has said that it knows: what it sent and nobody read would reset
/// the connection, and the reason might be lost.
async fn close(mut socket: WebSocket, ended: Ended) {
    let code = match ended {
        Ended::Revoked | Ended::Expired => close_code::POLICY,
        Ended::Unavailable => close_code::AGAIN,
    };
    let frame = CloseFrame { code, reason: ended.refusal().message().into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
