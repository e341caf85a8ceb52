//! Where an issuer's JWK set is, and how it comes from there: by whose authority the place is known, and by what the server
//! proves itself there. Files of both are read for each fetch, so that they may be exchanged.

use std::fmt;
use std::path::{Path, PathBuf};

use gatekey_core::TRACES;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use reqwest::Url;
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::jwks::FETCH_TIMEOUT;
use crate::loopback::is_loopback_authority;
use crate::traces;

pub(super) const MAX_BYTES: usize = 1 << 20;

/// Where a JWK set is.
#[derive(Clone)]
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// Behind a URL without a user name and password: `https`, or `http` on loopback.
    Url(Url),
    /// Given directly, for the server's own key in development mode.
    Inline(String),
}

impl fmt::Debug for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Url(url) => f.debug_tuple("Url").field(&shown(url).as_str()).finish(),
            Self::Inline(text) => f.debug_tuple("Inline").field(text).finish(),
        }
    }
}

/// How a JWK set is fetched from its URL, where that takes more than to ask. What is written here is the places of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwksAccess {
    /// A file of certificates in PEM: the authorities by which the URL's host is known, in the place of the system's.
    pub ca_file: Option<PathBuf>,
    /// A file that holds a bearer token for the URL's host.
    pub bearer_file: Option<PathBuf>,
}

/// A [`JwksSource`] that can be read.
pub(super) enum Source {
    File(PathBuf),
    Url { url: Url, access: JwksAccess, client: Client },
    Inline(String),
}

/// Who asks.
pub(super) enum Client {
    /// The same each time.
    Kept(reqwest::Client),
    /// Another each time, since the authorities may be others.
    Anew,
}

impl Source {
    pub(super) fn open(source: JwksSource, access: JwksAccess) -> Result<Self, String> {
        match source {
            JwksSource::File(path) => Ok(Self::File(path)),
            JwksSource::Inline(text) => Ok(Self::Inline(text)),
            JwksSource::Url(url) => {
                let told = |cause| format!("{}: {cause}", shown(&url));
                // Made for URLs only: it can't be made where the system has no root certificates.
                let made = client_for(&url, access.ca_file.as_deref()).map_err(told)?;
                access.bearer().map_err(told)?;
                let client = if access.ca_file.is_some() { Client::Anew } else { Client::Kept(made) };
                Ok(Self::Url { url, access, client })
            }
        }
    }

    /// Whether it says the same for ever.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    /// The span of a read from a URL, in the trace of whoever caused it. An issuer is a stranger to the trace: it is not told of it.
    pub(super) fn span(&self) -> Span {
        let Self::Url { url, .. } = self else { return Span::none() };
        traces::apart(|| {
            info_span!(
                target: TRACES,
                parent: None,
                "GET",
                "otel.kind" = "client",
                "http.request.method" = "GET",
                "url.full" = shown(url).as_str(),
                "server.address" = url.host_str(),
                "server.port" = url.port_or_known_default().map(i64::from),
                "http.response.status_code" = Empty,
                "error.type" = Empty,
                "otel.status_code" = Empty,
            )
        })
    }

    pub(super) async fn read(&self) -> Result<String, String> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::File(path) => {
                tokio::fs::read_to_string(path).await.map_err(|error| format!("{}: {error}", path.display()))
            }
            Self::Url { url, access, client } => {
                fetch(url, access, client).await.map_err(|error| format!("{}: {error}", shown(url)))
            }
        }
    }
}

impl JwksAccess {
    /// The header's value, marked as a secret.
    fn bearer(&self) -> Result<Option<HeaderValue>, String> {
        let Some(path) = &self.bearer_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        let value = HeaderValue::try_from(format!("Bearer {}", text.trim()));
        let mut value = value
            .ok()
            .filter(|_| !text.trim().is_empty())
            .ok_or_else(|| format!("{}: holds no bearer token", path.display()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The part of a URL that logs and errors may show: a user name, a password and a query may be secrets.
fn shown(url: &Url) -> Url {
    let mut url = url.clone();
    // A URL that can't have a user name or password has none to take away.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Keys that someone on the way could exchange prove nothing: so `https`, or not over a network at all.
fn client_for(url: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL of an issuer's keys must not have a user name or password".to_owned());
    }
    let client = reqwest::Client::builder()
        .timeout(FETCH_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gatekey/", env!("CARGO_PKG_VERSION")));
    let client = match url.scheme() {
        "https" => client.https_only(true),
        "http" if url.host_str().is_some_and(is_loopback_authority) => client.no_proxy(),
        _ => return Err("keys come by https, or by http from loopback".to_owned()),
    };
    let client = match ca_file {
        Some(path) => client.tls_certs_only(authorities(path)?),
        None => client,
    };
    client.build().map_err(|error| error.to_string())
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let told = |cause: &dyn fmt::Display| format!("{}: {cause}", path.display());
    let pem = std::fs::read(path).map_err(|cause| told(&cause))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|cause| told(&cause))?;
    if found.is_empty() { Err(told(&"holds no certificate in PEM")) } else { Ok(found) }
}

async fn fetch(url: &Url, access: &JwksAccess, client: &Client) -> Result<String, String> {
    let made;
    let client = match client {
        Client::Kept(client) => client,
        Client::Anew => {
            made = client_for(url, access.ca_file.as_deref())?;
            &made
        }
    };
    let mut request = client.get(url.clone());
    if let Some(bearer) = access.bearer()? {
        request = request.header(AUTHORIZATION, bearer);
    }
    let text = |error: reqwest::Error| error.without_url().to_string();
    let mut response = request.send().await.map_err(text)?;
    Span::current().record("http.response.status_code", i64::from(response.status().as_u16()));
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes"));
        }
    }
    String::from_utf8(body).map_err(|error| error.to_string())
}
