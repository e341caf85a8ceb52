//! What every call of the gRPC port passes through, in this order: its id and span, loopback, the form of errors, the
//! deadline, and who calls. One middleware and not one for each: each costs a boxed future and a clone of the router.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{authenticate, complete, deadline, public_streams};
use crate::call_id::{self, KnownPaths};
use crate::{Authenticator, Readiness, loopback};

pub(super) struct Door {
    pub(super) paths: KnownPaths,
    /// Whether only local callers are answered.
    pub(super) only_local: bool,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) readiness: Readiness,
}

pub(super) async fn pass(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    call_id::identify(&door.paths, request, |request| inside(&door, request, next)).await
}

async fn inside(door: &Door, request: Request, next: Next) -> Response {
    if door.only_local
        && let Err(refusal) = loopback::check(request.uri(), request.headers())
    {
        return loopback::refuse(request.headers(), refusal);
    }
    let ours = complete::is_ours(request.uri().path());
    let response = deadline::keep(request, |request| authenticated(door, request, next)).await;
    if ours { complete::complete(response) } else { response }
}

async fn authenticated(door: &Door, mut request: Request, next: Next) -> Response {
    if authenticate::is_public(request.uri().path()) {
        return next.run(public_streams::end_on_drain(&door.readiness, request)).await;
    }
    match authenticate::caller(&door.authenticator, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_status().into_http(),
    }
}
