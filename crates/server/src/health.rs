//! `gatekey health`: asks a running server for its health, so that a container needs no other probe.

use std::time::Duration;

use gatekey_proto::health::HealthCheckRequest;
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::health::health_client::HealthClient;
use tonic::transport::Endpoint;

use crate::cli::Health;
use crate::config::ConfigError;
use crate::{Failure, say};

pub(crate) async fn run(request: &Health) -> Result<(), Failure> {
    let Health { grpc_addr, service, timeout, trust } = request;
    let asked = format!("the server at {grpc_addr}");
    let timeout = Duration::from_secs((*timeout).into());
    let tls = trust.config().map_err(ConfigError::all)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{grpc_addr}"))
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
