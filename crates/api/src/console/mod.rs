//! The page "API keys" for people: documents and assets, all from this binary.
//!
//! The page calls the REST API as any other caller does. What is decided here is only who may see it at all.

mod assets;
mod documents;
mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use gatekey_core::Role;
use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::ApiError;
use crate::http::{DevelopmentSignIn, Doorkeeper, Settings};
use assets::Assets;
use documents::{Documents, Notice};

/// The sign-in page of development mode, below the base path.
const SIGN_IN: &str = "dev/sign-in";

/// What the handlers need.
struct Console {
    assets: Assets,
    documents: Documents,
    doorkeeper: Doorkeeper,
    base: String,
    home: Option<String>,
}

type Context = State<Arc<Console>>;

/// The routes of the page, below the base path of the settings.
pub(crate) fn router(
    settings: &Settings,
    doorkeeper: Doorkeeper,
    development: Option<DevelopmentSignIn>,
) -> Router {
    let base = settings.base_path.as_str();
    let assets = Assets::embedded();
    let prefix = assets.prefix(base);
    let documents = Documents::new(base, &prefix, settings, development.is_some());
    let home = settings.home.clone();
    let console = Arc::new(Console { assets, documents, doorkeeper, base: base.to_owned(), home });
    let mut router =
        Router::new().route(base, get(page)).route(&format!("{base}assets/{{version}}/{{name}}"), get(asset));
    if base != "/" {
        let to = base.to_owned();
        router = router.route(base.trim_end_matches('/'), get(|| async move { Redirect::permanent(&to) }));
    }
    let router = router.with_state(Arc::clone(&console));
    match development {
        Some(development) => router.merge(sign_in::router(console, development)),
        None => router,
    }
}

/// The paths that logs may show.
pub(crate) fn known_paths(base: &str) -> impl Iterator<Item = String> {
    [base.to_owned(), base.trim_end_matches('/').to_owned(), format!("{base}{SIGN_IN}")].into_iter()
}

/// The page, for developers. Everybody else gets none of it.
async fn page(State(console): Context, request: Request) -> Response {
    match console.doorkeeper.caller(request.headers(), request.extensions()).await {
        Ok(caller) if caller.roles.has(Role::Developer) => console.documents.page(request.headers()),
        Ok(_) => console.sent_home(),
        Err(error) => console.not_known(&error),
    }
}

impl Console {
    fn sent_home(&self) -> Response {
        if let Some(home) = &self.home {
            return see_other(home);
        }
        let action = self.documents.is_development.then(|| ("Choose other roles", self.sign_in()));
        self.documents.notice(StatusCode::FORBIDDEN, &Notice {
            title: "This page is for developers",
            message: "You are signed in, but without the developer role. Ask an administrator of your organisation for it.",
            action,
        })
    }

    fn not_known(&self, error: &ApiError) -> Response {
        let status = error.http_status();
        match error.reason() {
            ErrorReason::CredentialsMissing | ErrorReason::CredentialsInvalid
                if self.documents.is_development =>
            {
                see_other(&self.sign_in())
            }
            ErrorReason::CredentialsMissing | ErrorReason::CredentialsInvalid => self.documents.notice(
                status,
                &Notice {
                    title: "You are not signed in",
                    message: "Whoever signs people in for this page did not say who you are.",
                    action: self.home.clone().map(|home| ("Go to the start page", home)),
                },
            ),
            _ => self.documents.notice(
                status,
                &Notice {
                    title: "This does not work right now",
                    message: "Nobody can tell at the moment whether you are signed in. Try again soon.",
                    action: Some(("Try again", self.base.clone())),
                },
            ),
        }
    }

    fn sign_in(&self) -> String {
        format!("{}{SIGN_IN}", self.base)
    }
}

fn see_other(to: &str) -> Response {
    let Ok(to) = HeaderValue::try_from(to) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [(header::LOCATION, to), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

async fn asset(
    State(console): Context,
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, crate::http::JsonError> {
    let found = console.assets.get(&version, &name, &headers);
    found.ok_or_else(|| ApiError::new(ErrorReason::PathUnknown).into())
}
