//! A TCP proxy that can swallow everything: neither an answer nor a reset, as a network does that has
//! come apart.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Hands it on.
    Forward,
    /// Swallows it.
    Swallow,
    /// Hands it on until a client commits: that is swallowed, and whatever comes after it.
    SwallowCommit,
    /// Hands it on until a client has committed: the answer is swallowed, and whatever comes after it.
    SwallowAnswer,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    pub(crate) async fn to(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let (mode, watched) = watch::channel(Mode::Forward);
        let this = Self { port: listener.local_addr().expect("an address").port(), mode: mode.clone() };
        let host = host.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, (host.clone(), port), mode.clone(), watched.clone()));
            }
        });
        this
    }

    /// Connections that were swallowed stay so.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn connect(
    client: TcpStream,
    server: (String, u16),
    mode: watch::Sender<Mode>,
    watched: watch::Receiver<Mode>,
) {
    if *watched.borrow() == Mode::Swallow {
        return swallow((client, mode)).await;
    }
    let server = TcpStream::connect(server).await.expect("the server is there");
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(
        forward(from_client, to_server, mode.clone(), watched.clone()),
        forward(from_server, to_client, mode, watched)
    );
}

/// Forwards until one side ends or the mode says to swallow.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mode: watch::Sender<Mode>,
    mut watched: watch::Receiver<Mode>,
) {
    let mut bytes = [0; 8 * 1024];
    loop {
        let length = tokio::select! {
            biased;
            () = swallowing(&mut watched) => return swallow((from, to, mode)).await,
            read = from.read(&mut bytes) => read.unwrap_or(0),
        };
        if length == 0 {
            let _ = to.shutdown().await;
            return;
        }
        let sent = &bytes[..length];
        let commits = sent.windows(7).any(|window| window == b"COMMIT\0") && sent[0] == b'Q';
        let now = *watched.borrow();
        if commits && matches!(now, Mode::SwallowCommit | Mode::SwallowAnswer) {
            mode.send_replace(Mode::Swallow);
            if now == Mode::SwallowCommit {
                return swallow((from, to, mode)).await;
            }
        }
        if to.write_all(sent).await.is_err() {
            return;
        }
    }
}

/// Ends when the mode says to swallow.
async fn swallowing(watched: &mut watch::Receiver<Mode>) {
    // An error means that the test is over.
    let _ = watched.wait_for(|mode| *mode == Mode::Swallow).await;
}

/// Keeps the sockets open and does nothing more with them.
async fn swallow<T>(sockets: T) {
    std::future::pending::<()>().await;
    drop(sockets);
}
