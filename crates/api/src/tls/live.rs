//! What is in force for new connections: made of good files, and never changed.

use std::sync::Arc;
use std::time::Duration;

use gatekey_model::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};

use super::files::{Fingerprint, TlsMaterial};

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, and what is newer. Envoy speaks no newer one to its upstreams unless it is told to.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What is spoken inside: it is agreed on in the handshake (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// What new connections get.
pub(crate) struct Live {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    /// None if no client is asked for a certificate.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Another one whenever the authorities of clients are others.
    pub(super) generation: u64,
    pub(super) fingerprint: Fingerprint,
}

impl Live {
    pub(super) fn new(
        min_version: TlsVersion,
        provider: &Arc<CryptoProvider>,
        material: &TlsMaterial,
        generation: u64,
    ) -> Result<Self, rustls::Error> {
        let verifier = material.authorities.clone().map(|authorities| {
            WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider))
                // Callers may prove themselves by a JWT instead.
                .allow_unauthenticated()
                .build()
                .map_err(|cause| rustls::Error::General(cause.to_string()))
        });
        let verifier = verifier.transpose()?;
        let versions = match min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let certified = SingleCertAndKey::from(Arc::clone(&material.certified));
        let mut grpc = builder.with_cert_resolver(Arc::new(certified));
        // A session that is taken up again would carry a client's certificate past the authorities of today.
        grpc.session_storage = Arc::new(NoServerSessionStorage {});
        grpc.send_tls13_tickets = 0;
        let mut http = grpc.clone();
        grpc.alpn_protocols = vec![b"h2".to_vec()];
        http.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let fingerprint = material.fingerprint.clone();
        Ok(Self { grpc: Arc::new(grpc), http: Arc::new(http), verifier, generation, fingerprint })
    }

    /// The generation of authorities that this material would have in the place of this.
    pub(super) fn generation_of(&self, material: &TlsMaterial) -> u64 {
        let same = self.fingerprint.client_authorities == material.fingerprint.client_authorities;
        self.generation + u64::from(!same)
    }

    pub(crate) fn config(&self, protocol: Protocol) -> Arc<ServerConfig> {
        Arc::clone(match protocol {
            Protocol::Grpc => &self.grpc,
            Protocol::Http => &self.http,
        })
    }

    /// Whether a client's chain holds at this moment under these authorities.
    pub(super) fn accepts(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), rustls::Error> {
        let (Some(verifier), Some((first, between))) = (&self.verifier, chain.split_first()) else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.verify_client_cert(first, between, now).map(drop)
    }
}
