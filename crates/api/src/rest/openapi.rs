//! The OpenAPI document, from the handlers and messages themselves.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{messages, tokens, user};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gatekey",
        description = "API tokens: create, list, delete. Whoever calls proves themselves by a JWT, never by an API token.",
    ),
    servers((url = "/api/v3")),
    paths(tokens::create, tokens::list, tokens::delete, user::user),
    components(schemas(messages::Failure, messages::FailureDetail, messages::Kind)),
    modifiers(&Jwt),
)]
struct Document;

struct Jwt;

impl Modify for Jwt {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("jwt", SecurityScheme::Http(http));
    }
}

static JSON: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

/// The document. Anybody may read it: it shows nothing of any tenant.
pub(super) async fn document() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, JSON.as_str()).into_response()
}
