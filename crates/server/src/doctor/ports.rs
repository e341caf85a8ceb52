//! The ports: free, taken by a Gatekey that is well, or taken by something else.

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

pub(super) async fn look(config: &Config, findings: &mut Findings) -> Result<(), Failure> {
    let mut ports = vec![("--grpc-addr", config.grpc_addr), ("--http-addr", config.http_addr)];
    ports.extend(config.metrics_addr.map(|address| ("--metrics-addr", address)));
    for (flag, address) in ports {
        match TcpListener::bind(address) {
            Ok(_) if address.port() == 0 => findings.ok("ports", &format!("{flag}: any free port"))?,
            Ok(_) => findings.ok("ports", &format!("{flag}: {address} is free"))?,
            Err(cause) if cause.kind() == ErrorKind::AddrInUse => {
                taken(flag, reachable(address), findings).await?;
            }
            Err(cause) => findings.fail("ports", &format!("{flag}: {address} can't be served: {cause}"))?,
        }
    }
    Ok(())
}

async fn taken(flag: &str, address: SocketAddr, findings: &mut Findings) -> Result<(), Failure> {
    let answer = match flag {
        "--grpc-addr" => grpc(address).await,
        "--http-addr" => http(address, "/readyz").await,
        _ => http(address, "/metrics").await,
    };
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
