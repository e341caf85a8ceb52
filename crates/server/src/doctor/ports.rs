//! The ports: free, taken by a Gatekey that is well, or taken by something else. With TLS a server is asked at its port for probes,
//! as a certificate may be for any name and of any authority.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::health::health_client::HealthClient;
use tonic::transport::Endpoint;

use super::finding::Findings;
use crate::Failure;
use crate::config::Config;

const LIMIT: Duration = Duration::from_secs(2);
/// The port for probes, which never has TLS.
const HEALTH: &str = "--health-addr";

pub(super) async fn look(config: &Config, findings: &mut Findings) -> Result<(), Failure> {
    let mut ports = vec![("--grpc-addr", config.grpc_addr), ("--http-addr", config.http_addr)];
    ports.extend(config.metrics_addr.map(|address| ("--metrics-addr", address)));
    ports.extend(config.health_addr.map(|address| (HEALTH, address)));
    for (flag, address) in ports {
        match TcpListener::bind(address) {
            Ok(_) if address.port() == 0 => findings.ok("ports", &format!("{flag}: any free port"))?,
            Ok(_) => findings.ok("ports", &format!("{flag}: {address} is free"))?,
            Err(cause) if cause.kind() == ErrorKind::AddrInUse => {
                taken(
                    flag,
                    address,
                    asked(flag, address, config.tls.is_some(), config.health_addr),
                    findings,
                )
                .await?;
            }
            Err(cause) => findings.fail("ports", &format!("{flag}: {address} can't be served: {cause}"))?,
        }
    }
    Ok(())
}

/// Where the server is asked that has a port, and by which flag's protocol. Nowhere, if all that is known of it has TLS.
fn asked(
    flag: &'static str,
    address: SocketAddr,
    tls: bool,
    probes: Option<SocketAddr>,
) -> Option<(&'static str, SocketAddr)> {
    let asked = match flag {
        "--grpc-addr" | "--http-addr" if tls => (HEALTH, probes.filter(|probes| probes.port() != 0)?),
        _ => (flag, address),
    };
    Some((asked.0, reachable(asked.1)))
}

async fn taken(
    flag: &str,
    address: SocketAddr,
    asked: Option<(&str, SocketAddr)>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let Some((by, at)) = asked else {
        return findings.ok(
            "ports",
            &format!("{flag}: {address} is taken; TLS: not asked who has it, as there is no --health-addr"),
        );
    };
    let answer = match by {
        "--grpc-addr" | HEALTH => grpc(at).await,
        "--http-addr" => http(at, "/readyz").await,
        _ => http(at, "/metrics").await,
    };
    if by != flag {
        return behind_tls(flag, address, at, answer, findings);
    }
    let address = at;
    match answer {
        Ok(true) => findings.ok("ports", &format!("{flag}: a Gatekey serves at {address}, and is ready")),
        Ok(false) => findings.warn(
            "ports",
            &format!("{flag}: a server answers at {address} that is not ready: its log says why, if it is a Gatekey"),
        ),
        Err(()) => findings.warn(
            "ports",
            &format!(
                "{flag}: {address} is taken, by something that does not answer as a Gatekey without TLS: a server can't \
                 start beside it"
            ),
        ),
    }
}

/// What the port for probes says of one with TLS.
fn behind_tls(
    flag: &str,
    address: SocketAddr,
    at: SocketAddr,
    answer: Result<bool, ()>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    match answer {
        Ok(true) => findings
            .ok("ports", &format!("{flag}: {address} is taken; a Gatekey is ready, as it says at {at} ({HEALTH})")),
        Ok(false) => findings.warn(
            "ports",
            &format!(
                "{flag}: {address} is taken; a Gatekey is not ready, as it says at {at} ({HEALTH}): its log says why"
            ),
        ),
        Err(()) => findings.warn(
            "ports",
            &format!(
                "{flag}: {address} is taken, and no Gatekey answers at {at} ({HEALTH}): a server can't start beside \
                 whatever it is"
            ),
        ),
    }
}

/// Where a server is asked that listens everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let loopback: std::net::IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, address.port())
}

async fn grpc(address: SocketAddr) -> Result<bool, ()> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(drop)?;
    let channel = endpoint.connect_timeout(LIMIT).timeout(LIMIT).connect().await.map_err(drop)?;
    let request = HealthCheckRequest { service: "gatekey.v1.TokenService".to_owned() };
    let answer = HealthClient::new(channel).check(request).await.map_err(drop)?;
    Ok(answer.get_ref().status() == ServingStatus::Serving)
}

async fn http(address: SocketAddr, path: &str) -> Result<bool, ()> {
    let client = reqwest::Client::builder().timeout(LIMIT).no_proxy().build().map_err(drop)?;
    let answer = client.get(format!("http://{address}{path}")).send().await.map_err(drop)?;
    Ok(answer.status().is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_tls_a_server_is_asked_at_its_port_for_probes_or_not_at_all() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let (ours, probes) = (at("0.0.0.0:1"), Some(at("0.0.0.0:2")));
        for flag in ["--grpc-addr", "--http-addr"] {
            assert_eq!(asked(flag, ours, false, probes), Some((flag, at("127.0.0.1:1"))));
            assert_eq!(asked(flag, ours, true, probes), Some((HEALTH, at("127.0.0.1:2"))));
            assert_eq!(asked(flag, ours, true, None), None);
            assert_eq!(asked(flag, ours, true, Some(at("127.0.0.1:0"))), None, "any free port");
        }
        for flag in ["--metrics-addr", HEALTH] {
            for tls in [false, true] {
                assert_eq!(asked(flag, ours, tls, probes), Some((flag, at("127.0.0.1:1"))), "never has TLS");
            }
        }
    }
}
