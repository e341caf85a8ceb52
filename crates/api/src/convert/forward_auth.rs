//! From the HTTP request of a gateway to its question.

use std::borrow::Cow;

use gatekey_access::presented;
use http::{HeaderMap, HeaderName, Uri};

use crate::gateway::{Mandate, NoRule, Question};

/// The two families of headers in which gateways tell of the original request: target, and method.
const FAMILIES: [[&str; 2]; 2] =
    [["x-original-uri", "x-original-method"], ["x-forwarded-uri", "x-forwarded-method"]];
/// As the first family has it in Kubernetes' ingress-nginx: with scheme and host.
const ORIGINAL_URL: &str = "x-original-url";

/// The question. `type_header` is that which the gateway is said to set.
pub(crate) fn question<'a>(
    uri: &Uri,
    headers: &'a HeaderMap,
    type_header: Option<&HeaderName>,
) -> Question<'a> {
    let rule = mandate(uri, headers, type_header)
        .and_then(|mandate| mandate.rule(original_target(headers)?.as_deref()));
    Question { rule, presented: presented(headers) }
}

fn mandate(uri: &Uri, headers: &HeaderMap, type_header: Option<&HeaderName>) -> Result<Mandate, NoRule> {
    let query = uri.query().unwrap_or_default();
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let mut mandate = Mandate::read(parameters.iter().map(|(name, value)| (&**name, &**value)))?;
    if mandate.strips_authorization() {
        // An answer over HTTP can't take it out: better to say so than to seem to.
        return Err(NoRule::ParameterUnknown);
    }
    for value in type_header.into_iter().flat_map(|name| headers.get_all(name)) {
        mandate.ask_for(value.to_str().map_err(|_| NoRule::TypeUnknown)?)?;
    }
    Ok(mandate)
}

/// The target of the original request, if the gateway tells. Its client may have sent headers of the other family, which
/// then say something else.
fn original_target(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, NoRule> {
    let mut targets = Vec::new();
    let mut methods = Vec::new();
    for [target, method] in FAMILIES {
        targets.extend(only(headers, target)?);
        methods.extend(only(headers, method)?);
    }
    if let Some(url) = only(headers, ORIGINAL_URL)? {
        targets.push(target_of(&url).to_owned().into());
    }
    let agree = targets.windows(2).all(|pair| pair[0] == pair[1])
        && methods.windows(2).all(|pair| pair[0] == pair[1]);
    if agree { Ok(targets.pop()) } else { Err(NoRule::OriginalContradicted) }
}

/// The one value of a header. What is no ASCII stays none.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<Cow<'a, str>>, NoRule> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(NoRule::OriginalContradicted);
    }
    Ok(Some(String::from_utf8_lossy(value.as_bytes())))
}

/// What follows scheme and host.
fn target_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

#[cfg(test)]
mod tests {
    use gatekey_access::{Refusal, Rule};
    use http::HeaderValue;

    use super::*;

    fn rule(query: &str, headers: &[(&str, &str)]) -> Result<Rule, NoRule> {
        let told = headers.iter().any(|(name, _)| name.starts_with("x-o") || name.starts_with("x-f"));
        let plain = [("x-original-uri", "/plain")];
        let headers = [headers, if told { &[] } else { &plain }].concat();
        let uri = format!("/forward-auth{query}").parse().expect("a URI");
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
            })
            .collect();
        question(&uri, &headers, Some(&HeaderName::from_static("x-rule"))).rule
    }

    #[test]
    fn the_rule_is_in_the_query_or_in_the_configured_header() {
        assert_eq!(rule("?type=batch", &[]), Ok(Rule::Batch));
        assert_eq!(rule("?type=b%61tch", &[]), Ok(Rule::Batch));
        assert_eq!(rule("", &[("x-rule", "realtime")]), Ok(Rule::Realtime));
        assert_eq!(rule("?type=any", &[("x-rule", "any")]), Ok(Rule::Any));
        for none in ["", "?", "?type", "?type=", "?batch"] {
            assert!(rule(none, &[]).is_err(), "{none}");
        }
        assert_eq!(rule("?type=batch&type=any", &[]), Err(NoRule::TypeContradicted));
        assert_eq!(rule("?type=batch", &[("x-rule", "any")]), Err(NoRule::TypeContradicted));
        assert_eq!(rule("", &[("x-rule", "batch"), ("x-rule", "realtime")]), Err(NoRule::TypeContradicted));
        assert_eq!(rule("?type=batch&strip_authorization=true", &[]), Err(NoRule::ParameterUnknown));
    }

    #[test]
    fn a_header_that_is_not_configured_says_nothing() {
        let uri = Uri::from_static("/forward-auth?ambiguous_paths=allow");
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("x-rule"), HeaderValue::from_static("any"))]);
        assert_eq!(question(&uri, &headers, None).rule, Err(NoRule::TypeMissing));
    }

    #[test]
    fn the_original_request_is_told_once() {
        let batch = |headers: &[(&str, &str)]| rule("?type=batch", headers);
        for good in [
            &[("x-original-uri", "/a?b=//"), ("x-original-method", "POST")][..],
            &[("x-forwarded-uri", "/a"), ("x-forwarded-method", "GET")],
            &[("x-original-url", "https://example.com/a?b")],
            &[("x-original-url", "https://example.com"), ("x-original-uri", "/")],
            &[("x-original-uri", "/a"), ("x-forwarded-uri", "/a")],
        ] {
            assert_eq!(batch(good), Ok(Rule::Batch), "{good:?}");
        }
        for contradicted in [
            &[("x-original-uri", "/a"), ("x-forwarded-uri", "/b")][..],
            &[("x-original-uri", "/a"), ("x-original-uri", "/a")],
            &[("x-original-uri", "/a"), ("x-original-url", "https://example.com/b")],
            &[("x-original-method", "GET"), ("x-forwarded-method", "POST")],
        ] {
            assert_eq!(batch(contradicted), Err(NoRule::OriginalContradicted), "{contradicted:?}");
        }
        for odd in ["/a/../b", "//a", "/a%2fb"] {
            assert_eq!(batch(&[("x-original-uri", odd)]), Err(NoRule::PathAmbiguous), "{odd}");
            assert_eq!(batch(&[("x-forwarded-uri", odd)]), Err(NoRule::PathAmbiguous), "{odd}");
        }
    }

    #[test]
    fn what_is_not_told_or_no_ascii_passes_only_where_paths_do_not_matter() {
        let odd = HeaderValue::from_bytes(b"/v1/\xff").expect("a value");
        let odd = HeaderMap::from_iter([(HeaderName::from_static("x-original-uri"), odd)]);
        for (headers, why) in [(odd, NoRule::PathAmbiguous), (HeaderMap::new(), NoRule::OriginalMissing)] {
            let rule = |uri| question(&Uri::from_static(uri), &headers, None).rule;
            assert_eq!(rule("/forward-auth?type=batch"), Err(why));
            assert_eq!(rule("/forward-auth?type=batch&ambiguous_paths=allow"), Ok(Rule::Batch));
        }
    }

    #[test]
    fn two_tokens_are_none() {
        let value = HeaderValue::from_static("Bearer x");
        let headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, value.clone()),
            (http::header::AUTHORIZATION, value),
        ]);
        let question = question(&Uri::from_static("/forward-auth?type=any"), &headers, None);
        assert_eq!(question.presented.err(), Some(Refusal::Unreadable));
    }
}
