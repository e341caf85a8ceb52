//! The sign-in page of development mode: choose a tenant and roles. Outside of that mode there is no such route, and nobody
//! who could sign.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use gatekey_core::Role;
use gatekey_model::TenantId;
use gatekey_proto::v1::ErrorReason;
use http::{StatusCode, header};

use super::{Console, see_other};
use crate::ApiError;
use crate::http::{CrossSite, DevelopmentSignIn};

/// More than any answer of the form.
const MAX_BYTES: usize = 4 * 1024;

struct SignIn {
    console: Arc<Console>,
    development: DevelopmentSignIn,
}

pub(super) fn router(console: Arc<Console>, development: DevelopmentSignIn) -> Router {
    let path = console.sign_in();
    Router::new().route(&path, get(form).post(sign_in)).with_state(Arc::new(SignIn { console, development }))
}

async fn form(State(state): State<Arc<SignIn>>) -> Response {
    state.console.documents.sign_in(StatusCode::OK, "")
}

async fn sign_in(State(state): State<Arc<SignIn>>, request: Request) -> Response {
    if let Err(refused) = CrossSite::default().check(request.uri(), request.headers()) {
        return state.again(&refused);
    }
    let Ok(body) = to_bytes(request.into_body(), MAX_BYTES).await else {
        return state.again(&ApiError::new(ErrorReason::RequestTooLarge));
    };
    let (mut tenant, mut roles) = (None, Vec::new());
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "tenant" => tenant = TenantId::parse(value.trim()).ok(),
            "role" => roles.extend(Role::from_name(&value)),
            _ => {}
        }
    }
    let Some(tenant) = tenant else {
        let problem = "A tenant has 1 to 255 characters, none of them a control character";
        return state.console.documents.sign_in(StatusCode::UNPROCESSABLE_ENTITY, problem);
    };
    let Some(cookie) = state.development.session(&tenant, &roles, &state.console.base) else {
        return state.again(&ApiError::new(ErrorReason::Internal));
    };
    let mut response = see_other(&state.console.base);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

impl SignIn {
    /// The form once more, with what is wrong.
    fn again(&self, error: &ApiError) -> Response {
        self.console.documents.sign_in(error.http_status(), error.message())
    }
}
