//! The port for probes, where one is asked for: without TLS, until the very end, so that probes see a server that drains.

use std::net::SocketAddr;

use gatekey_api::{Readiness, http};
use tokio::task::JoinHandle;

use crate::Failure;
use crate::config::Config;
use crate::serve::{bind, local_addr};

/// The port, served until this is dropped.
pub(crate) struct HealthPort {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl HealthPort {
    /// Nothing without `--health-addr`.
    pub(crate) async fn open(config: &Config, readiness: Readiness) -> Result<Option<Self>, Failure> {
        let Some(address) = config.health_addr else { return Ok(None) };
        let listener = bind("--health-addr", address).await?;
        let addr = local_addr(&listener)?;
        let only_local = config.is_development();
        let task = tokio::spawn(http::serve_health(listener, readiness, only_local));
        Ok(Some(Self { addr, task }))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for HealthPort {
    fn drop(&mut self) {
        self.task.abort();
    }
}
