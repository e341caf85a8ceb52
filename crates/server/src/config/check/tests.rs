//! Wrong settings, each with the flag that must be named; and settings that must pass.

use std::path::{Path, PathBuf};

use super::super::{PoolerMode, PostgresConfig};
use super::*;
use crate::cli::Cli;
use clap::Parser;
use gatekey_api::JwksAccess;
use std::time::Duration;
use tempfile::TempDir;

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
fn health_needs_no_tls_for_any_address() {
    assert!(check(&with_issuer(&["--health-addr", "0.0.0.0:9091"])).is_ok());
}

#[test]
fn every_problem_names_its_flag_and_what_is_right() {
    let postgres = ["--database-url", "postgres://db/gatekey"];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["--grpc-addr", "0.0.0.0:1"], "--grpc-addr: 0.0.0.0:1 is not loopback"),
        (vec!["--http-addr", "[::]:1"], "--http-addr: [::]:1 is not loopback"),
        (vec!["--dev", "--grpc-addr", "10.0.0.1:1"], "--grpc-addr: 10.0.0.1:1 is not loopback"),
        (with_issuer(&["--grpc-addr", "0.0.0.0:1"]), "or --plaintext"),
        (with_issuer(&["--grpc-addr", "0.0.0.0:1"]), "give --tls-cert-file"),
        (vec!["--health-addr", "0.0.0.0:1"], "--health-addr: 0.0.0.0:1 is not loopback"),
        (vec!["--health-addr", "127.0.0.1:8080"], "--health-addr: 127.0.0.1:8080 is --http-addr"),
        (vec!["--tls-cert-file", "/nonexistent"], "--tls-key-file: required with --tls-cert-file"),
        (vec!["--tls-key-file", "/nonexistent"], "--tls-cert-file: required with --tls-key-file"),
        (vec!["--tls-cert-file", "/nonexistent", "--tls-key-file", "k"], "--tls-cert-file: /nonexistent: "),
        (vec!["--tls-client-ca-file", "ca"], "--tls-client-ca-file: there is no TLS without"),
        (vec!["--tls-min-version", "1.3"], "--tls-min-version: there is no TLS without"),
        (vec!["--verifier-spiffe-id", "x"], r#"--verifier-spiffe-id: "x" must be a SPIFFE ID"#),
        (vec!["--gateway-spiffe-id", "spiffe://a/b"], "--gateway-spiffe-id: needs --tls-client-ca-file"),
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
        (vec!["--start-timeout", "86401"], "--start-timeout: must be 0 to 86400 seconds"),
        (vec!["--shutdown-delay", "601"], "--shutdown-delay: must be 0 to 600 seconds"),
        (vec!["--drain-timeout", "86401"], "--drain-timeout: must be 0 to 86400 seconds"),
        (vec!["--connection-age", "0"], "--connection-age: must be 1 to 86400 seconds"),
        (vec!["--jwks-ca-file", "f"], "--jwks-ca-file: belongs to an issuer"),
        (vec!["--jwks-bearer-file", "f"], "--jwks-bearer-file: belongs to an issuer"),
        (
            vec!["--issuer", "i", "--audience", "a", "--jwks", "f", "--jwks-bearer-file", "b"],
            "--jwks-bearer-file: is for a URL",
        ),
        (vec!["--database-connections", "0"], "--database-connections: must be 1 to 1000"),
        (vec!["--database-url", "mysql://db"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-url", "sqlite::memory:"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-url", "sqlite:a?mode=ro"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-url", "sqlite:a"], "--issuer: required with --database-url"),
        (vec!["--database-url", "sqlite://host/a.db"], "--database-url: must be sqlite:FILE"),
        (vec!["--database-connections", "4294967295"], "--database-connections: must be 1 to 1000"),
        (vec!["--database-url-file", "/nonexistent"], "--database-url-file: /nonexistent"),
        (vec!["--database-url", "sqlite:a", "--database-url-file", "b"], "not both"),
        (vec!["--database-pooler", "transaction"], "--database-pooler: belongs to Postgres"),
        (
            vec!["--database-pooler", "transaction", "--database-url", "sqlite:a"],
            "--database-pooler: belongs to Postgres",
        ),
        (
            vec!["--database-direct-url", "postgres://db/gatekey"],
            "--database-direct-url: belongs to --database-pooler transaction",
        ),
        (vec!["--database-direct-url", "sqlite:a"], "--database-direct-url: must be postgres://"),
        (vec!["--database-direct-url-file", "/nonexistent"], "--database-direct-url-file: /nonexistent"),
        (
            vec!["--database-direct-url", "postgres://db/a", "--database-direct-url-file", "b"],
            "--database-direct-url-file: give it or --database-direct-url, not both",
        ),
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
    let found = problems(&["--database-direct-url", "mysql://user:hunter2@db/x"]);
    assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"));
}

#[test]
fn dev_with_postgres_is_asked_for() {
    let config = check(&["--dev", "--database-url", "postgres://db/gatekey"]).expect("valid");
    assert!(config.is_development());
    assert!(matches!(config.store, StoreConfig::Postgres(..)));
}

/// A file with every flag, what it says, and the folder of all that it names.
fn file_of_every_flag() -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let url_file = folder.path().join("url");
    std::fs::write(&url_file, "postgres://user:hunter2@db/x\n").expect("written");
    let direct_file = folder.path().join("direct");
    std::fs::write(&direct_file, "postgres://user:hunter2@primary/x\n").expect("written");
    let file = folder.path().join("gatekey.toml");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, certified.cert.pem()).expect("written");
    std::fs::write(&key, certified.signing_key.serialize_pem()).expect("written");
    let text = format!(
        r#"
grpc-addr = "127.0.0.1:1"
http-addr = "127.0.0.1:2"
metrics-addr = "127.0.0.1:3"
health-addr = "127.0.0.1:4"
tls-cert-file = "{certificate}"
tls-key-file = "{key}"
tls-client-ca-file = "{certificate}"
tls-min-version = "1.3"
verifier-spiffe-id = ["spiffe://example.org/speech"]
gateway-spiffe-id = ["spiffe://example.org/edge", "spiffe://example.org/inner"]
database-url-file = "{url_file}"
database-pooler = "transaction"
database-direct-url-file = "{direct_file}"
otlp-endpoint = "http://127.0.0.1:4317"
trace-ratio = 0.5
database-connections = 3
data-dir = "elsewhere"
token-prefix = "acme"
tokens-per-tenant = 7
dev = false
plaintext = true
issuer = "https://a.example"
audience = "gatekey"
jwks = "https://a.example/keys"
jwks-ca-file = "ca.pem"
jwks-bearer-file = "bearer"
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
start-timeout = 4
shutdown-delay = 5
drain-timeout = 9
connection-age = 600
log-format = "text"
log = "debug"

[[issuers]]
issuer = "https://kubernetes.default.svc"
audience = "gatekey"
jwks = "https://kubernetes.default.svc/openid/v1/jwks"
jwks-ca-file = "cluster.pem"
jwks-bearer-file = "token"
verifier-subjects = ["system:serviceaccount:speech:gateway"]
"#,
        url_file = url_file.display(),
        certificate = certificate.display(),
        key = key.display(),
        direct_file = direct_file.display(),
    );
    std::fs::write(&file, &text).expect("written");
    (folder, file, text)
}

