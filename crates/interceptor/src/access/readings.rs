//! What handlers may read a path as, which a router does not.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A pattern as its paths are once they are decoded. Braces would be others than those of its parameters.
pub(super) fn pattern_decoded(pattern: &str) -> String {
    let decoded = percent_decode_str(pattern).decode_utf8_lossy();
    let braces = |text: &str| text.bytes().filter(|byte| matches!(byte, b'{' | b'}')).count();
    if braces(&decoded) == braces(pattern) { decoded.into_owned() } else { pattern.to_owned() }
}

/// What a handler may take a path for, `last` of which it reads by rules of its own. Nothing if it may lead anywhere.
pub(super) fn readings(path: &str, last: &str) -> Option<Vec<String>> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let segments = || decoded.split('/').skip(1);
    if segments().any(|segment| segment == "..") {
        return None;
    }
    let is_left_out = |segment: &&str| matches!(*segment, "" | ".");
    // Nearly every path is: no memory is taken for it.
    if matches!(decoded, Cow::Borrowed(_)) && !segments().any(|segment| is_left_out(&segment)) {
        return Some(Vec::new());
    }
    let plain: String =
        segments().filter(|segment| !is_left_out(segment)).flat_map(|segment| ["/", segment]).collect();
    if !decoded.ends_with('/') {
        return Some(vec![decoded.into_owned(), plain]);
    }
    let mut readings = vec![format!("{plain}/"), decoded.into_owned()];
    // The slash may be the route's own.
    if percent_decode_str(last).last() == Some(b'/') {
        readings.extend([format!("{plain}/index.html"), plain]);
    }
    Some(readings)
}
