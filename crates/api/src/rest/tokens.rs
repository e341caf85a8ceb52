//! `/api/v3/tokens`: create, list, delete.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use gatekey_core::{Action, Call, ListTokens, PAGE_MAX};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};

use super::messages::{CreateHeaders, CreatedToken, Failure, NewToken, TokenList};
use super::{Context, IDEMPOTENCY_KEY, Rest, body, private};
use crate::ApiError;
use crate::convert::json;
use crate::http::{JsonError, cross_site};

/// Creates a token.
#[utoipa::path(
    post, path = "/tokens", tag = "tokens", operation_id = "createToken",
    params(CreateHeaders),
    request_body(content = NewToken, content_type = "application/json"),
    responses(
        (status = 201, description = "Created; the value is in this answer and never again", body = CreatedToken),
        (status = 400, description = "Not a JSON object", body = Failure),
        (status = 401, description = "No credentials, or bad ones", body = Failure),
        (status = 403, description = "No role of the caller allows it, or a page of another site calls", body = Failure),
        (status = 409, description = "The token of this Idempotency-Key was deleted since", body = Failure),
        (status = 413, description = "Longer than any valid body", body = Failure),
        (status = 415, description = "Not said to be JSON", body = Failure),
        (status = 422, description = "Fields break rules: all are told", body = Failure),
        (status = 429, description = "The tenant has as many tokens as it may", body = Failure),
        (status = 500, description = "A fault of Gatekey", body = Failure),
        (status = 503, description = "Nobody can tell now: try again", body = Failure),
        (status = 507, description = "The store has no room left", body = Failure),
    ),
    security(("jwt" = [])),
)]
pub(super) async fn create(State(rest): Context, request: Request) -> Result<Response, JsonError> {
    let (Parts { uri, headers, extensions, .. }, received) = request.into_parts();
    let call = rest.doorkeeper.call(&headers, &extensions).await?;
    check_site(&rest, &call, (Action::Create, None), &uri, &headers).await?;
    body::check_type(&headers)?;
    let object = body::object(received).await?;
    let request = json::create_request(&object, idempotency_key(&headers));
    let created = rest.tokens.create(&call, request).await.map_err(ApiError::from)?;
    Ok(private(StatusCode::CREATED, &json::created(&created)))
}

/// Whether a call may come from where it comes from. Its caller is known, so a refusal is audited.
async fn check_site(
    rest: &Rest,
    call: &Call,
    (action, token_id): (Action, Option<i64>),
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let checked = rest.cross_site.check(uri, headers);
    if checked.is_err() {
        rest.tokens.record_refusal(call, action, token_id, cross_site::REFUSAL).await;
    }
    checked
}

/// What is not one text is no UUID either, and refused as such.
fn idempotency_key(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next()?;
    Some(if values.next().is_none() { value.to_str().unwrap_or_default() } else { "" })
}

/// Lists all tokens of the caller's tenant.
#[utoipa::path(
    get, path = "/tokens", tag = "tokens", operation_id = "listTokens",
    responses(
        (status = 200, description = "All of them, newest first, without their values", body = TokenList),
        (status = 401, description = "No credentials, or bad ones", body = Failure),
        (status = 403, description = "No role of the caller allows it", body = Failure),
        (status = 500, description = "A fault of Gatekey", body = Failure),
        (status = 503, description = "Nobody can tell now: try again", body = Failure),
    ),
    security(("jwt" = [])),
)]
pub(super) async fn list(State(rest): Context, request: Request) -> Result<Response, JsonError> {
    let call = rest.doorkeeper.call(request.headers(), request.extensions()).await?;
    let mut tokens = Vec::new();
    let mut after = None;
    loop {
        let request = ListTokens { page_size: PAGE_MAX, after };
        let page = rest.tokens.list(&call, Ok(request)).await.map_err(ApiError::from)?;
        tokens.extend(page.tokens);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let list = TokenList { tokens: tokens.iter().map(json::token).collect() };
    Ok(private(StatusCode::OK, &list))
}

/// Deletes a token. Answers once no service accepts it any more; that may take 1.25 leases.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "tokens", operation_id = "deleteToken",
    params(("id" = i64, Path, minimum = 1, description = "The token's id")),
    responses(
        (status = 204, description = "Revoked everywhere; so it is for a token that was deleted before"),
        (status = 401, description = "No credentials, or bad ones", body = Failure),
        (status = 403, description = "No role of the caller allows it, or a page of another site calls", body = Failure),
        (status = 404, description = "The tenant has no such token", body = Failure),
        (status = 422, description = "Not an id", body = Failure),
        (status = 500, description = "A fault of Gatekey", body = Failure),
        (status = 503, description = "Nobody can tell now: repeat it", body = Failure),
        (status = 507, description = "The store has no room left", body = Failure),
    ),
    security(("jwt" = [])),
)]
pub(super) async fn delete(
    State(rest): Context,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<Response, JsonError> {
    let call = rest.doorkeeper.call(request.headers(), request.extensions()).await?;
    // A path that is not UTF-8 has no id.
    let delete = json::delete_request(id.as_ref().map_or("", |Path(id)| id));
    let token_id = delete.as_ref().ok().map(|delete| delete.id.get());
    check_site(&rest, &call, (Action::Delete, token_id), request.uri(), request.headers()).await?;
    rest.tokens.delete(&call, delete).await.map_err(ApiError::from)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
