//! Callers by the certificate of their connection: only where no other credentials came. A bad JWT is never rescued by a
//! certificate, or a caller would get the rights of whoever carries its calls.

use std::sync::Arc;

use gatekey_core::Caller;
use http::{HeaderMap, header::AUTHORIZATION};

use super::Authenticator;
use crate::ApiError;
use crate::connections::Peer;

impl Authenticator {
    /// The caller by certificate at this moment, or why there is none. Nothing if the headers have `authorization`, or the
    /// client showed no certificate: then the headers are all that counts.
    pub(crate) fn by_certificate(
        &self,
        peer: Option<&Peer>,
        headers: &HeaderMap,
    ) -> Option<Result<Arc<Caller>, ApiError>> {
        let certificate = peer?.certificate.as_ref().filter(|_| !headers.contains_key(AUTHORIZATION))?;
        Some(certificate.caller(self.clock.now()))
    }

    /// The gateway by certificate, whatever the headers say.
    pub(crate) fn gateway_by_certificate(&self, peer: &Peer) -> Option<Result<Arc<Caller>, ApiError>> {
        Some(peer.certificate.as_ref()?.gateway(self.clock.now()))
    }
}
