//! What was given by flag or environment, before what the file of `--config` says.

use super::ConfigError;
use super::settings::Settings;

/// A list that was given replaces that of the file.
fn given_or(given: Vec<String>, file: Vec<String>) -> Vec<String> {
    if given.is_empty() { file } else { given }
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
            jwks_ca_file: given.jwks_ca_file.clone().or(self.jwks_ca_file),
            jwks_bearer_file: given.jwks_bearer_file.clone().or(self.jwks_bearer_file),
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
        let direct_given = self.database_direct_url.is_some() || self.database_direct_url_file.is_some();
        let direct = if direct_given { self.clone() } else { file.clone() };
        Self {
            grpc_addr: self.grpc_addr.or(file.grpc_addr),
            http_addr: self.http_addr.or(file.http_addr),
            metrics_addr: self.metrics_addr.or(file.metrics_addr),
            health_addr: self.health_addr.or(file.health_addr),
            tls_cert_file: self.tls_cert_file.or(file.tls_cert_file),
            tls_key_file: self.tls_key_file.or(file.tls_key_file),
            tls_client_ca_file: self.tls_client_ca_file.or(file.tls_client_ca_file),
            tls_min_version: self.tls_min_version.or(file.tls_min_version),
            verifier_spiffe_ids: given_or(self.verifier_spiffe_ids, file.verifier_spiffe_ids),
            gateway_spiffe_ids: given_or(self.gateway_spiffe_ids, file.gateway_spiffe_ids),
            otlp_endpoint: self.otlp_endpoint.or(file.otlp_endpoint),
            trace_ratio: self.trace_ratio.or(file.trace_ratio),
            database_url: if url_given { self.database_url } else { file.database_url },
            database_url_file: if url_given { self.database_url_file } else { file.database_url_file },
            database_pooler: self.database_pooler.or(file.database_pooler),
            database_direct_url: direct.database_direct_url,
            database_direct_url_file: direct.database_direct_url_file,
            database_connections: self.database_connections.or(file.database_connections),
            data_dir: self.data_dir.or(file.data_dir),
            token_prefix: self.token_prefix.or(file.token_prefix),
            tokens_per_tenant: self.tokens_per_tenant.or(file.tokens_per_tenant),
            dev: self.dev.or(file.dev),
            plaintext: self.plaintext.or(file.plaintext),
            issuer: issuer.issuer,
            audience: issuer.audience,
            jwks: issuer.jwks,
            jwks_ca_file: issuer.jwks_ca_file,
            jwks_bearer_file: issuer.jwks_bearer_file,
            roles_pointer: issuer.roles_pointer,
            tenant_pointer: issuer.tenant_pointer,
            verifier_subjects: issuer.verifier_subjects,
            base_path: self.base_path.or(file.base_path),
            jwt_header: self.jwt_header.or(file.jwt_header),
            home_url: self.home_url.or(file.home_url),
            next_steps: given_or(self.next_steps, file.next_steps),
            cors_origins: given_or(self.cors_origins, file.cors_origins),
            gateway_peers: given_or(self.gateway_peers, file.gateway_peers),
            gateway_type_header: self.gateway_type_header.or(file.gateway_type_header),
            lease: self.lease.or(file.lease),
            start_timeout: self.start_timeout.or(file.start_timeout),
            shutdown_delay: self.shutdown_delay.or(file.shutdown_delay),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            connection_age: self.connection_age.or(file.connection_age),
            log_format: self.log_format.or(file.log_format),
            log: self.log.or(file.log),
            config: self.config,
            issuers: file.issuers,
        }
    }
}
