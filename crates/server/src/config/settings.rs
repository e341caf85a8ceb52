//! The settings as they are given: by flag, environment or file, none of them required.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::tls::MinVersion;

/// Everything that can be set. One struct for flags, environment and file, so that they know the same.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Where gRPC is served. [default: 127.0.0.1:50051; port 0 takes a free one]
    #[arg(long, value_name = "ADDR", env = "GATEKEY_GRPC_ADDR", value_parser = address)]
    pub(crate) grpc_addr: Option<SocketAddr>,

    /// Where HTTP is served (the page, /api/v3, /forward-auth, /livez, /readyz). [default: 127.0.0.1:8080; port 0 takes a free one]
    #[arg(long, value_name = "ADDR", env = "GATEKEY_HTTP_ADDR", value_parser = address)]
    pub(crate) http_addr: Option<SocketAddr>,

    /// Where figures for Prometheus are served, at /metrics. [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "GATEKEY_METRICS_ADDR", value_parser = address)]
    pub(crate) metrics_addr: Option<SocketAddr>,

    /// Where health is served without TLS, to anyone and nothing else: grpc.health.v1, /livez and /readyz. [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "GATEKEY_HEALTH_ADDR", value_parser = address)]
    pub(crate) health_addr: Option<SocketAddr>,

    /// The server's certificate in PEM, with those between it and an authority that clients know: then gRPC and HTTP are
    /// served by TLS. It is read again when it changes, and at SIGHUP.
    #[arg(long, value_name = "FILE", env = "GATEKEY_TLS_CERT_FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,

    /// The key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "GATEKEY_TLS_KEY_FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,

    /// The authorities of clients, in PEM: clients are asked for a certificate then, and a bad one is refused. Callers may
    /// prove themselves by a JWT instead.
    #[arg(long, value_name = "FILE", env = "GATEKEY_TLS_CLIENT_CA_FILE")]
    pub(crate) tls_client_ca_file: Option<PathBuf>,

    /// The oldest version of TLS that is spoken. [default: 1.2, as Envoy speaks no newer one to its upstreams unless it is told to]
    #[arg(long, value_name = "VERSION", env = "GATEKEY_TLS_MIN_VERSION", value_enum)]
    pub(crate) tls_min_version: Option<MinVersion>,

    /// The SPIFFE ID in the certificate of a client that may verify tokens; may be given several times. In the environment, one.
    #[arg(long = "verifier-spiffe-id", value_name = "ID", env = "GATEKEY_VERIFIER_SPIFFE_ID")]
    #[serde(rename = "verifier-spiffe-id")]
    pub(crate) verifier_spiffe_ids: Vec<String>,

    /// The SPIFFE ID in the certificate of a gateway, which may ask about requests; may be given several times. In the
    /// environment, one.
    #[arg(long = "gateway-spiffe-id", value_name = "ID", env = "GATEKEY_GATEWAY_SPIFFE_ID")]
    #[serde(rename = "gateway-spiffe-id")]
    pub(crate) gateway_spiffe_ids: Vec<String>,

    /// Where traces are sent, by OTLP over gRPC, as in http://127.0.0.1:4317. [default: nowhere]
    #[arg(long, value_name = "URL", env = "GATEKEY_OTLP_ENDPOINT", hide_env_values = true)]
    pub(crate) otlp_endpoint: Option<String>,

    /// The share of traces that are sent, 0 to 1, of those that begin here; others go as whoever began them decided.
    /// [default: OTEL_TRACES_SAMPLER, or 0.01]
    #[arg(long, value_name = "RATIO", env = "GATEKEY_TRACE_RATIO", allow_negative_numbers = true)]
    pub(crate) trace_ratio: Option<f64>,

    /// The store: sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE.
    /// [default: SQLite in --data-dir]
    #[arg(long, value_name = "URL", env = "GATEKEY_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,

    /// A file that holds the database URL, so that its password stands in no command line.
    #[arg(long, value_name = "FILE", env = "GATEKEY_DATABASE_URL_FILE")]
    pub(crate) database_url_file: Option<PathBuf>,

    /// What stands between here and Postgres: transaction for a pooler that hands on transactions, not sessions. [default: none]
    #[arg(long, value_name = "MODE", env = "GATEKEY_DATABASE_POOLER", value_enum)]
    pub(crate) database_pooler: Option<PoolerMode>,

    /// The same database past the pooler, for renewals of leases, LISTEN and migrations: postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, value_name = "URL", env = "GATEKEY_DATABASE_DIRECT_URL", hide_env_values = true)]
    pub(crate) database_direct_url: Option<String>,

    /// A file that holds the direct URL.
    #[arg(long, value_name = "FILE", env = "GATEKEY_DATABASE_DIRECT_URL_FILE")]
    pub(crate) database_direct_url_file: Option<PathBuf>,

    /// How many connections to Postgres at the most. [default: 16]
    #[arg(long, value_name = "N", env = "GATEKEY_DATABASE_CONNECTIONS")]
    pub(crate) database_connections: Option<u32>,

    /// Where SQLite and, in development mode, the signing key are kept. [default: gatekey-data]
    #[arg(long, value_name = "DIR", env = "GATEKEY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// The first letters of new token values: 2 to 8 of a-z and 0-9. Old tokens go on working. [default: gk]
    #[arg(long, value_name = "PREFIX", env = "GATEKEY_TOKEN_PREFIX")]
    pub(crate) token_prefix: Option<String>,

    /// How many live tokens a tenant may have. [default: 1000]
    #[arg(long, value_name = "N", env = "GATEKEY_TOKENS_PER_TENANT")]
    pub(crate) tokens_per_tenant: Option<u32>,

    /// Development mode, on loopback only: the server signs its callers' JWTs itself.
    /// Implied where no issuer is given and the store is SQLite.
    #[arg(long, value_name = "BOOL", env = "GATEKEY_DEV", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) dev: Option<bool>,

    /// Allow addresses that are not loopback without TLS, where something in front encrypts.
    #[arg(long, value_name = "BOOL", env = "GATEKEY_PLAINTEXT", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) plaintext: Option<bool>,

    /// Whose JWTs are taken: the exact `iss`. Several issuers go into the file of --config.
    #[arg(long, value_name = "ISS", env = "GATEKEY_ISSUER")]
    pub(crate) issuer: Option<String>,

    /// The `aud` that JWTs must have.
    #[arg(long, value_name = "AUD", env = "GATEKEY_AUDIENCE")]
    pub(crate) audience: Option<String>,

    /// The issuer's keys, a JWK set: an https URL or a file.
    #[arg(long, value_name = "URL|FILE", env = "GATEKEY_JWKS")]
    pub(crate) jwks: Option<String>,

    /// Certificates in PEM: the authorities by which the host of --jwks is known, instead of the system's. Read for each
    /// fetch.
    #[arg(long, value_name = "FILE", env = "GATEKEY_JWKS_CA_FILE")]
    pub(crate) jwks_ca_file: Option<PathBuf>,

    /// A file that holds a bearer token for --jwks, such as a service account's for the keys of a Kubernetes cluster.
    /// Read for each fetch.
    #[arg(long, value_name = "FILE", env = "GATEKEY_JWKS_BEARER_FILE")]
    pub(crate) jwks_bearer_file: Option<PathBuf>,

    /// Where in a JWT the roles are, as a JSON pointer (RFC 6901) to a list of their names.
    /// [default: /roles]
    #[arg(long, value_name = "POINTER", env = "GATEKEY_ROLES_POINTER")]
    pub(crate) roles_pointer: Option<String>,

    /// Where in a JWT the tenant is, as a JSON pointer. [default: /tenant]
    #[arg(long, value_name = "POINTER", env = "GATEKEY_TENANT_POINTER")]
    pub(crate) tenant_pointer: Option<String>,

    /// A subject (`sub`) that may verify tokens; may be given several times. In the environment, one.
    #[arg(long = "verifier-subject", value_name = "SUB", env = "GATEKEY_VERIFIER_SUBJECT")]
    #[serde(rename = "verifier-subject")]
    pub(crate) verifier_subjects: Vec<String>,

    /// The path of the page, as in /keys. The REST API is below it too, and at /api/v3 in any case. [default: /]
    #[arg(long, value_name = "PATH", env = "GATEKEY_BASE_PATH")]
    pub(crate) base_path: Option<String>,

    /// The HTTP header in which what stands in front sends the JWT of who is signed in, as in
    /// x-forwarded-access-token. `authorization: Bearer` is taken in any case.
    #[arg(long, value_name = "HEADER", env = "GATEKEY_JWT_HEADER")]
    pub(crate) jwt_header: Option<String>,

    /// Where people go who are signed in but may not open the page: an https URL or a path.
    #[arg(long, value_name = "URL", env = "GATEKEY_HOME_URL")]
    pub(crate) home_url: Option<String>,

    /// A link at the end of the page, as in `Docs=https://docs.example.com`; may be given several
    /// times. In the environment, one.
    #[arg(long = "next-step", value_name = "TEXT=URL", env = "GATEKEY_NEXT_STEP")]
    #[serde(rename = "next-step")]
    pub(crate) next_steps: Vec<String>,

    /// An origin whose pages may call the REST API, as in `https://admin.example.com`; may be given several times.
    /// In the environment, one. [default: none]
    #[arg(long = "cors-origin", value_name = "ORIGIN", env = "GATEKEY_CORS_ORIGIN")]
    #[serde(rename = "cors-origin")]
    pub(crate) cors_origins: Vec<String>,

    /// An address or a network from which gateways ask about requests without credentials of their own, as in
    /// 10.0.7.0/24; may be given several times. In the environment, one. [default: none]
    #[arg(long = "gateway-peer", value_name = "NETWORK", env = "GATEKEY_GATEWAY_PEER")]
    #[serde(rename = "gateway-peer")]
    pub(crate) gateway_peers: Vec<String>,

    /// The HTTP header in which gateways may say which type of token a route asks for, beside the query of /forward-auth.
    /// They must set it on every request, or their clients can. [default: none]
    #[arg(long, value_name = "HEADER", env = "GATEKEY_GATEWAY_TYPE_HEADER")]
    pub(crate) gateway_type_header: Option<String>,

    /// The lease, in seconds (2 to 120): for how long verifications go on without the store, and with a quarter
    /// more, how long a delete can take when a holder of a lease does not answer. [default: 10]
    #[arg(long, value_name = "SECONDS", env = "GATEKEY_LEASE")]
    pub(crate) lease: Option<u32>,

    /// How long a start waits for Postgres and for its schema, in seconds; meanwhile probes and calls are answered that
    /// it is not ready. 0 does not wait. [default: 300]
    #[arg(long, value_name = "SECONDS", env = "GATEKEY_START_TIMEOUT")]
    pub(crate) start_timeout: Option<u32>,

    /// How long everything goes on after SIGTERM but readiness, in seconds, so that whoever sends calls here has heard
    /// of it before no more are taken. [default: 0]
    #[arg(long, value_name = "SECONDS", env = "GATEKEY_SHUTDOWN_DELAY")]
    pub(crate) shutdown_delay: Option<u32>,

    /// How long running calls may take to finish after that, in seconds; the store may take
    /// up to 10 more to close. [default: 15]
    #[arg(long, value_name = "SECONDS", env = "GATEKEY_DRAIN_TIMEOUT")]
    pub(crate) drain_timeout: Option<u32>,

    /// How old a connection to the gRPC port becomes, in seconds, and up to a tenth more; then it is closed in good
    /// order, so that callers spread over servers that came later. [default: 1800]
    #[arg(long, value_name = "SECONDS", env = "GATEKEY_CONNECTION_AGE")]
    pub(crate) connection_age: Option<u32>,

    /// How log lines look. [default: text in development mode, else json]
    #[arg(long, value_name = "FORMAT", env = "GATEKEY_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged, as in `info` or `info,gatekey=debug`. [default: info]
    #[arg(long, value_name = "FILTER", env = "GATEKEY_LOG")]
    pub(crate) log: Option<String>,

    /// A TOML file with settings and with further issuers: a list of tables named `issuers`, each with
    /// issuer, audience, jwks, jwks-ca-file, jwks-bearer-file, roles-pointer, tenant-pointer, verifier-subjects.
    #[arg(long, value_name = "FILE", env = "GATEKEY_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    #[arg(skip)]
    pub(crate) issuers: Vec<IssuerEntry>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "give an IP address and a port, as in 127.0.0.1:50051 or [::1]:50051")
}

/// What stands between here and Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PoolerMode {
    /// Nothing, or what hands on a whole session.
    None,
    /// A pooler that hands each transaction to whichever session is free.
    Transaction,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// An issuer in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct IssuerEntry {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) jwks: String,
    pub(crate) jwks_ca_file: Option<PathBuf>,
    pub(crate) jwks_bearer_file: Option<PathBuf>,
    pub(crate) roles_pointer: Option<String>,
    pub(crate) tenant_pointer: Option<String>,
    #[serde(default)]
    pub(crate) verifier_subjects: Vec<String>,
}
