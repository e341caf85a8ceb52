//! The session of a person in development mode: a JWT in a cookie. Without a [`DevelopmentSignIn`] there is no such
//! cookie and no page that sets one.

use std::fmt;
use std::sync::Arc;

use gatekey_core::Role;
use gatekey_model::TenantId;
use http::{HeaderMap, HeaderValue, header};

/// Signs a JWT for a person of this tenant with these roles; nothing if that fails.
pub type Sign = Arc<dyn Fn(&TenantId, &[Role]) -> Option<String> + Send + Sync>;

/// How people sign in in development mode.
#[derive(Clone)]
pub struct DevelopmentSignIn {
    sign: Sign,
    cookie: Arc<str>,
}

impl DevelopmentSignIn {
    /// With JWTs of this signer. Cookies know no ports: so the port is part of the cookie's name, and servers on one machine
    /// have a session each.
    #[must_use]
    pub fn new(sign: Sign, port: u16) -> Self {
        Self { sign, cookie: format!("gatekey-development-{port}").into() }
    }

    /// The JWT of the session, if there is one.
    pub(crate) fn jwt<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
            let (name, value) = cookie.trim_matches(' ').split_once('=')?;
            (name == &*self.cookie && !value.is_empty()).then_some(value)
        })
    }

    /// The cookie of a new session. It ends with the browser, or with its JWT.
    pub(crate) fn session(&self, tenant: &TenantId, roles: &[Role], path: &str) -> Option<HeaderValue> {
        let jwt = (self.sign)(tenant, roles)?;
        let mut cookie =
            HeaderValue::try_from(format!("{}={jwt}; Path={path}; HttpOnly; SameSite=Strict", self.cookie))
                .ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }
}

impl fmt::Debug for DevelopmentSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentSignIn").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let signed: Sign = Arc::new(|tenant, roles| Some(format!("{}.{}", tenant.as_str(), roles.len())));
        let sign_in = DevelopmentSignIn::new(signed, 8080);
        let tenant = TenantId::parse("acme").expect("valid");
        let cookie = sign_in.session(&tenant, &[Role::Developer], "/").expect("signed");
        assert_eq!(cookie, "gatekey-development-8080=acme.1; Path=/; HttpOnly; SameSite=Strict");
        let jwt = |cookies: &'static [&'static str]| {
            let cookies = cookies.iter().map(|text| (header::COOKIE, HeaderValue::from_static(text)));
            sign_in.jwt(&cookies.collect()).map(str::to_owned)
        };
        assert_eq!(jwt(&["a=b; gatekey-development-8080=acme.1; c=d"]).as_deref(), Some("acme.1"));
        assert_eq!(jwt(&["a=b", "gatekey-development-8080=acme.1"]).as_deref(), Some("acme.1"));
        for none in [
            &[][..],
            &["gatekey-development-8081=x"],
            &["gatekey-development-8080="],
            &["gatekey-development-8080"],
        ] {
            assert_eq!(jwt(none), None, "{none:?}");
        }
    }
}
