//! Wrong settings, each with the flag that must be named; and settings that must pass.

use super::*;
use crate::cli::Cli;
use clap::Parser;

fn check(flags: &[&str]) -> Result<Config, ConfigError> {
    let cli = Cli::try_parse_from(["gatekey"].iter().chain(flags)).expect("known flags");
    cli.settings.check()
}

fn problems(flags: &[&str]) -> Vec<String> {
    match check(flags) {
        Ok(_) => Vec::new(),
        Err(ConfigError(problems)) => problems,
    }
}

const ISSUER: [&str; 6] = [
    "--issuer",
    "https://login.example.com",
    "--audience",
    "gatekey",
    "--jwks",
    "https://login.example.com/jwks",
];

fn with_issuer<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    ISSUER.into_iter().chain(flags.iter().copied()).collect()
}

#[test]
fn nothing_given_is_development_mode_on_loopback() {
    let config = check(&[]).expect("valid");
    assert!(config.is_development());
    assert_eq!((config.grpc_addr, config.http_addr), (GRPC_ADDR, HTTP_ADDR));
    assert!(
        matches!(config.store, StoreConfig::Sqlite(path) if path == Path::new("gatekey-data/gatekey.db"))
    );
    assert_eq!(config.log_format, LogFormat::Text);
}

