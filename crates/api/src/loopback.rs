//! Keeps a server in development mode to itself: it answers only callers on this machine.
//!
//! The address that it binds is loopback, but a browser can be led there by another name (DNS
//! rebinding), and a proxy can bring strangers: so the name and the headers of each call are checked.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, Uri, header};

use crate::{ApiError, grpc, http::JsonError};

/// Lets local calls through and refuses the others, in the words of the call's protocol.
pub(crate) async fn only_local(request: Request, next: Next) -> Response {
    match check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => refuse(request.headers(), error),
    }
}

/// Says no in the words of the call's protocol.
pub(crate) fn refuse(headers: &HeaderMap, error: ApiError) -> Response {
    if grpc::is_grpc(headers) { error.into_status().into_http() } else { JsonError(error).into_response() }
}

/// Whether a call is a local one, as far as it can be seen in it.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |why| Err(ApiError::new(ErrorReason::LoopbackOnly).because(why));
    if headers.keys().any(|name| is_forwarding(name.as_str())) {
        return refused("the call has forwarding headers");
    }
    let hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let mut names = uri.authority().map(http::uri::Authority::as_str).into_iter().chain(hosts).peekable();
    if names.peek().is_none() || !names.all(is_loopback_authority) {
        return refused("the call names a host that is not loopback");
    }
    Ok(())
}

fn is_forwarding(header: &str) -> bool {
    header.contains("forwarded")
        || header.ends_with("client-ip")
        || header.ends_with("connecting-ip")
        || header.starts_with("x-original-")
        || matches!(header, "via" | "x-real-ip" | "x-envoy-external-address" | "cdn-loop")
}

/// Whether this `host` or `host:port` is a name of the machine itself: `localhost` (RFC 6761), an
/// address in 127.0.0.0/8, or `[::1]`.
pub(crate) fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let name = host.to_ascii_lowercase();
    if let Some(v6) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return v6.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn knows_loopback_names() {
        for local in [
            "localhost",
            "LOCALHOST:8080",
            "gatekey.localhost",
            "127.0.0.1",
            "127.8.9.1:50051",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_loopback_authority(local), "{local}");
        }
        for other in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "::1",
            "[::2]:80",
            "user@localhost.com",
            "notlocalhost",
        ] {
            assert!(!is_loopback_authority(other), "{other}");
        }
    }

    #[test]
    fn refuses_strangers() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect()
        };
        let path = Uri::from_static("/livez");
        let local = Uri::from_static("http://localhost:50051/gatekey.v1.TokenService/ListTokens");
        assert!(check(&path, &headers(&[("host", "127.0.0.1:8080")])).is_ok());
        assert!(check(&local, &headers(&[])).is_ok());
        assert!(check(&path, &headers(&[])).is_err());
        assert!(check(&path, &headers(&[("host", "evil.example")])).is_err());
        assert!(check(&local, &headers(&[("host", "evil.example")])).is_err());
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-original-forwarded-for",
            "x-original-host",
            "x-real-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "cdn-loop",
            "via",
        ] {
            assert!(check(&local, &headers(&[(name, "x")])).is_err(), "{name}");
        }
    }
}
