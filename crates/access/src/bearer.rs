//! The one `authorization` header of a request. What its token is worth is left to others.

use gatekey_model::PresentedToken;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::Refusal;

/// The token of `authorization: Bearer <token>` (RFC 6750, section 2.1), if it is in the form of one. The scheme's case does
/// not matter (RFC 9110, section 11.1), and spaces around the token are not part of it. Allocates nothing.
///
/// # Errors
/// [`Refusal::Missing`], [`Refusal::Unreadable`], or [`Refusal::Invalid`] for what is not in the form of a token.
#[inline]
pub fn presented(headers: &HeaderMap) -> Result<PresentedToken<'_>, Refusal> {
    presented_in(headers.get_all(AUTHORIZATION).iter().map(http::HeaderValue::as_bytes))
}

/// The same of all `authorization` values of a request, however they came.
///
/// A comma joins several values to one (RFC 9110, section 5.3), and proxies do so. No token and no `Bearer` has a comma, so
/// a value with one is several.
///
/// # Errors
/// As [`presented`].
#[inline]
pub fn presented_in<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<PresentedToken<'a>, Refusal> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Unreadable);
    }
    // As nearly all send it.
    if let Some(token) = value.strip_prefix(b"Bearer ")
        && let Ok(presented) = PresentedToken::parse_bytes(token)
    {
        return Ok(presented);
    }
    PresentedToken::parse(token(value)?).map_err(|_| Refusal::Invalid)
}

fn token(value: &[u8]) -> Result<&str, Refusal> {
    let visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    if value.contains(&b',') || !value.iter().all(visible) {
        return Err(Refusal::Unreadable);
    }
    let value = str::from_utf8(value).map_err(|_| Refusal::Unreadable)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    let token = token.trim_matches(' ');
    if token.is_empty() { Err(Refusal::Unreadable) } else { Ok(token) }
}

/// Whoever prints the headers later prints no token.
pub fn hide(headers: &mut HeaderMap) {
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
}

#[cfg(test)]
mod tests {
    use gatekey_model::{TokenPrefix, TokenType, TokenValue};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |value: &&[u8]| HeaderValue::from_bytes(value).expect("a value");
        values.iter().map(|bytes| (AUTHORIZATION, value(bytes))).collect()
    }

    fn good() -> String {
        let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        value.expose().to_owned()
    }

    #[test]
    fn everything_but_one_bearer_token_is_refused() {
        let refusal = |values: &[&[u8]]| presented(&headers(values)).expect_err("refused");
        assert_eq!(refusal(&[]), Refusal::Missing);
        for other in ["", "Basic abc", "abc", "Bearerabc", "Bearer\tabc", " Bearer abc"] {
            assert_eq!(refusal(&[other.as_bytes()]), Refusal::Missing, "{other:?}");
        }
        for bad in [&b"Bearer"[..], b"Bearer ", b"Bearer    ", b"Bearer \xc3\xa9"] {
            assert_eq!(refusal(&[bad]), Refusal::Unreadable, "{bad:?}");
        }
        let good = format!("Bearer {}", good());
        let good = good.as_bytes();
        for two in [[good, good], [good, b"Basic abc"], [b"", good]] {
            assert_eq!(refusal(&two), Refusal::Unreadable);
        }
        for joined in [[good, good], [b"Basic abc", good], [good, b"Basic abc"], [b"", good], [good, b""]] {
            for comma in [&b","[..], b", "] {
                let joined = joined.join(comma);
                assert_eq!(refusal(&[&joined]), Refusal::Unreadable, "as if they came one by one");
            }
        }
        for bad in [&b"Bearer abc"[..], &good[..good.len() - 1], &[good, b"\t"].concat()] {
            assert_eq!(refusal(&[bad]), Refusal::Invalid);
        }
    }

    #[test]
    fn a_hidden_value_is_not_shown() {
        let good = format!("Bearer {}", good());
        let mut headers = headers(&[good.as_bytes()]);
        hide(&mut headers);
        assert!(!format!("{headers:?}").contains(&good[20..]));
        assert!(presented(&headers).is_ok());
    }

    proptest! {
        /// Whatever comes, it is one token after `Bearer`, or a refusal.
        #[test]
        fn any_header_is_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                prop_assert!(presented(&HeaderMap::from_iter([(AUTHORIZATION, value)])).is_err());
            }
        }

        #[test]
        fn a_token_is_found_whatever_stands_around_it(
            scheme in "[bB][eE][aA][rR][eE][rR]", before in " {1,3}", after in " {0,3}",
        ) {
            let good = good();
            let value = format!("{scheme}{before}{good}{after}");
            let headers = headers(&[value.as_bytes()]);
            let found = presented(&headers).map(|presented| presented.digest());
            prop_assert_eq!(found, Ok(PresentedToken::parse(&good).expect("just made").digest()));
        }

        #[test]
        fn what_stands_in_the_way_is_in_the_way(
            scheme in "[!-~]{0,8}", between in "[\t ]{0,2}", before in "[!-~]{0,2}", after in "[!-~]{0,2}",
        ) {
            let is_clean = scheme.eq_ignore_ascii_case("bearer") && between.starts_with(' ')
                && !between.contains('\t') && before.is_empty() && after.is_empty();
            let value = format!("{scheme}{between}{before}{}{after}", good());
            prop_assert_eq!(presented(&headers(&[value.as_bytes()])).is_ok(), is_clean);
        }
    }
}
