//! How a stream is opened: at a server, by what proves this service.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::Up;
use gatekey_proto::v1::WatchResponse;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use super::ask::told;
use super::servers::Remote;
use super::target::{Target, innermost};
use super::{Authorization, prove, wire};
use crate::shared::Shared;

/// How long the server may take to open a stream.
const OPEN: Duration = Duration::from_secs(2);

/// A stream that a server has taken.
pub(super) struct Opened {
    pub(super) target: Arc<Target>,
    pub(super) authorization: Authorization,
    pub(super) down: Streaming<WatchResponse>,
}

/// The stream, and by what is said on it.
pub(super) type Taken = (Opened, mpsc::UnboundedSender<Up>);
/// Nothing if there is no reason for another.
pub(super) type Opening<'a> = Pin<Box<dyn Future<Output = Result<Option<Taken>, String>> + Send + 'a>>;

/// Until a server has taken the stream. Whatever is wrong before that costs no lease: it may be a proxy that is there
/// without a server, or a JWT that nobody takes yet. Then that which was taken last may do.
pub(super) async fn open(shared: &Shared, remote: &Remote, target: &Arc<Target>) -> Result<Taken, String> {
    let proofs = remote.authorizations(shared).map_err(|problem| problem.to_string())?;
    open_by(Arc::clone(target), proofs).await
}

async fn open_by(target: Arc<Target>, proofs: Vec<Authorization>) -> Result<Taken, String> {
    let opened = async {
        let channel: Channel =
            target.connect().await.map_err(|cause| format!("{}: {}", target.name, innermost(&cause)))?;
        let mut service = RevocationServiceClient::new(channel);
        let mut refused = None;
        for authorization in proofs {
            let (out, sent) = mpsc::unbounded_channel();
            let mut request: Request<_> = Request::new(UnboundedReceiverStream::new(sent).map(wire::up));
            prove(&mut request, &authorization);
            match service.watch(request).await {
                Ok(down) => return Ok((authorization, down.into_inner(), out)),
                Err(status) if status.code() == Code::Unauthenticated => {
                    refused = refused.or(Some(status));
                }
                Err(status) => return Err(told(&target, "Watch", &status)),
            }
        }
        let refused = refused.unwrap_or_else(|| Status::unauthenticated("nothing proves this service"));
        Err(told(&target, "Watch", &refused))
    };
    match timeout(OPEN, opened).await {
        Ok(opened) => opened.map(|(authorization, down, out)| (Opened { target, authorization, down }, out)),
        Err(_) => Err(format!("{}: Watch: no answer in time", target.name)),
    }
}

/// The stream that is to take this one's place at the same server, by what proves this service now. This one goes on until
/// it is there.
pub(super) async fn successor(
    shared: &Shared,
    remote: &Remote,
    before: Arc<Target>,
    used: Authorization,
) -> Result<Option<Taken>, String> {
    let targets = remote.resolve(shared).await;
    let mut same = targets.iter().find(|target| target.is_at(&before));
    // Its name stands for others by now, who get the new certificate. A new JWT is as good here.
    if same.is_none() && remote.rotated(std::slice::from_ref(&before)) {
        same = targets.first();
    }
    let target = same.unwrap_or(&before);
    let newest = remote.newest_authorization(shared).map_err(|problem| problem.to_string())?;
    // Files of TLS that can't be used have changed nothing.
    if Arc::ptr_eq(target, &before) && newest == used {
        return Ok(None);
    }
    open_by(Arc::clone(target), vec![newest]).await.map(Some)
}

/// Never, if none is under way.
pub(super) async fn coming(next: &mut Option<Opening<'_>>) -> Result<Option<Taken>, String> {
    match next {
        Some(next) => next.await,
        None => std::future::pending().await,
    }
}

/// Whether new credentials are there: the stream under the old ones ends when they expire.
pub(super) fn rotated(shared: &Shared, remote: &Remote, stream: &Opened) -> bool {
    // What can't be read now may be in the middle of a rotation.
    remote.newest_authorization(shared).is_ok_and(|now| now != stream.authorization)
        || remote.rotated(std::slice::from_ref(&stream.target))
}
