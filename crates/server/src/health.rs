//! `gatekey health`: asks a running server for its health, so that a container needs no other probe. The server is the one
//! that the environment or the file of the settings names, unless an address is given.

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
    let Health { grpc_addr, config, service, timeout, trust } = request;
    let address = if let Some(given) = grpc_addr {
        checked(given).ok_or_else(|| ConfigError::one(format!("--grpc-addr: {given:?} must be HOST:PORT")))?
    } else {
        let settings = Settings { config: config.clone(), ..Settings::default() }.with_file()?;
        reachable(settings.grpc_addr.unwrap_or(GRPC_ADDR)).to_string()
    };
    let asked = format!("the server at {address}");
    let timeout = Duration::from_secs((*timeout).into());
    let tls = trust.config().map_err(ConfigError::all)?;
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
    let status = answer.map_err(|status| Failure::run(&asked, status.message()))?.get_ref().status();
    say(status.as_str_name())?;
    match status {
        ServingStatus::Serving => Ok(()),
        _ => Err(Failure::run(&asked, "is not serving")),
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
