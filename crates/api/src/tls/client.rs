//! The certificate of a connection's client: whom it names, and whether it still holds. That is asked at each call: what was
//! good in the handshake may have expired since, or its authority may no longer be trusted.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gatekey_core::{Caller, Clock, Role, SystemClock};
use gatekey_model::Timestamp;
use gatekey_proto::v1::ErrorReason;
use rustls::pki_types::CertificateDer;
use tokio::time::sleep;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::live::Live;
use super::spiffe::SpiffeId;
use super::{Tls, end};
use crate::ApiError;

/// Who vouches for callers by certificate, in the audit log.
const ISSUER: &str = "client certificate";
/// tokio's timers reach no further than years.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// What a client has proven itself by in the handshake.
pub(crate) struct ClientCertificate {
    tls: Tls,
    chain: Vec<CertificateDer<'static>>,
    /// Nobody, if it does not name exactly one SPIFFE ID.
    callers: Option<Callers>,
    /// When each of the chain's certificates has expired.
    ends: Vec<Timestamp>,
    checked: Mutex<Checked>,
}

/// Whom the certificate's name stands for.
struct Callers {
    caller: Arc<Caller>,
    /// As the gateway that it may be.
    gateway: Option<Arc<Caller>>,
}

/// What was found out about the chain, and how long it stays so.
struct Checked {
    generation: u64,
    /// For as long as none of its certificates expires.
    until: Timestamp,
    outcome: Result<(), &'static str>,
}

const NO_LONGER_TRUSTED: &str = "no authority that this server trusts now vouches for the client certificate";
const EXPIRED: &str = "the client certificate has expired";
const NAMES_NOBODY: &str = "the client certificate names nobody: it has to have exactly one URI, a SPIFFE ID";

impl ClientCertificate {
    /// Of a chain that was verified in the handshake, under what was in force then.
    pub(crate) fn new(tls: &Tls, live: &Live, chain: &[CertificateDer<'static>]) -> Option<Self> {
        let (_, first) = X509Certificate::from_der(chain.first()?).ok()?;
        let mut ends = Vec::with_capacity(chain.len());
        for certificate in chain {
            // One that can't be read is not part of what holds.
            ends.extend(
                X509Certificate::from_der(certificate).ok().map(|(_, certificate)| end(&certificate)),
            );
        }
        let callers = SpiffeId::of(&first).map(|id| Callers::new(tls, &id, end(&first)));
        // One that expired meanwhile, or that is not needed, has the first call look again.
        let until = ends.iter().copied().min().unwrap_or(Timestamp::MAX);
        let checked = Mutex::new(Checked { generation: live.generation, until, outcome: Ok(()) });
        Some(Self { tls: tls.clone(), chain: chain.to_vec(), callers, ends, checked })
    }

    /// Who calls, at this moment.
    pub(crate) fn caller(&self, now: Timestamp) -> Result<Arc<Caller>, ApiError> {
        let callers = self.callers.as_ref();
        let callers =
            callers.ok_or_else(|| ApiError::new(ErrorReason::CredentialsMissing).because(NAMES_NOBODY))?;
        self.holds(now).map_err(refused)?;
        Ok(Arc::clone(&callers.caller))
    }

    /// The gateway that asks, at this moment. It may be a verifier by the same name.
    pub(crate) fn gateway(&self, now: Timestamp) -> Result<Arc<Caller>, ApiError> {
        let caller = self.caller(now)?;
        let gateway = self.callers.as_ref().and_then(|callers| callers.gateway.clone());
        Ok(gateway.unwrap_or(caller))
    }

    /// Resolves when the certificate holds no longer: then it says why.
    pub(crate) async fn lost(self: Arc<Self>) -> ApiError {
        let mut changes = self.tls.0.live.subscribe();
        loop {
            changes.mark_unchanged();
            let now = SystemClock.now();
            let until = match self.holds(now) {
                Ok(until) => until,
                Err(why) => return refused(why),
            };
            let left = until.unix_micros().saturating_sub(now.unix_micros());
            let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(LONGEST);
            tokio::select! {
                () = sleep(left) => {}
                // Its sender lives as long as this does.
                _ = changes.changed() => {}
            }
        }
    }

    /// Until when the chain holds if nothing else changes, or why it does not.
    fn holds(&self, now: Timestamp) -> Result<Timestamp, &'static str> {
        // What is kept under the lock is whole, whoever panicked with it.
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.tls.0.live.borrow().generation;
        let is_known = checked.generation == generation && (checked.outcome.is_err() || now < checked.until);
        if !is_known {
            let live = self.tls.live();
            let outcome = live.accepts(&self.chain, now).map_err(|cause| {
                let expired = self.ends.first().is_some_and(|end| *end <= now);
                tracing::debug!(%cause, "a client's certificate holds no longer");
                if expired { EXPIRED } else { NO_LONGER_TRUSTED }
            });
            *checked = Checked { generation: live.generation, until: next_end(&self.ends, now), outcome };
        }
        checked.outcome.map(|()| checked.until)
    }
}

impl Callers {
    fn new(tls: &Tls, id: &SpiffeId, expires: Timestamp) -> Self {
        let settings = &tls.0.settings;
        let caller = |is_verifier: bool| {
            let role = is_verifier.then_some(Role::Verifier);
            Arc::new(Caller {
                issuer: ISSUER.to_owned(),
                subject: id.as_str().to_owned(),
                tenant: None,
                roles: role.into_iter().collect(),
                expires,
            })
        };
        let gateway = settings.gateways.contains(id).then(|| caller(true));
        Self { caller: caller(settings.verifiers.contains(id)), gateway }
    }
}

fn refused(why: &'static str) -> ApiError {
    ApiError::new(ErrorReason::CredentialsInvalid).because(why)
}

/// When the next of these comes.
fn next_end(ends: &[Timestamp], now: Timestamp) -> Timestamp {
    ends.iter().copied().filter(|end| *end > now).min().unwrap_or(Timestamp::MAX)
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.callers.as_ref().map(|callers| &callers.caller.subject);
        f.debug_struct("ClientCertificate").field("subject", &subject).finish_non_exhaustive()
    }
}
