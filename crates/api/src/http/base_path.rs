//! The path under which the page is served.

use std::str::FromStr;

/// A path that begins and ends with a slash, as in `/` and `/keys/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BasePath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl FromStr for BasePath {
    type Err = &'static str;

    /// Takes it with or without the slash at the end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix('/') else { return Err("must begin with a slash, as in /keys") };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if text == "/" {
            return Ok(Self::default());
        }
        let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let mut segments = rest.split('/');
        if !segments.all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(usual)) {
            return Err("must have segments of letters, digits and -._~ only, as in /keys");
        }
        if ["api", "forward-auth", "livez", "readyz"].contains(&rest.split('/').next().unwrap_or_default()) {
            return Err("must not begin with /api, /forward-auth, /livez or /readyz, which are taken");
        }
        Ok(Self(format!("/{rest}/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_paths_only() {
        let parse = |text: &str| text.parse::<BasePath>().map(|base| base.0);
        for (text, base) in [("/", "/"), ("/keys", "/keys/"), ("/keys/", "/keys/"), ("/a/b-c.d", "/a/b-c.d/")]
        {
            assert_eq!(parse(text).as_deref(), Ok(base));
        }
        for bad in
            ["", "keys", "//", "/a//b", "/../a", "/a/./b", "/a b", "/%61", "/{a}", "/api", "/livez/x", "/a?b"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
