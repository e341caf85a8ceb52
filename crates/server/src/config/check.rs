//! Whether the settings hold and fit together. All problems are told at once, each with its flag.

use std::net::SocketAddr;
use std::path::PathBuf;

use gatekey_core::Lease;

use super::settings::{LogFormat, Settings};
use super::{
    Config, ConfigError, DATA_DIR, Life, Mode, StoreConfig, database, gateways, issuers, otlp, people, tls,
};

/// Where gRPC is served unless another address is given.
pub(crate) const GRPC_ADDR: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 50051);
const HTTP_ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

impl Settings {
    /// Checks the settings, those of the file of `--config` included.
    pub(crate) fn check(self) -> Result<Config, ConfigError> {
        let settings = self.with_file()?;
        let mut problems = Vec::new();

        let grpc_addr = settings.grpc_addr.unwrap_or(GRPC_ADDR);
        let http_addr = settings.http_addr.unwrap_or(HTTP_ADDR);
        let mut addresses = vec![("--grpc-addr", grpc_addr), ("--http-addr", http_addr)];
        addresses.extend(settings.metrics_addr.map(|address| ("--metrics-addr", address)));
        addresses.extend(settings.health_addr.map(|address| ("--health-addr", address)));
        for (number, (flag, address)) in
            addresses.iter().enumerate().filter(|(_, (_, address))| address.port() != 0)
        {
            if let Some((other, _)) = addresses[..number].iter().find(|(_, other)| other == address) {
                problems.push(format!("{flag}: {address} is {other} already; give another port"));
            }
        }

        let data_dir = settings.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR));
        let store = database::check(&settings, &data_dir, &mut problems);
        let mode = mode(&settings, &addresses, &mut problems);
        let tls = tls::check(&settings, &mut problems);
        let is_development = matches!(mode, Mode::Development);

        let prefix = settings.token_prefix.as_deref().map(str::parse).transpose().unwrap_or_else(|rule| {
            problems.push(format!("--token-prefix: {rule}"));
            None
        });
        let tokens_per_tenant = settings.tokens_per_tenant.unwrap_or(1_000);
        if tokens_per_tenant == 0 {
            problems.push("--tokens-per-tenant: must be 1 or more".to_owned());
        }

        let lease = settings.lease.map_or(Some(Lease::default()), Lease::from_seconds);
        if lease.is_none() {
            let (least, most) = (Lease::SECONDS.start(), Lease::SECONDS.end());
            problems.push(format!("--lease: must be {least} to {most} seconds"));
        }

        let life = Life::check(&settings, &mut problems);
        let mut http = people::check(&settings, is_development, &mut problems);
        http.gateway_type_header = gateways::type_header(&settings, &mut problems);
        let gateway_peers = gateways::peers(&settings, &mut problems);
        let traces = otlp::check(&settings, &mut problems);

        let default_format = if is_development { LogFormat::Text } else { LogFormat::Json };
        match store {
            Some(store) if problems.is_empty() => Ok(Config {
                grpc_addr,
                http_addr,
                metrics_addr: settings.metrics_addr,
                health_addr: settings.health_addr,
                tls,
                traces,
                data_dir,
                store,
                prefix: prefix.unwrap_or_default(),
                tokens_per_tenant,
                lease: lease.unwrap_or_default(),
                life,
                mode,
                http,
                gateway_peers,
                log_format: settings.log_format.unwrap_or(default_format),
                log: settings.log.unwrap_or_else(|| "info".to_owned()),
            }),
            _ => Err(ConfigError(problems)),
        }
    }

    /// Checks the settings of the store alone, for commands that need no more.
    pub(crate) fn check_store(self) -> Result<(StoreConfig, PathBuf), ConfigError> {
        let settings = self.with_file()?;
        let mut problems = Vec::new();
        let data_dir = settings.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR));
        match database::check(&settings, &data_dir, &mut problems) {
            Some(store) if problems.is_empty() => Ok((store, data_dir)),
            _ => Err(ConfigError(problems)),
        }
    }
}

fn mode(settings: &Settings, addresses: &[(&str, SocketAddr)], problems: &mut Vec<String>) -> Mode {
    let before = problems.len();
    let issuers = issuers::gather(settings, problems);
    let public = addresses.iter().filter(|(_, address)| !address.ip().is_loopback());
    if !issuers.is_empty() || settings.issuer.is_some() {
        if settings.dev == Some(true) {
            problems.push(
                "--dev: excludes --issuer: in development mode the server signs JWTs itself".to_owned(),
            );
        }
        if settings.plaintext != Some(true) {
            for (flag, address) in public {
                let what = match *flag {
                    // There is nothing to be read that is not for anyone.
                    "--health-addr" => continue,
                    "--metrics-addr" => "give --plaintext if what stands in front encrypts",
                    _ if settings.tls_cert_file.is_some() => continue,
                    _ => {
                        "give --tls-cert-file and --tls-key-file, or --plaintext if what stands in front encrypts"
                    }
                };
                problems
                    .push(format!("{flag}: {address} is not loopback, and there would be no TLS: {what}"));
            }
        }
        return Mode::Production(issuers);
    }
    if settings.dev == Some(false) && problems.len() == before {
        problems
            .push("--issuer: required outside of development mode, with --audience and --jwks".to_owned());
    }
    let given_store = settings.database_url.is_some() || settings.database_url_file.is_some();
    if settings.dev.is_none() && given_store {
        problems.push(
            "--issuer: required with --database-url, with --audience and --jwks; or give --dev for development \
             mode"
                .to_owned(),
        );
    }
    for (flag, address) in public {
        problems.push(format!(
            "{flag}: {address} is not loopback, and development mode is for this machine only: give --issuer, \
             --audience and --jwks, or a loopback address"
        ));
    }
    Mode::Development
}

#[cfg(test)]
mod tests;
