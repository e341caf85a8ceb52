//! Which paths can be read in more than one way.
//!
//! A gateway finds the route, and with it the rule, by its own reading of a path, and the service finds the handler by its
//! own. Where these differ, a batch token reaches what wants a realtime one. So a path whose spelling servers are known to
//! change on their way (RFC 3986, section 6.2.2) is refused: whoever means well does not need it.

/// Whether servers may take the path of this request's target for another one.
pub(crate) fn is_ambiguous(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let Some(rest) = path.strip_prefix('/') else { return true };
    // A slash at the end is no empty segment.
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    if !rest.is_empty() && segments.split('/').any(is_ambiguous_segment) {
        return true;
    }
    // Servers of Java cut a semicolon off, and what follows it in its segment, before they look for a handler.
    !path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b';'))
        || has_ambiguous_encoding(path.as_bytes())
}

fn is_ambiguous_segment(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

/// An encoded character that need not be encoded, that is a delimiter or a control character, or that is an encoding
/// itself; a per cent sign that encodes nothing; and bytes that are no UTF-8, of which old decoders make dots and slashes
/// (`%c0%ae`).
fn has_ambiguous_encoding(path: &[u8]) -> bool {
    let mut rest = path;
    let mut bytes = Vec::new();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let Some(byte) = encoded(&rest[at..]) else { return true };
        bytes.extend_from_slice(&rest[..at]);
        bytes.push(byte);
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let again = byte == b'%' && rest.get(at + 3..).is_some_and(starts_with_hex);
        if unreserved || again || matches!(byte, b'/' | b'\\' | b';' | b'?' | b'#') || byte.is_ascii_control()
        {
            return true;
        }
        rest = &rest[at + 3..];
    }
    // What follows the last encoded byte can't be part of a character that begins with it: it is ASCII.
    bytes.extend_from_slice(rest);
    std::str::from_utf8(&bytes).is_err()
}

/// The byte that `%41…` stands for.
fn encoded(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(1..3)?).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
}

fn starts_with_hex(text: &[u8]) -> bool {
    text.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_are_plain() {
        for plain in [
            "/",
            "/v1/jobs",
            "/v1/jobs/",
            "/V1/Jobs",
            "/transcribe.v1.BatchService/Upload",
            "/files/a.b/..c/d..",
            "/a/...",
            "/a%20b/%C3%BC/%2C%3A/50%25/100%25x",
            "/a?b=../..//%2f#x",
            "/?",
            "/:colon@at/$&'()*+,=!",
        ] {
            assert!(!is_ambiguous(plain), "{plain}");
        }
    }

    #[test]
    fn odd_paths_are_ambiguous() {
        for odd in [
            "",
            "*",
            "jobs",
            "http://example.com/jobs",
            "//",
            "//jobs",
            "/v1//jobs",
            "/v1/jobs//",
            "/.",
            "/..",
            "/../",
            "/v1/./jobs",
            "/v1/../jobs",
            "/v1/..;/jobs",
            "/v1/.;a=b/jobs",
            "/v1;a=b/jobs",
            "/v1/..%3B/jobs",
            "/v1/..%3bx/jobs",
            "/v1/jobs%3Fx",
            "/v1/jobs%23x",
            "/v1%2fjobs",
            "/v1%2Fjobs",
            "/v1%5cjobs",
            "/v1\\jobs",
            "/v1/%2e%2e/jobs",
            "/v1/.%2E/jobs",
            "/%6aobs",
            "/jobs%00",
            "/jobs%0a",
            "/jobs%7f",
            "/jobs\0",
            "/jobs\t",
            "/jo bs",
            "/jöbs",
            "/jobs%252f",
            "/jobs%2",
            "/jobs%",
            "/jobs%zz",
            "/jobs%+1",
            "/v1/%c0%ae%c0%ae/jobs",
            "/jobs%c0%af",
            "/jobs%ff",
            "/jobs%c3",
            "/jobs%c3x",
            "/jobs#x",
        ] {
            assert!(is_ambiguous(odd), "{odd:?}");
        }
    }

    /// What servers do to paths, each by itself.
    fn rewritten(path: &str) -> [String; 4] {
        let mut kept: Vec<&str> = Vec::new();
        for segment in path.split('/') {
            match segment {
                "." => {}
                ".." => drop(kept.pop()),
                _ => kept.push(segment),
            }
        }
        let mut merged = path.to_owned();
        while merged.contains("//") {
            merged = merged.replace("//", "/");
        }
        let bare = path.split('/').map(|segment| segment.split([';', '#', '?']).next().unwrap_or_default());
        [kept.join("/"), merged, path.replace('\\', "/"), bare.collect::<Vec<_>>().join("/")]
    }

    proptest! {
        /// Whatever a server does to it, before it decodes the path or after, it is the same path.
        #[test]
        fn what_is_not_ambiguous_has_one_reading(
            path in "(/(a|b|\\.|;|%3[bBfF]|%2[eEfF35]|%5[cC]|%6[1-9]|%[0-9a-f]|%|\\\\|/){0,4}){1,4}",
        ) {
            if !is_ambiguous(&path) {
                let decoded = percent_encoding::percent_decode_str(&path).decode_utf8().expect("it is UTF-8");
                prop_assert_eq!(decoded.split('/').count(), path.split('/').count());
                for form in [&path, &*decoded] {
                    for other in rewritten(form) {
                        prop_assert_eq!(&other, form);
                    }
                }
            }
        }
    }
}
