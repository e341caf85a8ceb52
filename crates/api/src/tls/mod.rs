//! TLS at the server's ports: what is in force now, and how it is exchanged while the server runs.
//!
//! Every connection takes what is in force when it is made and keeps it. What a client's certificate says is asked anew at
//! each of its calls ([`ClientCertificate`]). How handshakes are carried out is in `connections`.

mod client;
mod files;
mod live;
mod outcome;
mod spiffe;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use gatekey_core::{Clock, SystemClock};
use gatekey_model::Timestamp;
use metrics::{counter, gauge};
use rustls::crypto::CryptoProvider;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use x509_parser::certificate::X509Certificate;

use files::Fingerprint;
use live::Live;

pub(crate) use client::ClientCertificate;
pub use files::{TlsFiles, TlsMaterial, TlsProblem};
pub(crate) use live::Protocol;
pub use live::TlsVersion;
pub(crate) use outcome::Outcome;
pub use spiffe::{NotASpiffeId, SpiffeId};

/// What an operator decides about TLS.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Where certificates and keys are.
    pub files: TlsFiles,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Who is a verifier.
    pub verifiers: Vec<SpiffeId>,
    /// Who is a gateway.
    pub gateways: Vec<SpiffeId>,
}

/// TLS, shared by all ports and connections.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    live: watch::Sender<Arc<Live>>,
    seen: Mutex<Seen>,
}

/// The files as they were seen last.
struct Seen {
    fingerprint: Fingerprint,
    is_good: bool,
}

impl Tls {
    /// With what was loaded from the files of these settings.
    ///
    /// # Errors
    /// If no handshake can be made with it.
    pub fn start(settings: TlsSettings, material: &TlsMaterial) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let live = watch::Sender::new(Arc::new(Live::new(settings.min_version, &provider, material, 0)?));
        let seen = Mutex::new(Seen { fingerprint: material.fingerprint.clone(), is_good: true });
        failures(0);
        Outcome::announce();
        taken(material, "the certificate of the server");
        Ok(Self(Arc::new(Shared { settings, provider, live, seen })))
    }

    /// Looks at the files again and takes what is new for new connections. If anything is wrong with them, all stays as it is.
    /// Blocks while it reads.
    pub fn reload(&self) {
        let Shared { settings, provider, live, seen } = &*self.0;
        let contents = settings.files.read();
        let fingerprint = contents.fingerprint();
        // What is kept under the lock is whole, whoever panicked with it.
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.fingerprint == fingerprint {
            // Each look at bad files counts, so that an alert tells those that stay bad from those that were half written.
            failures(u64::from(!seen.is_good));
            return;
        }
        let before = Arc::clone(&live.borrow());
        let is_good = fingerprint == before.fingerprint
            || {
                let next = contents.parse(&settings.files).and_then(|material| {
                    let generation = before.generation_of(&material);
                    let next = Live::new(settings.min_version, provider, &material, generation);
                    next.map(|next| (next, material)).map_err(|cause| vec![settings.files.problem(&cause)])
                });
                match next {
                    Ok((next, material)) => {
                        live.send_replace(Arc::new(next));
                        taken(&material, "new files of TLS are in force for new connections");
                        true
                    }
                    Err(problems) => {
                        failures(1);
                        for problem in problems {
                            tracing::error!(%problem, "new files of TLS can't be taken: those before stay in force");
                        }
                        false
                    }
                }
            };
        *seen = Seen { fingerprint, is_good };
    }

    /// What a connection that is made now gets.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.0.live.borrow())
    }
}

fn failures(more: u64) {
    counter!("gatekey_tls_reload_failures_total").increment(more);
}

/// Tells people and Prometheus what is in force.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are exact for longer than there are certificates"
)]
fn taken(material: &TlsMaterial, what: &'static str) {
    // The first second in which it is no longer good; people name the last one in which it is.
    let last = material.expires.unix_seconds() - 1;
    let not_after = time::OffsetDateTime::from_unix_timestamp(last).ok();
    let not_after = not_after.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default();
    tracing::info!(serial = material.serial, not_after, "{what}");
    if material.expires <= SystemClock.now() {
        tracing::warn!(not_after, "the certificate of the server has expired: its clients will refuse it");
    }
    gauge!("gatekey_tls_certificate_begins_timestamp_seconds").set(material.begins.unix_seconds() as f64);
    gauge!("gatekey_tls_certificate_expires_timestamp_seconds").set(last as f64);
}

fn begin(certificate: &X509Certificate<'_>) -> Timestamp {
    let micros = certificate.validity().not_before.timestamp().checked_mul(1_000_000);
    micros.and_then(Timestamp::from_unix_micros).unwrap_or(Timestamp::MAX)
}

/// When a certificate has expired: it is still good in the second that it names (RFC 5280 section 4.1.2.5).
fn end(certificate: &X509Certificate<'_>) -> Timestamp {
    let last = certificate.validity().not_after.timestamp();
    let micros = last.checked_add(1).and_then(|seconds| seconds.checked_mul(1_000_000));
    micros.and_then(Timestamp::from_unix_micros).unwrap_or(Timestamp::MAX)
}
