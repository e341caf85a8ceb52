//! `/api/v3/user`: who is signed in.

use axum::extract::{Request, State};
use axum::response::Response;
use gatekey_core::Role;
use http::StatusCode;

use super::messages::{Failure, User, UserResult, UserRole};
use super::{Context, private};
use crate::http::JsonError;

/// Says which roles the caller has.
#[utoipa::path(
    get, path = "/user", tag = "user", operation_id = "getUser",
    responses(
        (status = 200, description = "The roles that Gatekey knows; there may be none", body = User),
        (status = 401, description = "No credentials, or bad ones", body = Failure),
        (status = 500, description = "A fault of Gatekey", body = Failure),
        (status = 503, description = "Nobody can tell now: try again", body = Failure),
    ),
    security(("jwt" = [])),
)]
pub(super) async fn user(State(rest): Context, request: Request) -> Result<Response, JsonError> {
    let call = rest.doorkeeper.call(request.headers(), request.extensions()).await?;
    let roles = Role::ALL.into_iter().filter(|role| call.caller.roles.has(*role));
    let roles = roles.map(|role| UserRole { value: role.as_str() }).collect();
    Ok(private(StatusCode::OK, &User { result: UserResult { roles } }))
}
