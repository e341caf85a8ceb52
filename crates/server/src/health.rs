//! `gatekey health`: asks a running server for its health, so that a container needs no other probe. The server is the one
//! that the environment or the file of the settings names, unless an address is given. Where these name a port for probes, it
//! is asked there, without TLS.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::health::health_client::HealthClient;
use tonic::transport::Endpoint;

use crate::cli::Health;
use crate::config::{ConfigError, GRPC_ADDR, Settings};
use crate::{Failure, say};

pub(crate) async fn run(request: &Health) -> Result<(), Failure> {
    let Health { grpc_addr, probes, by_flag, config, service, timeout, trust } = request;
    let settings = Settings { config: config.clone(), health_addr: *probes, ..Settings::default() };
    let Asked { address, may_be_tls } = whom(grpc_addr.as_deref(), *by_flag, settings)?;
    let asked = format!("the server at {address}");
    let timeout = Duration::from_secs((*timeout).into());
    let tls = trust.config().map_err(ConfigError::all)?.filter(|_| may_be_tls);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|cause| Failure::run(&asked, cause))?
        .connect_timeout(timeout)
        .timeout(timeout);
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls).map_err(|cause| Failure::caused("--ca-file", &cause))?,
        None => endpoint,
    };
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|cause| Failure::caused(&format!("{asked} can't be reached"), &cause))?;
    let check = HealthCheckRequest { service: service.clone() };
    let answer = HealthClient::new(channel).check(check).await;
    let status = answer.map_err(|status| match status.source() {
        // Nobody there said so: the connection did not hold, as to a port that speaks TLS.
        Some(cause) => Failure::caused(&format!("{asked} can't be reached"), cause),
        None => Failure::run(&asked, status.message()),
    });
    let status = status?.get_ref().status();
    say(status.as_str_name())?;
    match status {
        ServingStatus::Serving => Ok(()),
        _ => Err(Failure::run(&asked, "is not serving")),
    }
}

/// Where a server is asked.
#[derive(Debug)]
struct Asked {
    address: String,
    /// The port for probes never has TLS.
    may_be_tls: bool,
}

/// The server at the address that was given by flag; else at its port for probes, if the settings have one; else where it serves
/// gRPC, by the environment (what was given, and not by flag) or by the file. A port for probes that is any free one can't be
/// known here.
fn whom(given: Option<&str>, by_flag: bool, settings: Settings) -> Result<Asked, ConfigError> {
    let grpc = |given: &str| {
        let asked = checked(given).map(|address| Asked { address, may_be_tls: true });
        asked.ok_or_else(|| ConfigError::one(format!("--grpc-addr: {given:?} must be HOST:PORT")))
    };
    if let Some(given) = given.filter(|_| by_flag) {
        return grpc(given);
    }
    let settings = settings.with_file()?;
    if let Some(probes) = settings.health_addr.filter(|address| address.port() != 0) {
        return Ok(Asked { address: reachable(probes).to_string(), may_be_tls: false });
    }
    match given {
        Some(given) => grpc(given),
        None => grpc(&settings.grpc_addr.unwrap_or(GRPC_ADDR).to_string()),
    }
}

/// A host, by its address or by its name, and a port.
fn checked(given: &str) -> Option<String> {
    if let Ok(address) = given.parse() {
        return Some(reachable(address).to_string());
    }
    let (host, port) = given.rsplit_once(':')?;
    let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    (is_name && port.parse::<u16>().is_ok_and(|port| port != 0)).then(|| given.to_owned())
}

/// A server that listens on every address is asked on this machine's own.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_for_probes_is_asked_without_tls_where_the_settings_have_one() {
        const BOTH: &str = "grpc-addr = '0.0.0.0:1'\nhealth-addr = '0.0.0.0:2'";
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("gatekey.toml");
        let asked = |(given, by_flag): (Option<&str>, bool), file: &str, health_addr: Option<&str>| {
            std::fs::write(&config, file).expect("written");
            let health_addr = health_addr.map(|address| address.parse().expect("an address"));
            let settings = Settings { config: Some(config.clone()), health_addr, ..Settings::default() };
            let Asked { address, may_be_tls } = whom(given, by_flag, settings).expect("good");
            (address, may_be_tls)
        };
        let (nothing, by_flag) = ((None, false), (Some("gatekey:4"), true));
        let by_environment = (Some("0.0.0.0:5"), false);
        for (given, file, health_addr, address, may_be_tls) in [
            (nothing, "", None, "127.0.0.1:50051", true),
            (nothing, "grpc-addr = '[::]:1'", None, "[::1]:1", true),
            (nothing, BOTH, None, "127.0.0.1:2", false),
            (nothing, BOTH, Some("127.0.0.1:3"), "127.0.0.1:3", false),
            (nothing, "grpc-addr = '127.0.0.1:1'\nhealth-addr = '127.0.0.1:0'", None, "127.0.0.1:1", true),
            (by_environment, "grpc-addr = '127.0.0.1:1'", None, "127.0.0.1:5", true),
            (by_environment, BOTH, None, "127.0.0.1:2", false),
            (by_environment, "", Some("127.0.0.1:3"), "127.0.0.1:3", false),
            (by_flag, BOTH, Some("127.0.0.1:3"), "gatekey:4", true),
        ] {
            assert_eq!(asked(given, file, health_addr), (address.to_owned(), may_be_tls), "{given:?} {file}");
        }
    }

    #[test]
    fn a_server_is_named_by_its_address_or_by_its_host() {
        for (given, asked) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("0.0.0.0:50051", "127.0.0.1:50051"),
            ("[::]:50051", "[::1]:50051"),
            ("localhost:50051", "localhost:50051"),
            ("gatekey-0.gatekey-replicas.gatekey:50051", "gatekey-0.gatekey-replicas.gatekey:50051"),
        ] {
            assert_eq!(checked(given).as_deref(), Some(asked));
        }
        for bad in
            ["", "localhost", ":1", "localhost:", "localhost:0", "localhost:65536", "a/b:1", "a@b:1", "::1"]
        {
            assert_eq!(checked(bad), None, "{bad}");
        }
    }
}
