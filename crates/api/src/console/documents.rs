//! The HTML documents: templates with a few places that are filled, and the policy that browsers hold them to.

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::assets::{accepts_gzip, gzip};
use crate::http::Settings;

const PAGE: &str = include_str!("../../console/index.html");
const SIGN_IN: &str = include_str!("../../console/sign-in.html");
const NOTICE: &str = include_str!("../../console/notice.html");

/// Scripts and styles from here and nowhere else, nothing inline, no frames, and no text that becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

pub(super) struct Documents {
    page: String,
    /// The same, compressed: it holds nothing secret whose length could tell.
    zipped_page: Bytes,
    sign_in: String,
    notice: String,
    pub(super) is_development: bool,
}

/// A document that says something instead of the page.
pub(super) struct Notice {
    pub(super) title: &'static str,
    pub(super) message: &'static str,
    /// A link: its text, and where it leads.
    pub(super) action: Option<(&'static str, String)>,
}

impl Documents {
    pub(super) fn new(base: &str, assets: &str, settings: &Settings, is_development: bool) -> Self {
        let placed = |template: &str| fill(template, &[("assets", assets), ("base", base)]);
        let next_steps = settings.next_steps.iter();
        let next_steps: Vec<String> = next_steps
            .map(|(text, url)| format!(r#"<li><a href="{}">{}</a></li>"#, escaped(url), escaped(text)))
            .collect();
        let next_steps = next_steps.concat();
        let development = if is_development { "true" } else { "" };
        let home = settings.home.as_deref().unwrap_or_default();
        let page = fill(&placed(PAGE), &[("home", home), ("development", development)]);
        // Markup already.
        let page = page.replace("{{next_steps}}", &next_steps);
        let zipped_page = gzip(page.as_bytes());
        Self { page, zipped_page, sign_in: placed(SIGN_IN), notice: placed(NOTICE), is_development }
    }

    pub(super) fn page(&self, headers: &HeaderMap) -> Response {
        let vary = [(header::VARY, "accept-encoding, authorization, cookie")];
        if accepts_gzip(headers) {
            let gzip = [(header::CONTENT_ENCODING, "gzip")];
            (vary, gzip, document(StatusCode::OK, self.zipped_page.clone())).into_response()
        } else {
            (vary, document(StatusCode::OK, self.page.clone())).into_response()
        }
    }

    pub(super) fn notice(&self, status: StatusCode, notice: &Notice) -> Response {
        let (text, href) = notice.action.as_ref().map_or(("", ""), |(text, href)| (*text, href.as_str()));
        let filled = fill(
            &self.notice,
            &[
                ("title", notice.title),
                ("message", notice.message),
                ("action_href", href),
                ("action_text", text),
            ],
        );
        document(status, filled)
    }

    pub(super) fn sign_in(&self, status: StatusCode, problem: &str) -> Response {
        document(status, fill(&self.sign_in, &[("problem", problem)]))
    }
}

fn document(status: StatusCode, html: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (status, headers, html).into_response()
}

/// Fills the places of a template, each `{{name}}`.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), &escaped(value))
    })
}

/// As text and as the value of an attribute in quotation marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // So that no value is taken for a place to be filled.
            '{' => escaped.push_str("&#123;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_stays_text() {
        let settings = Settings {
            home: Some("/\"><script>alert(1)</script>{{base}}".to_owned()),
            next_steps: vec![("<b>Docs & 'more'".to_owned(), "https://example.com/?a=1&b=\"2\"".to_owned())],
            ..Settings::default()
        };
        let documents = Documents::new("/keys/", "/keys/assets/0", &settings, false);
        assert!(!documents.page.contains("<script>alert") && !documents.page.contains("<b>Docs"));
        assert!(documents.page.contains("&lt;b&gt;Docs &amp; &#39;more&#39;"));
        assert!(documents.page.contains("href=\"https://example.com/?a=1&amp;b=&quot;2&quot;\""));
        for html in [&documents.page, &documents.sign_in, &documents.notice] {
            let left = html.matches("{{").count();
            let known = ["title", "message", "action_href", "action_text", "problem"];
            let expected: usize =
                known.iter().map(|name| html.matches(&format!("{{{{{name}}}}}")).count()).sum();
            assert_eq!(left, expected, "a place that nobody fills");
        }
    }

    #[test]
    fn no_document_has_anything_inline_or_from_elsewhere() {
        for html in [PAGE, SIGN_IN, NOTICE] {
            for forbidden in
                [" style=", "<style", " onclick=", " onload=", "javascript:", "src=\"http", "href=\"http"]
            {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
            let scripts = html.matches("<script").count();
            assert_eq!(scripts, html.matches("<script type=\"module\" src=\"{{assets}}/").count());
        }
    }
}
