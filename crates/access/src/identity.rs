//! The headers by which a gateway tells a service who calls.

use gatekey_model::{Timestamp, TokenType};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A token as headers tell of it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `x-gatekey-token-id`: a positive number.
    pub id: i64,
    /// `x-gatekey-token-type`: `batch` or `realtime`.
    pub kind: TokenType,
    /// `x-gatekey-token-tenant`, percent-encoded UTF-8 (RFC 3986, section 2.1).
    pub tenant: &'a str,
    /// `x-gatekey-token-name`, percent-encoded UTF-8.
    pub name: &'a str,
    /// `x-gatekey-token-key`: the public part of the token's value, for logs.
    pub key: &'a str,
    /// `x-gatekey-token-expires`: RFC 3339, in UTC.
    pub expires: Timestamp,
}

impl Identity<'_> {
    /// The headers' names, in the order of [`Self::headers`].
    pub const NAMES: [&'static str; 6] = [
        "x-gatekey-token-id",
        "x-gatekey-token-type",
        "x-gatekey-token-tenant",
        "x-gatekey-token-name",
        "x-gatekey-token-key",
        "x-gatekey-token-expires",
    ];

    /// The headers. All values are visible ASCII.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, String); 6] {
        let [id, kind, tenant, name, key, expires] = Self::NAMES;
        [
            (id, self.id.to_string()),
            (kind, self.kind.to_string()),
            (tenant, encoded(self.tenant)),
            (name, encoded(self.name)),
            (key, self.key.to_owned()),
            (expires, self.expires.to_string()),
        ]
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Whether a header may only come from a gateway: a client's own are removed. Some frameworks (CGI, WSGI) make one character of
/// all that are neither letters nor digits, so any of them stands for the dash.
#[must_use]
pub fn is_identity(name: &str) -> bool {
    const PREFIX: &[u8] = b"x-gatekey-";
    name.len() >= PREFIX.len()
        && name.bytes().zip(PREFIX).all(|(byte, wanted)| {
            byte.eq_ignore_ascii_case(wanted) || (*wanted == b'-' && !byte.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_visible_ascii() {
        let identity = Identity {
            id: 7,
            kind: TokenType::Realtime,
            tenant: " acme & söhne ",
            name: "Prüfung 50% 日本語, a+b",
            key: "gk_r_4fZk91Qd",
            expires: Timestamp::from_unix_micros(1_798_761_600_000_000).expect("a time"),
        };
        let values = identity.headers().map(|(_, value)| value);
        assert_eq!(
            values,
            [
                "7",
                "realtime",
                "%20acme%20%26%20s%C3%B6hne%20",
                "Pr%C3%BCfung%2050%25%20%E6%97%A5%E6%9C%AC%E8%AA%9E%2C%20a%2Bb",
                "gk_r_4fZk91Qd",
                "2027-01-01T00:00:00Z",
            ]
        );
        assert!(Identity::NAMES.iter().all(|name| is_identity(name)));
    }

    #[test]
    fn a_clients_spelling_does_not_matter() {
        for forged in [
            "x-gatekey-",
            "X-GateKey-Token-Id",
            "x_gatekey_token_id",
            "x-gatekey_token-id",
            "x_gatekey-x",
            "X.Gatekey.Token.Id",
        ] {
            assert!(is_identity(forged), "{forged}");
        }
        for other in
            ["", "x-gatekey", "x-gate-key-token-id", "gatekey-token-id", "x-other", "xx-gatekey-token-id"]
        {
            assert!(!is_identity(other), "{other}");
        }
    }
}
