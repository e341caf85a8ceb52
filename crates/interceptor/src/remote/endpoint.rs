//! An address as it is configured: `http://HOST:PORT`, or `https` where TLS is on.

use std::fmt;

use http::Uri;

/// A checked address. A name stands for all addresses that it resolves to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Endpoint {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // What may hold a password is not shown.
        let shown = if text.contains('@') { "it" } else { text };
        let form = || format!("{shown}: must be http://HOST:PORT, as in http://gatekey:50051");
        let uri: Uri = text.parse().map_err(|_| form())?;
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(form)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") if cfg!(feature = "tls") => true,
            Some("https") => {
                return Err(format!("{shown}: https needs the feature `tls` of gatekey-interceptor"));
            }
            _ => return Err(form()),
        };
        if uri.path() != "/" || uri.query().is_some() {
            return Err(form());
        }
        let port = authority.port_u16().ok_or_else(form)?;
        // Brackets belong to the form of the URI, not to the address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() { Err(form()) } else { Ok(Self { host, port, tls }) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones_are_taken() {
        for (text, host) in [
            ("http://gatekey:50051", "gatekey"),
            ("http://127.0.0.1:1/", "127.0.0.1"),
            ("http://[::1]:9", "::1"),
        ] {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!(endpoint.host, host);
            assert_eq!(endpoint.to_string(), text.trim_end_matches('/'));
        }
    }

    #[test]
    fn bad_ones_are_told_with_the_form_and_without_passwords() {
        for text in [
            "",
            "gatekey:1",
            "http://gatekey",
            "ftp://gatekey:1",
            "http://a:1/b",
            "http://a:1?b",
            "http://:1",
            "http://a b:1",
        ] {
            assert!(Endpoint::parse(text).expect_err(text).contains("http://HOST:PORT"), "{text}");
        }
        assert!(!Endpoint::parse("http://u:secret@a:1").expect_err("userinfo").contains("secret"));
        assert_eq!(Endpoint::parse("https://a:1").is_ok(), cfg!(feature = "tls"));
    }
}