#[test]
fn the_file_knows_every_flag() {
    let (_folder, file, text) = file_of_every_flag();
    let path = file.to_str().expect("text");
    let config = check(&["--config", path, "--token-prefix", "flag"]).expect("valid");
    assert_eq!(config.grpc_addr.port(), 1);
    assert_eq!(config.prefix.as_str(), "flag");
    assert_eq!(config.traces.expect("given").url, "http://127.0.0.1:4317");
    assert_eq!(config.tokens_per_tenant, 7);
    assert_eq!(config.lease.get(), Duration::from_secs(30));
    let life = config.life;
    let lives = [life.start_timeout, life.shutdown_delay, life.drain_timeout, life.connection_age];
    assert_eq!(lives.map(|span| span.as_secs()), [4, 5, 9, 600]);
    assert_eq!((config.log_format, config.log.as_str()), (LogFormat::Text, "debug"));
    assert_eq!((config.http.base_path.as_str(), config.http.next_steps.len()), ("/keys/", 2));
    assert_eq!(config.http.jwt_header.expect("given"), "x-forwarded-access-token");
    assert_eq!(config.http.gateway_type_header.expect("given"), "x-required-token");
    assert_eq!(config.gateway_peers.len(), 2);
    assert_eq!(config.health_addr.expect("given").port(), 4);
    let tls = config.tls.expect("given").settings;
    assert_eq!((tls.verifiers.len(), tls.gateways.len()), (1, 2));
    assert!(tls.files.client_authorities.is_some() && tls.min_version == gatekey_api::TlsVersion::Tls13);
    assert_eq!(
        (config.http.home.as_deref(), config.http.cors_origins.len()),
        (Some("https://home.example.com/"), 1)
    );
    let StoreConfig::Postgres(postgres) = &config.store else { panic!("a Postgres URL is given") };
    assert_eq!((postgres.connections, postgres.pooler), (3, PoolerMode::Transaction));
    assert_eq!(postgres.url.expose(), "postgres://user:hunter2@db/x");
    let direct = postgres.direct_url.as_ref().expect("given");
    assert_eq!(direct.expose(), "postgres://user:hunter2@primary/x");
    let Mode::Production(issuers) = config.mode else { panic!("an issuer is given") };
    assert_eq!(issuers.len(), 2);
    assert_eq!(issuers[0].verifier_subjects, ["one", "two"]);
    assert_eq!(issuers[0].roles_pointer, "/r");
    assert_eq!(issuers[1].roles_pointer, "/roles");
    for (issuer, ca, bearer) in [(&issuers[0], "ca.pem", "bearer"), (&issuers[1], "cluster.pem", "token")] {
        let access =
            JwksAccess { ca_file: Some(PathBuf::from(ca)), bearer_file: Some(PathBuf::from(bearer)) };
        assert_eq!(issuer.jwks_access, access);
    }

    // Every flag but --config itself stands in the file above.
    for argument in <Cli as clap::CommandFactory>::command().get_arguments() {
        let Some(flag) = argument.get_long() else { continue };
        if !matches!(flag, "help" | "version" | "config" | "database-url" | "database-direct-url") {
            assert!(text.contains(&format!("\n{flag} =")), "{flag} is not in the file of this test");
        }
    }
}

#[test]
fn flags_go_before_the_file() {
    let (_folder, file, text) = file_of_every_flag();
    let path = file.to_str().expect("text");
    let config = check(&["--config", path, "--issuer", "me", "--audience", "a", "--jwks", "k.json"]);
    let Mode::Production(issuers) = config.expect("valid").mode else { panic!("an issuer is given") };
    assert_eq!(issuers[0].verifier_subjects, [""; 0], "the file's issuer is another one");
    assert!(problems(&["--config", path, "--issuer", "me"])[0].contains("--audience: required"));

    let flags = ["--config", path, "--database-direct-url", "postgres://other/x"];
    let config = check(&flags).expect("a flag goes first");
    let StoreConfig::Postgres(PostgresConfig { direct_url: Some(direct), .. }) = config.store else {
        panic!("it is given")
    };
    assert_eq!(direct.expose(), "postgres://other/x");
    std::fs::write(&file, text.replace("database-pooler", "#").replace("database-direct", "#"))
        .expect("written");
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
