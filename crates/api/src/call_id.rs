//! Gives each call an id that its log lines, its audit entry and its answer share.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use gatekey_core::LogContext;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::debug;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LEN: usize = 64;
const UNKNOWN: &str = "(unknown)";

/// The id of a call.
#[derive(Clone, Debug)]
pub(crate) struct CallId(pub(crate) Arc<str>);

/// The paths that logs may show. Others are a stranger's text, which may hold a token value.
#[derive(Clone, Debug)]
pub(crate) struct KnownPaths(Arc<HashSet<Arc<str>>>);

impl KnownPaths {
    /// The path as a route, without the number at its end.
    pub(crate) fn route<'a>(&self, path: &'a str) -> &'a str {
        match path.rfind('/') {
            Some(slash) if self.is_numbered(path) => &path[..=slash],
            _ if self.0.contains(path) => path,
            _ => UNKNOWN,
        }
    }

    /// The path as a template, and as logs may show it; nothing of one that Gatekey does not have.
    pub(crate) fn template<'a>(&self, path: &'a str) -> Option<(String, &'a str)> {
        let numbered = self.is_numbered(path);
        if !numbered && !self.0.contains(path) {
            return None;
        }
        let route = self.route(path);
        Some((if numbered { format!("{route}{{id}}") } else { route.to_owned() }, path))
    }

    fn known(&self, path: &str) -> Arc<str> {
        match self.0.get(path) {
            Some(known) => Arc::clone(known),
            None if self.is_numbered(path) => path.into(),
            None => UNKNOWN.into(),
        }
    }

    /// A known path that ends with a slash may have a number behind it.
    fn is_numbered(&self, path: &str) -> bool {
        let Some(slash) = path.rfind('/') else { return false };
        let (head, number) = path.split_at(slash + 1);
        (1..=19).contains(&number.len())
            && number.bytes().all(|digit| digit.is_ascii_digit())
            && self.0.contains(head)
    }
}

impl FromIterator<String> for KnownPaths {
    fn from_iter<I: IntoIterator<Item = String>>(paths: I) -> Self {
        Self(Arc::new(paths.into_iter().map(Arc::from).collect()))
    }
}

/// A call that has its id, until it is answered.
pub(crate) struct Identified {
    context: LogContext,
    started: Instant,
}

impl Identified {
    /// Takes the id that came with the call, or makes one.
    pub(crate) fn of(paths: &KnownPaths, request: &mut Request) -> Self {
        let id = given(request.headers()).unwrap_or_else(fresh);
        request.extensions_mut().insert(CallId(Arc::clone(&id)));
        let context = LogContext { call_id: id, path: paths.known(request.uri().path()) };
        Self { context, started: Instant::now() }
    }

    /// Within which all that is logged for the call has its id.
    pub(crate) fn context(&self) -> LogContext {
        self.context.clone()
    }

    /// Sends the id back.
    pub(crate) fn end(self, mut response: Response) -> Response {
        self.context.within(|| debug!(elapsed_us = self.started.elapsed().as_micros(), "answered"));
        if let Ok(mut id) = HeaderValue::from_str(&self.context.call_id) {
            // No two are the same: so that HPACK keeps none of them in its table (RFC 7541 section 7.1.3).
            id.set_sensitive(true);
            response.headers_mut().insert(HEADER, id);
        }
        response
    }
}

/// A version 4 UUID. It keeps no secret and has only to differ from others, so the operating system is not asked for
/// random numbers on each call.
fn fresh() -> Arc<str> {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
    Arc::from(&*id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
}

/// The id that the caller gave, if it has the usual form. A token value does not: it has underscores.
fn given(headers: &HeaderMap) -> Option<Arc<str>> {
    let id = headers.get(HEADER)?.to_str().ok()?;
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
    (!id.is_empty() && id.len() <= MAX_LEN && id.chars().all(usual)).then(|| id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_paths_are_shown() {
        let paths = KnownPaths::from_iter(["/livez", "/api/v3/tokens/"].map(str::to_owned));
        for known in ["/livez", "/api/v3/tokens/", "/api/v3/tokens/7", "/api/v3/tokens/9223372036854775807"] {
            assert_eq!(&*paths.known(known), known);
        }
        for other in
            ["/livez/7", "/livez7", "/api/v3/tokens/gk_b_7", "/api/v3/tokens/12345678901234567890", "", "7"]
        {
            assert_eq!(&*paths.known(other), "(unknown)", "{other}");
            assert_eq!(paths.route(other), "(unknown)", "{other}");
        }
        assert_eq!(paths.route("/livez"), "/livez");
        assert_eq!(paths.template("/livez"), Some(("/livez".to_owned(), "/livez")));
        let numbered = Some(("/api/v3/tokens/{id}".to_owned(), "/api/v3/tokens/7"));
        assert_eq!(paths.template("/api/v3/tokens/7"), numbered);
        assert_eq!(paths.template("/api/v3/tokens/gk_b_7"), None);
        assert_eq!(paths.route("/api/v3/tokens/7"), "/api/v3/tokens/", "one route, whatever the number");
    }

    #[test]
    fn takes_usual_ids_only() {
        let given =
            |id: &str| given(&HeaderMap::from_iter([(HEADER, HeaderValue::from_str(id).expect("text"))]));
        for good in ["67e55044-10b1-426f-9247-bb680e5fe0c8", "1-67891233-abcdef012345678912345678", "a.b:c"] {
            assert_eq!(given(good).as_deref(), Some(good));
        }
        for bad in ["", "a b", "gk_b_secret", "a\tb", &"x".repeat(65)] {
            assert_eq!(given(bad), None, "{bad:?}");
        }
    }
}
