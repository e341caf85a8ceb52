//! The settings as they are given: by flag, environment or file, none of them required.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::ConfigError;

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

    /// How long running calls may take to finish after SIGTERM, in seconds; the store may take
    /// up to 10 more to close. [default: 15]
    #[arg(long, value_name = "SECONDS", env = "GATEKEY_DRAIN_TIMEOUT")]
    pub(crate) drain_timeout: Option<u32>,

    /// How log lines look. [default: text in development mode, else json]
    #[arg(long, value_name = "FORMAT", env = "GATEKEY_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged, as in `info` or `info,gatekey=debug`. [default: info]
    #[arg(long, value_name = "FILTER", env = "GATEKEY_LOG")]
    pub(crate) log: Option<String>,

    /// A TOML file with settings and with further issuers: a list of tables named `issuers`, each with
    /// issuer, audience, jwks, roles-pointer, tenant-pointer, verifier-subjects.
    #[arg(long, value_name = "FILE", env = "GATEKEY_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    #[arg(skip)]
    pub(crate) issuers: Vec<IssuerEntry>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "give an IP address and a port, as in 127.0.0.1:50051 or [::1]:50051")
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
    pub(crate) roles_pointer: Option<String>,
    pub(crate) tenant_pointer: Option<String>,
    #[serde(default)]
    pub(crate) verifier_subjects: Vec<String>,
}

impl Settings {
    /// Fills what was not given by flag or environment from the file of `--config`.
    pub(crate) fn with_file(self) -> Result<Self, ConfigError> {
        let Some(path) = &self.config else { return Ok(self) };
        let problem = |cause: &dyn std::fmt::Display| {
            ConfigError::one(format!("--config: {}: {cause}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|cause| problem(&cause))?;
        let file: Self = toml::from_str(&text).map_err(|cause| problem(&cause))?;
        Ok(self.or(file))
    }

    /// The parts of an issuer that were given, in the place of one's own.
    fn with_issuer_parts_of(self, given: &Self) -> Self {
        Self {
            audience: given.audience.clone().or(self.audience),
            jwks: given.jwks.clone().or(self.jwks),
            roles_pointer: given.roles_pointer.clone().or(self.roles_pointer),
            tenant_pointer: given.tenant_pointer.clone().or(self.tenant_pointer),
            verifier_subjects: if given.verifier_subjects.is_empty() {
                self.verifier_subjects
            } else {
                given.verifier_subjects.clone()
            },
            ..self
        }
    }

    fn or(self, file: Self) -> Self {
        // What belongs to an issuer is not mixed with what belongs to another.
        let issuer =
            if self.issuer.is_some() { self.clone() } else { file.clone().with_issuer_parts_of(&self) };
        // Either way of giving the URL replaces both ways of the file.
        let url_given = self.database_url.is_some() || self.database_url_file.is_some();
        Self {
            grpc_addr: self.grpc_addr.or(file.grpc_addr),
            http_addr: self.http_addr.or(file.http_addr),
            metrics_addr: self.metrics_addr.or(file.metrics_addr),
            otlp_endpoint: self.otlp_endpoint.or(file.otlp_endpoint),
            trace_ratio: self.trace_ratio.or(file.trace_ratio),
            database_url: if url_given { self.database_url } else { file.database_url },
            database_url_file: if url_given { self.database_url_file } else { file.database_url_file },
            database_connections: self.database_connections.or(file.database_connections),
            data_dir: self.data_dir.or(file.data_dir),
            token_prefix: self.token_prefix.or(file.token_prefix),
            tokens_per_tenant: self.tokens_per_tenant.or(file.tokens_per_tenant),
            dev: self.dev.or(file.dev),
            plaintext: self.plaintext.or(file.plaintext),
            issuer: issuer.issuer,
            audience: issuer.audience,
            jwks: issuer.jwks,
            roles_pointer: issuer.roles_pointer,
            tenant_pointer: issuer.tenant_pointer,
            verifier_subjects: issuer.verifier_subjects,
            base_path: self.base_path.or(file.base_path),
            jwt_header: self.jwt_header.or(file.jwt_header),
            home_url: self.home_url.or(file.home_url),
            next_steps: if self.next_steps.is_empty() { file.next_steps } else { self.next_steps },
            cors_origins: if self.cors_origins.is_empty() { file.cors_origins } else { self.cors_origins },
            gateway_peers: if self.gateway_peers.is_empty() {
                file.gateway_peers
            } else {
                self.gateway_peers
            },
            gateway_type_header: self.gateway_type_header.or(file.gateway_type_header),
            lease: self.lease.or(file.lease),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            log_format: self.log_format.or(file.log_format),
            log: self.log.or(file.log),
            config: self.config,
            issuers: file.issuers,
        }
    }
}
