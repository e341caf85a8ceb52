//! Keeps pages of other sites from changing anything in the name of who is signed in (CSRF).
//!
//! Browsers say where a call comes from: `Sec-Fetch-Site` (Fetch Metadata), or at least `Origin`. Whoever says neither is no
//! browser, and carries no credentials that it did not set itself.

use std::sync::Arc;

use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::ApiError;

/// What the audit log calls the refusal.
pub(crate) const REFUSAL: &str = "cross_site";

/// Which origins may change something, beside the page's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrossSite(Arc<[HeaderValue]>);

impl CrossSite {
    pub(crate) fn allowing(origins: &[HeaderValue]) -> Self {
        Self(origins.into())
    }

    /// Whether a call that changes something may come from where it comes from.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let refused = Err(ApiError::new(ErrorReason::CrossSite));
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| self.0.contains(origin)) {
            return Ok(());
        }
        if let Some(site) = headers.get("sec-fetch-site") {
            // `none`: by the person's own hand, as from the address bar.
            return if matches!(site.as_bytes(), b"same-origin" | b"none") { Ok(()) } else { refused };
        }
        match origin {
            None => Ok(()),
            Some(origin) if is_own(origin, uri, headers) => Ok(()),
            Some(_) => refused,
        }
    }
}

/// Whether an origin is that of the host that the call names.
fn is_own(origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    host.zip(origin).is_some_and(|(host, (_, authority))| host.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn the_audit_log_has_the_reason_of_the_error_table() {
        assert_eq!(REFUSAL, ApiError::new(ErrorReason::CrossSite).reason_name().to_lowercase());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let allowed = CrossSite::allowing(&[HeaderValue::from_static("https://admin.example.com")]);
        let may = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let headers: HeaderMap =
                pairs.chain([(header::HOST, HeaderValue::from_static("keys.example.com"))]).collect();
            allowed.check(&Uri::from_static("/api/v3/tokens"), &headers).is_ok()
        };
        assert!(may(&[]));
        assert!(may(&[("sec-fetch-site", "same-origin"), ("origin", "https://keys.example.com")]));
        assert!(may(&[("sec-fetch-site", "none")]));
        // Behind a proxy that changes the host, the browser's own word counts.
        assert!(may(&[("sec-fetch-site", "same-origin"), ("origin", "https://outside.example.com")]));
        assert!(may(&[("origin", "https://keys.example.com")]));
        assert!(may(&[("sec-fetch-site", "cross-site"), ("origin", "https://admin.example.com")]));
        for other in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://keys.example.com")],
            &[("origin", "https://evil.example.com")],
            &[("origin", "https://keys.example.com.evil.example")],
            &[("origin", "null")],
            &[("origin", "keys.example.com")],
        ] {
            assert!(!may(other), "{other:?}");
        }
    }
}
