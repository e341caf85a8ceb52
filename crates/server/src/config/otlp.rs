//! Where traces go: `--otlp-endpoint`, and which of them: `--trace-ratio`.

use reqwest::Url;

use super::settings::Settings;
use crate::traces::{Endpoint, sampling};

/// Nothing, if traces go nowhere.
pub(super) fn check(settings: &Settings, problems: &mut Vec<String>) -> Option<Endpoint> {
    let Some(url) = settings.otlp_endpoint.as_deref() else {
        if settings.trace_ratio.is_some() {
            problems.push("--trace-ratio: belongs to --otlp-endpoint".to_owned());
        }
        return None;
    };
    let sampling = sampling(settings.trace_ratio, |name| std::env::var(name).ok(), problems);
    if !Url::parse(url).is_ok_and(|url| is_endpoint(&url)) {
        // The URL itself is not shown: it may hold a password.
        problems.push(
            "--otlp-endpoint: must be http://HOST:PORT or https://HOST:PORT, as in http://127.0.0.1:4317; \
             credentials go into OTEL_EXPORTER_OTLP_HEADERS"
                .to_owned(),
        );
        return None;
    }
    Some(Endpoint { url: url.to_owned(), sampling })
}

fn is_endpoint(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
}
