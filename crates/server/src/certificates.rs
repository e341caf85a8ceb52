//! TLS while the server runs: looks at its files again and again, and at SIGHUP, so that certificates can be rotated without a
//! restart. What they hold is judged in `gatekey-api`.

use std::time::Duration;

use gatekey_api::Tls;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use crate::Failure;
use crate::config::{Config, TlsConfig};

/// How often the files are looked at. Their contents are compared: Kubernetes exchanges a link, and dates tell little.
const LOOK: Duration = Duration::from_secs(2);

/// Takes the certificates of the settings and follows their files for as long as the process runs. Nothing without TLS.
pub(crate) fn start(config: &Config) -> Result<Option<Tls>, Failure> {
    // Without TLS too: unheard, it would end the process.
    let asked =
        signal(SignalKind::hangup()).map_err(|cause| Failure::run("SIGHUP can't be listened to", cause))?;
    let Some(TlsConfig { settings, material }) = &config.tls else { return Ok(None) };
    let tls =
        Tls::start(settings.clone(), material).map_err(|cause| Failure::run("--tls-cert-file", cause))?;
    tokio::spawn(follow(tls.clone(), asked));
    Ok(Some(tls))
}

async fn follow(tls: Tls, mut asked: Signal) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = asked.recv() => {}
        }
        let tls = tls.clone();
        // A file system may take its time.
        if let Err(cause) = spawn_blocking(move || tls.reload()).await {
            error!(%cause, "the files of TLS could not be looked at");
        }
    }
}