#[test]
fn an_issuer_makes_it_production() {
    let config = check(&with_issuer(&["--grpc-addr", "0.0.0.0:50051", "--plaintext"])).expect("valid");
    assert!(matches!(&config.mode, Mode::Production(issuers) if issuers.len() == 1));
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn every_problem_names_its_flag_and_what_is_right() {
    let postgres = ["--database-url", "postgres://db/gatekey"];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["--grpc-addr", "0.0.0.0:1"], "--grpc-addr: 0.0.0.0:1 is not loopback"),
        (vec!["--http-addr", "[::]:1"], "--http-addr: [::]:1 is not loopback"),
        (vec!["--dev", "--grpc-addr", "10.0.0.1:1"], "--grpc-addr: 10.0.0.1:1 is not loopback"),
        (with_issuer(&["--grpc-addr", "0.0.0.0:1"]), "give --plaintext"),
        (with_issuer(&["--dev"]), "--dev: excludes --issuer"),
        (vec!["--dev=false"], "--issuer: required"),
        (postgres.to_vec(), "--issuer: required with --database-url"),
        (vec!["--issuer", "x"], "--audience: required with --issuer"),
        (vec!["--issuer", "x"], "--jwks: required with --issuer"),
        (vec!["--jwks", "x"], "--jwks: belongs to an issuer"),
        (vec!["--verifier-subject", "x"], "--verifier-subject: belongs to an issuer"),
        (vec!["--issuer", "", "--audience", "a", "--jwks", "f"], "--issuer: must not be empty"),
        (
            vec!["--issuer", "i", "--audience", "a", "--jwks", "http://example.com/k"],
            "--jwks: must be an https URL",
        ),
        (vec!["--issuer", "i", "--audience", "a", "--jwks", "ftp://x/k"], "must be an https URL"),
        (with_issuer(&["--roles-pointer", "roles"]), "--roles-pointer: must be a JSON pointer"),
        (with_issuer(&["--tenant-pointer", "t"]), "--tenant-pointer: must be a JSON pointer"),
        (vec!["--token-prefix", "G"], "--token-prefix: a token prefix has 2 to 8 characters"),
        (vec!["--tokens-per-tenant", "0"], "--tokens-per-tenant: must be 1 or more"),
        (vec!["--lease", "1"], "--lease: must be 2 to 120 seconds"),
        (vec!["--lease", "121"], "--lease: must be 2 to 120 seconds"),
        (vec!["--database-connections", "0"], "--database-connections: must be 1 to 1000"),
        (vec!["--database-url", "mysql://db"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-url", "sqlite::memory:"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-url", "sqlite:a?mode=ro"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-url", "sqlite:a"], "--issuer: required with --database-url"),
        (vec!["--database-url", "sqlite://host/a.db"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-connections", "4294967295"], "--database-connections: must be 1 to 1000"),
        (vec!["--database-url-file", "/nonexistent"], "--database-url-file: /nonexistent"),
        (vec!["--database-url", "sqlite:a", "--database-url-file", "b"], "not both"),
        (vec!["--trace-ratio", "0.5"], "--trace-ratio: belongs to --otlp-endpoint"),
        (vec!["--otlp-endpoint", "http://a:4317", "--trace-ratio", "-1"], "--trace-ratio: must be 0 to 1"),
        (vec!["--otlp-endpoint", "collector:4317"], "--otlp-endpoint: must be http://HOST:PORT"),
        (vec!["--otlp-endpoint", "http://a:4317/v1/traces"], "--otlp-endpoint: must be http://HOST:PORT"),
        (vec!["--otlp-endpoint", "http://user:hunter2@a:4317"], "credentials go into OTEL_EXPORTER"),
        (vec!["--config", "/nonexistent"], "--config: /nonexistent"),
        (
            vec!["--grpc-addr", "127.0.0.1:9", "--http-addr", "127.0.0.1:9"],
            "--http-addr: 127.0.0.1:9 is --grpc-addr",
        ),
    ];
    for (flags, expected) in cases {
        let found = problems(&flags);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{flags:?}: {found:?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(&["--token-prefix", "G", "--tokens-per-tenant", "0", "--grpc-addr", "0.0.0.0:1"]);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_password_is_not_shown() {
    let found = problems(&["--database-url", "mysql://user:hunter2@db/x", "--token-prefix", "G"]);
    assert!(!format!("{found:?}").contains("hunter2"));
    let config = check(&["--dev", "--database-url", "postgres://user:hunter2@db/x"]).expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn dev_with_postgres_is_asked_for() {
    let config = check(&["--dev", "--database-url", "postgres://db/gatekey"]).expect("valid");
    assert!(config.is_development());
    assert!(matches!(config.store, StoreConfig::Postgres(..)));
}

#[test]
fn the_file_knows_every_flag_and_flags_go_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let url_file = folder.path().join("url");
    std::fs::write(&url_file, "postgres://user:hunter2@db/x\n").expect("written");
    let file = folder.path().join("gatekey.toml");
    let text = format!(
        r#"
grpc-addr = "127.0.0.1:1"
http-addr = "127.0.0.1:2"
metrics-addr = "127.0.0.1:3"
otlp-endpoint = "http://127.0.0.1:4317"
trace-ratio = 0.5
database-url-file = "{}"
database-connections = 3
data-dir = "elsewhere"
token-prefix = "acme"
tokens-per-tenant = 7
dev = false
plaintext = true
issuer = "https://a.example"
audience = "gatekey"
jwks = "https://a.example/keys"
roles-pointer = "/r"
tenant-pointer = "/t"
verifier-subject = ["one", "two"]
base-path = "/keys"
jwt-header = "X-Forwarded-Access-Token"
home-url = "https://home.example.com/"
next-step = ["Docs=/docs", "Billing=https://billing.example.com/"]
cors-origin = ["https://admin.example.com"]
gateway-peer = ["10.0.7.0/24", "::1"]
gateway-type-header = "x-required-token"
lease = 30
drain-timeout = 9
log-format = "text"
log = "debug"

[[issuers]]
issuer = "https://kubernetes.default.svc"
audience = "gatekey"
jwks = "keys.json"
verifier-subjects = ["system:serviceaccount:speech:gateway"]
"#,
        url_file.display()
    );
    std::fs::write(&file, &text).expect("written");
    let path = file.to_str().expect("text");
    let config = check(&["--config", path, "--token-prefix", "flag"]).expect("valid");
    assert_eq!(config.grpc_addr.port(), 1);
    assert_eq!(config.prefix.as_str(), "flag");
    assert_eq!(config.traces.expect("given").url, "http://127.0.0.1:4317");
    assert_eq!(config.tokens_per_tenant, 7);
    assert_eq!(config.lease.get(), Duration::from_secs(30));
    assert_eq!(config.drain_timeout, Duration::from_secs(9));
    assert_eq!((config.log_format, config.log.as_str()), (LogFormat::Text, "debug"));
    assert_eq!((config.http.base_path.as_str(), config.http.next_steps.len()), ("/keys/", 2));
    assert_eq!(config.http.jwt_header.expect("given"), "x-forwarded-access-token");
    assert_eq!(config.http.gateway_type_header.expect("given"), "x-required-token");
    assert_eq!(config.gateway_peers.len(), 2);
    assert_eq!(
        (config.http.home.as_deref(), config.http.cors_origins.len()),
        (Some("https://home.example.com/"), 1)
    );
    assert!(
        matches!(&config.store, StoreConfig::Postgres(url, 3) if url.expose() == "postgres://user:hunter2@db/x")
    );
    let Mode::Production(issuers) = config.mode else { panic!("an issuer is given") };
    assert_eq!(issuers.len(), 2);
    assert_eq!(issuers[0].verifier_subjects, ["one", "two"]);
    assert_eq!(issuers[0].roles_pointer, "/r");
    assert_eq!(issuers[1].roles_pointer, "/roles");

    // Every flag but --config itself stands in the file above.
    for argument in <Cli as clap::CommandFactory>::command().get_arguments() {
        let Some(flag) = argument.get_long() else { continue };
        if !matches!(flag, "help" | "version" | "config" | "database-url") {
            assert!(text.contains(&format!("\n{flag} =")), "{flag} is not in the file of this test");
        }
    }

    let config = check(&["--config", path, "--issuer", "me", "--audience", "a", "--jwks", "k.json"]);
    let Mode::Production(issuers) = config.expect("valid").mode else { panic!("an issuer is given") };
    assert_eq!(issuers[0].verifier_subjects, [""; 0], "the file's issuer is another one");
    assert!(problems(&["--config", path, "--issuer", "me"])[0].contains("--audience: required"));

    let config = check(&["--config", path, "--database-url", "sqlite:x"]).expect("a flag goes first");
    assert!(matches!(config.store, StoreConfig::Sqlite(_)));
    std::fs::write(&file, "grpc-adr = 1").expect("written");
    assert!(problems(&["--config", path])[0].contains("grpc-adr"));
}

#[test]
fn a_subject_with_a_comma_is_one_subject() {
    let config = check(&with_issuer(&["--verifier-subject", "CN=gw,O=acme", "--verifier-subject", "b"]));
    let Mode::Production(issuers) = config.expect("valid").mode else { panic!("an issuer is given") };
    assert_eq!(issuers[0].verifier_subjects, ["CN=gw,O=acme", "b"]);
}
