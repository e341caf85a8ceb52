//! What the canary is told to do, checked. All problems are told at once, each with its flag.

use std::time::Duration;

use tonic::transport::{ClientTlsConfig, Endpoint, Uri};

use super::jwt::{self, Jwt};
use crate::cli;
use crate::config::ConfigError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// A server that is gone without a word is noticed within about this and as much again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longer than anybody wants to wait for the next round.
const LONGEST_INTERVAL: f64 = 86_400.0;

#[derive(Debug)]
pub(super) struct Settings {
    /// At least one; each with its name.
    pub(super) endpoints: Vec<(String, Endpoint)>,
    pub(super) jwt: Jwt,
    pub(super) interval: Duration,
    pub(super) count: Option<u64>,
}

impl Settings {
    /// `jwt` is that of the environment.
    pub(super) fn check(request: &cli::Canary, jwt: Option<&str>) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut endpoints: Vec<(String, Endpoint)> = Vec::new();
        let tls = request.trust.config().unwrap_or_else(|wrong| {
            problems.extend(wrong);
            None
        });
        for text in &request.endpoints {
            match endpoint(text, tls.as_ref()) {
                Ok((name, _)) if endpoints.iter().any(|(other, _)| *other == name) => {
                    problems.push(format!("--endpoint: {name} is given twice; each endpoint once"));
                }
                Ok(endpoint) => endpoints.push(endpoint),
                Err(problem) => problems.push(format!("--endpoint: {problem}")),
            }
        }
        let jwt = credentials(request, jwt).map_err(|problem| problems.push(problem)).ok();
        let seconds = request.interval;
        if !(0.0..=LONGEST_INTERVAL).contains(&seconds) {
            problems.push(format!("--interval: must be 0 to {LONGEST_INTERVAL} seconds"));
        }
        if request.count == Some(0) {
            problems.push("--count: must be 1 or more".to_owned());
        }
        match jwt {
            Some(jwt) if problems.is_empty() => {
                let interval = Duration::from_secs_f64(seconds);
                Ok(Self { endpoints, jwt, interval, count: request.count })
            }
            _ => Err(ConfigError::all(problems)),
        }
    }
}

/// The file goes first: it was asked for, and the environment may have a JWT for other things.
fn credentials(request: &cli::Canary, given: Option<&str>) -> Result<Jwt, String> {
    if let Some(path) = &request.jwt_file {
        let jwt = Jwt::File(path.clone());
        jwt.authorization().map_err(|problem| format!("--jwt-file: {problem}"))?;
        return Ok(jwt);
    }
    let given = given.filter(|jwt| !jwt.is_empty()).ok_or(
        "--jwt-file: required, or GATEKEY_JWT in the environment: a JWT with a tenant and the roles developer \
         and verifier",
    )?;
    jwt::bearer(given).map(Jwt::Given).map_err(|problem| format!("GATEKEY_JWT: {problem}"))
}

fn endpoint(text: &str, tls: Option<&ClientTlsConfig>) -> Result<(String, Endpoint), String> {
    // What may hold a password is not shown.
    let shown = if text.contains('@') { "it" } else { text };
    let problem = || format!("{shown} must be http://HOST:PORT, as in http://127.0.0.1:50051");
    let uri: Uri = text.parse().map_err(|_| problem())?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let (Some(authority), Some(scheme)) = (authority, uri.scheme_str()) else { return Err(problem()) };
    let tls = match (scheme, tls) {
        ("http", _) => None,
        ("https", Some(tls)) => Some(tls.clone()),
        ("https", None) => return Err(format!("{shown}: https needs --ca-file")),
        _ => return Err(problem()),
    };
    if uri.path() != "/" || uri.query().is_some() {
        return Err(problem());
    }
    let name = format!("{scheme}://{authority}");
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls).map_err(|cause| format!("{name}: {cause}"))?,
        None => endpoint,
    };
    Ok((name, endpoint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Trust;

    fn request() -> cli::Canary {
        let endpoints = vec!["http://127.0.0.1:1/".to_owned(), "http://[::1]:1".to_owned()];
        cli::Canary { endpoints, jwt_file: None, interval: 0.5, count: Some(1), trust: Trust::default() }
    }

    fn problems(request: &cli::Canary, jwt: Option<&str>) -> String {
        Settings::check(request, jwt).expect_err("wrong").to_string()
    }

    #[test]
    fn good_settings_are_taken() {
        let settings = Settings::check(&request(), Some("a.b.c")).expect("good");
        let names: Vec<&str> = settings.endpoints.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["http://127.0.0.1:1", "http://[::1]:1"]);
        assert_eq!((settings.interval, settings.count), (Duration::from_millis(500), Some(1)));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let endpoints = ["https://a", "http://u:secret@a", "http://a/b", "a:1", "http://a", "http://a/"];
        let endpoints = endpoints.map(str::to_owned).to_vec();
        let jwt_file = Some("/no/such/file".into());
        let wrong =
            cli::Canary { endpoints, jwt_file, interval: f64::NAN, count: Some(0), trust: Trust::default() };
        let said = problems(&wrong, Some("a.b.c"));
        assert_eq!(said.matches("--endpoint").count(), 5, "{said}");
        for part in [
            "https://a: https needs --ca-file",
            "http://a/b ",
            "twice",
            "--jwt-file: /no/such/file",
            "--interval",
            "--count",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn credentials_are_required_and_not_repeated() {
        for jwt in [None, Some("")] {
            assert!(problems(&request(), jwt).contains("GATEKEY_JWT in the environment"));
        }
        let said = problems(&request(), Some("no jwt"));
        assert!(said.contains("GATEKEY_JWT") && !said.contains("no jwt"), "{said}");
    }
}
