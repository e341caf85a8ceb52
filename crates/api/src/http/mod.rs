//! The HTTP port: the probes, the REST API, the page for people, and what gateways ask.

mod base_path;
pub(crate) mod cross_site;
mod door;
mod error;
mod health_port;
mod probes;
mod serving;
mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use gatekey_core::Tokens;
use http::{HeaderName, HeaderValue};
use tokio::net::TcpListener;

use crate::connections::Incoming;
use crate::gateway::forward_auth;
use crate::tls::{Protocol, Tls};
use crate::{Authenticator, Gateways, Readiness, console, rest};

pub use base_path::BasePath;
pub(crate) use cross_site::CrossSite;
pub(crate) use door::Doorkeeper;
pub(crate) use error::JsonError;
pub use health_port::serve_health;
pub use sign_in::{DevelopmentSignIn, Sign};

/// People, probes and gateways need few.
const MAX_CONNECTIONS: usize = 1_024;

/// Who scrapes figures needs one.
const MAX_SCRAPERS: usize = 32;

/// What the HTTP port needs.
#[derive(Clone)]
pub struct Surface {
    /// The use cases.
    pub tokens: Tokens,
    /// Finds out who calls.
    pub authenticator: Arc<Authenticator>,
    /// Finds out which gateways may ask.
    pub gateways: Gateways,
    /// What the probes say.
    pub readiness: Readiness,
    /// What an operator decides.
    pub settings: Settings,
    /// In development mode, and only there: signs people in. Then only local callers are answered, too.
    pub development: Option<DevelopmentSignIn>,
    /// Whether each request has a span of a trace, for the layer of OpenTelemetry that is installed.
    pub traces: bool,
}

/// What an operator decides about the HTTP port.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the page is.
    pub base_path: BasePath,
    /// The header in which what stands in front sends the JWT of who is signed in; `authorization` counts as well.
    pub jwt_header: Option<HeaderName>,
    /// Where people go who may not open the page.
    pub home: Option<String>,
    /// Links at the end of the page, each a text and a URL.
    pub next_steps: Vec<(String, String)>,
    /// Origins whose pages may call the REST API.
    pub cors_origins: Vec<HeaderValue>,
    /// The header in which gateways say which type a route asks for, beside the query. They must set it: their clients can.
    pub gateway_type_header: Option<HeaderName>,
}

/// The routes of the HTTP port.
pub fn router(surface: Surface) -> Router {
    let Surface { tokens, authenticator, gateways, readiness, settings, development, traces } = surface;
    let only_local = development.is_some();
    let doorkeeper = Doorkeeper::new(authenticator, &settings, development.as_ref());
    let base = settings.base_path.as_str();

    let forward_auth = forward_auth::router(tokens.clone(), gateways, settings.gateway_type_header.clone());
    let api = rest::router(tokens, doorkeeper.clone(), &settings.cors_origins);
    let mut router = Router::new().merge(probes::router(readiness)).nest(rest::PREFIX, api.clone());
    if base != "/" {
        router = router.nest(&format!("{base}{}", &rest::PREFIX[1..]), api);
    }
    router = router.merge(console::router(&settings, doorkeeper, development));
    router = router.fallback(error::path_unknown).method_not_allowed_fallback(error::method_not_allowed);
    if only_local {
        router = router.layer(from_fn(crate::loopback::only_local));
    }
    // Outside of that: gateways have forwarding headers, and prove themselves.
    door::around(router.merge(forward_auth), base, traces)
}

/// Serves the routes, by TLS if there is some, until `stop` resolves and what runs then is finished.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, stop: impl Future<Output = ()>) {
    serving::serve(Incoming::new(listener, MAX_CONNECTIONS, tls, Protocol::Http), router, stop).await;
}

/// Serves figures until it is dropped, in development mode to local callers only.
pub async fn serve_figures(listener: TcpListener, router: Router, only_local: bool) {
    serving::serve_apart(listener, MAX_SCRAPERS, router, only_local).await;
}
