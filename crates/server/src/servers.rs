//! The two ports as they are served, each by a task of its own: from the first connection to the last answer.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use gatekey_api::{Tls, grpc, http};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tonic::service::Routes;
use tracing::error;

use crate::Failure;

pub(crate) struct Servers {
    /// Dropped, so that nothing new is taken.
    open: Option<watch::Sender<()>>,
    grpc: JoinHandle<Result<(), tonic::transport::Error>>,
    http: JoinHandle<()>,
}

impl Servers {
    pub(crate) fn start(
        grpc: (TcpListener, Routes),
        connection_age: Duration,
        http: (TcpListener, Router),
        tls: Option<Tls>,
    ) -> Self {
        let (open, closed) = watch::channel(());
        let stop = until_dropped(closed.clone());
        let grpc = tokio::spawn(grpc::serve(grpc.0, tls.clone(), grpc.1, connection_age, stop));
        let http = tokio::spawn(http::serve(http.0, tls, http.1, until_dropped(closed)));
        Self { open: Some(open), grpc, http }
    }

    /// Waits until one of them has ended by itself, which it never should.
    pub(crate) async fn ended(&mut self) -> Failure {
        tokio::select! {
            ended = &mut self.grpc => fault("the gRPC server", ended),
            ended = &mut self.http => fault("the HTTP server", ended.map(Ok::<(), Infallible>)),
        }
    }

    /// Takes no connection any more, and tells those that are there: GOAWAY, `connection: close`.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// Waits until all that runs is finished. After [`Self::close`].
    pub(crate) async fn drained(&mut self) {
        let (grpc, http) = tokio::join!(&mut self.grpc, &mut self.http);
        if let Ok(Err(cause)) = grpc {
            error!(%cause, "the gRPC server failed while it drained");
        }
        if let Err(cause) = http {
            error!(%cause, "the HTTP server failed while it drained");
        }
    }
}

fn fault<E: std::fmt::Display>(which: &str, ended: Result<Result<(), E>, JoinError>) -> Failure {
    match ended {
        Ok(Ok(())) => Failure::Run(format!("{which} ended by itself")),
        Ok(Err(cause)) => Failure::run(&format!("{which} failed"), cause),
        Err(cause) => Failure::run(&format!("{which} failed"), cause),
    }
}

async fn until_dropped(mut closed: watch::Receiver<()>) {
    // Nothing is ever sent: the channel's end is the sign.
    while closed.changed().await.is_ok() {}
}
