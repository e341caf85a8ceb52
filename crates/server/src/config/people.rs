//! The settings of the page and the REST API.

use gatekey_api::http;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::settings::Settings;

pub(super) fn check(settings: &Settings, is_development: bool, problems: &mut Vec<String>) -> http::Settings {
    let Settings { base_path, jwt_header, home_url, next_steps, cors_origins, .. } = settings;
    let mut tell = |flag: &str, problem: &str| problems.push(format!("--{flag}: {problem}"));
    let base_path = base_path.as_deref().map_or(Ok(http::BasePath::default()), str::parse);
    let base_path = base_path.unwrap_or_else(|problem| {
        tell("base-path", problem);
        http::BasePath::default()
    });
    let jwt_header = jwt_header.as_deref().and_then(|name| {
        let header = free_header(name);
        if header.is_none() {
            tell(
                "jwt-header",
                "must be the name of a header that nothing else uses, as in x-forwarded-access-token",
            );
        } else if is_development && name.to_ascii_lowercase().contains("forwarded") {
            tell(
                "jwt-header",
                "development mode refuses calls with forwarding headers; it has a sign-in page",
            );
        }
        header
    });
    let home = home_url.clone().inspect(|url| {
        if !is_link(url) {
            tell("home-url", "must be an http or https URL, or a path that begins with a slash");
        }
    });
    let next_steps = next_steps.iter().filter_map(|step| {
        let link = step.split_once('=').map(|(text, url)| (text.trim().to_owned(), url.trim().to_owned()));
        let link = link.filter(|(text, url)| !text.is_empty() && is_link(url));
        if link.is_none() {
            tell("next-step", &format!("{step:?} must be TEXT=URL, with an http or https URL or a path"));
        }
        link
    });
    let next_steps = next_steps.collect();
    let cors_origins = cors_origins.iter().filter_map(|text| {
        let origin = origin(text);
        if origin.is_none() {
            tell(
                "cors-origin",
                &format!("{text:?} must be an origin without a path, as in https://admin.example.com"),
            );
        }
        origin
    });
    let cors_origins = cors_origins.collect();
    http::Settings { base_path, jwt_header, home, next_steps, cors_origins, ..http::Settings::default() }
}

/// A header that says something else to HTTP, or to Gatekey, is not free.
pub(super) fn free_header(name: &str) -> Option<HeaderName> {
    let name: HeaderName = name.parse().ok()?;
    let taken = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "idempotency-key",
        "origin",
        "transfer-encoding",
        "x-request-id",
    ];
    (!taken.contains(&name.as_str()) && !name.as_str().starts_with("sec-")).then_some(name)
}

/// A path of this origin, or a web address. `//` begins the name of another host.
fn is_link(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let path = text.starts_with('/') && !text.starts_with("//");
    let web = || Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    plain && (path || web())
}

/// Exactly as browsers send it.
fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    (url.origin().ascii_serialization() == text).then(|| HeaderValue::try_from(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_web_or_to_a_path() {
        for good in ["/", "/home?a=1", "https://example.com", "http://10.0.0.1/x"] {
            assert!(is_link(good), "{good}");
        }
        for bad in [
            "",
            "home",
            "//evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/a b",
            "/\\evil.example",
        ] {
            assert!(!is_link(bad), "{bad}");
        }
    }

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        assert!(origin("https://admin.example.com").is_some() && origin("http://localhost:3000").is_some());
        for bad in [
            "*",
            "null",
            "https://admin.example.com/",
            "https://ADMIN.example.com",
            "https://a.example:443",
            "admin",
        ] {
            assert!(origin(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let settings = Settings {
            base_path: Some("keys".to_owned()),
            jwt_header: Some("cookie".to_owned()),
            home_url: Some("home".to_owned()),
            next_steps: vec!["docs".to_owned(), "Docs=/docs".to_owned()],
            cors_origins: vec!["*".to_owned()],
            ..Settings::default()
        };
        let mut problems = Vec::new();
        let http = check(&settings, false, &mut problems);
        let flags: Vec<&str> =
            problems.iter().filter_map(|text| text.split_once(':')).map(|(flag, _)| flag).collect();
        assert_eq!(flags, ["--base-path", "--jwt-header", "--home-url", "--next-step", "--cors-origin"]);
        assert_eq!(http.next_steps, [("Docs".to_owned(), "/docs".to_owned())]);
    }
}
