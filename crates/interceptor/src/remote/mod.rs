//! The servers of Gatekey's: who they are, the stream to one of them, and the questions to any. What is said on the stream
//! is decided in `gatekey-lease`.

mod ask;
mod credentials;
mod endpoint;
mod names;
mod opening;
mod schedule;
mod servers;
mod stream;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod wire;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

pub(crate) use credentials::{CredentialError, Credentials};
pub(crate) use endpoint::Endpoint;
pub(crate) use names::Names;
#[cfg(test)]
pub(crate) use names::book;
pub(crate) use servers::Remote;
pub(crate) use stream::keep;
#[cfg(feature = "tls")]
pub use tls::Tls;

/// What proves this service on a call; nothing where its certificate does.
type Authorization = Option<MetadataValue<Ascii>>;

/// Has a call proved by this.
fn prove<T>(request: &mut Request<T>, authorization: &Authorization) {
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization.clone());
    }
}
