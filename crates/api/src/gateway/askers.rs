//! Who may ask: a gateway proves itself by the address that it connects from, by the JWT of a verifier, or by the certificate of
//! its connection. Never by the `authorization` that it forwards, which is its client's.

use std::sync::Arc;

use gatekey_core::{Caller, Role};
use gatekey_model::Timestamp;
use gatekey_proto::v1::ErrorReason;
use http::{HeaderMap, HeaderName, Uri, header};
use ipnet::IpNet;

use crate::auth::{bearer, refusals};
use crate::connections::Peer;
use crate::{ApiError, Authenticator, loopback};

/// In which a gateway sends its own credentials over HTTP.
const AUTHORIZATION: HeaderName = HeaderName::from_static("x-gatekey-authorization");

/// Who may ask for decisions.
#[derive(Clone)]
pub struct Gateways {
    authenticator: Arc<Authenticator>,
    peers: Arc<[IpNet]>,
    by_address: Arc<Caller>,
    /// Development mode: only local gateways that use its name, unless they are configured.
    only_local: bool,
}

/// The gateway that asks, or why whoever asks is none. It is found out, and a refusal logged, before the question is looked at.
type Proof = Result<Arc<Caller>, ApiError>;

impl Gateways {
    /// Whoever connects from these networks is a gateway, and so is who proves to be one or a verifier.
    #[must_use]
    pub fn new(authenticator: Arc<Authenticator>, peers: &[IpNet], only_local: bool) -> Self {
        let by_address = Caller {
            issuer: "peer address".to_owned(),
            subject: "gateway".to_owned(),
            tenant: None,
            roles: [Role::Verifier].into_iter().collect(),
            expires: Timestamp::MAX,
        };
        Self { authenticator, peers: peers.into(), by_address: Arc::new(by_address), only_local }
    }

    /// The gateway, if it is one by its address.
    fn peer(&self, peer: &Peer) -> Option<Arc<Caller>> {
        let is_one =
            peer.address.is_some_and(|address| self.peers.iter().any(|network| network.contains(&address)));
        is_one.then(|| Arc::clone(&self.by_address))
    }

    /// The proof, if it takes no waiting.
    pub(crate) fn known(&self, peer: &Peer, uri: &Uri, headers: &HeaderMap) -> Option<Proof> {
        if let Some(caller) = self.peer(peer) {
            return Some(Ok(caller));
        }
        if headers.contains_key(AUTHORIZATION) {
            return None;
        }
        let proof = match self.authenticator.known(headers) {
            Some(caller) => Ok(caller),
            None if headers.contains_key(header::AUTHORIZATION) => return None,
            None => self.authenticator.gateway_by_certificate(peer)?,
        };
        let proof = self.local(uri, headers).and(proof).and_then(verifier);
        Some(proof.inspect_err(refusals::log))
    }

    /// Over gRPC, where what a gateway forwards is in the message and `authorization` is its own.
    pub(crate) async fn over_grpc(&self, peer: &Peer, uri: &Uri, headers: &HeaderMap) -> Proof {
        self.proof(peer, uri, headers, true).await
    }

    /// Over HTTP, where `authorization` is the client's.
    pub(crate) async fn over_http(&self, peer: &Peer, uri: &Uri, headers: &HeaderMap) -> Proof {
        self.proof(peer, uri, headers, false).await
    }

    async fn proof(&self, peer: &Peer, uri: &Uri, headers: &HeaderMap, own: bool) -> Proof {
        if let Some(caller) = self.peer(peer) {
            return Ok(caller);
        }
        let caller = async {
            self.local(uri, headers)?;
            let caller = match bearer::forwarded(headers, &AUTHORIZATION)? {
                Some(jwt) => self.authenticator.caller_by(jwt).await?,
                // Whoever sends a JWT means to be known by it.
                None if own && headers.contains_key(header::AUTHORIZATION) => {
                    self.authenticator.caller(headers).await?
                }
                None => match self.authenticator.gateway_by_certificate(peer) {
                    Some(proof) => proof?,
                    None => return Err(ApiError::new(ErrorReason::CredentialsMissing)),
                },
            };
            verifier(caller)
        };
        caller.await.inspect_err(refusals::log)
    }

    fn local(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.only_local { loopback::check(uri, headers) } else { Ok(()) }
    }
}

fn verifier(caller: Arc<Caller>) -> Result<Arc<Caller>, ApiError> {
    if caller.roles.has(Role::Verifier) { Ok(caller) } else { Err(ApiError::new(ErrorReason::RoleRequired)) }
}
