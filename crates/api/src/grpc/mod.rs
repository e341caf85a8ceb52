//! The gRPC port: `TokenService`, `RevocationService`, Envoy's `Authorization`, health and reflection.
//!
//! Every call must prove its caller unless its service is on the short list of [`is_public`].

mod authenticate;
mod authorization;
mod complete;
mod deadline;
mod door;
mod ending;
mod figures;
mod health;
mod public_streams;
mod revocation_service;
mod token_service;

use std::sync::Arc;
use std::time::Duration;

use gatekey_core::{Call, Caller, Error as CoreError, Revocations, Tokens};
use gatekey_proto::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use gatekey_proto::health::health_server::{Health, HealthServer};
use gatekey_proto::v1::ErrorReason;
use gatekey_proto::v1::revocation_service_server::RevocationServiceServer;
use gatekey_proto::v1::token_service_server::TokenServiceServer;
use http::{HeaderMap, header};
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Status};

use deadline::Deadline;
use door::{Door, DoorLayer};

use crate::call_id::{CallId, KnownPaths};
use crate::connections::{Incoming, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_STREAMS_PER_CONNECTION};
use crate::tls::{Protocol, Tls};
use crate::traces::Calls;
use crate::{ApiError, Authenticator, Gateways, Readiness};

pub use authenticate::is_public;
pub(crate) use ending::Ending;

/// The longest message that is taken. The longest valid one has a name of 255 characters.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// The longest question of a gateway. It has all headers of a client: Envoy takes 60 KiB of them unless it is told otherwise.
const MAX_QUESTION_BYTES: usize = 256 * 1024;
/// Room for a JWT with many claims.
const MAX_HEADER_BYTES: u32 = 8 * 1024;
const MAX_CONNECTIONS: usize = 10_240;

/// What the gRPC port needs.
#[derive(Clone)]
pub struct Surface {
    /// The use cases.
    pub tokens: Tokens,
    /// Serves the holders of leases.
    pub revocations: Revocations,
    /// Finds out who calls.
    pub authenticator: Arc<Authenticator>,
    /// Finds out which gateways may ask.
    pub gateways: Gateways,
    /// What health says.
    pub readiness: Readiness,
    /// Whether only local callers are answered: development mode.
    pub only_local: bool,
    /// A connection is closed in good order after this, and up to a tenth more, so that calls spread over replicas that
    /// came later.
    pub connection_age: Duration,
    /// Whether figures are taken of each call, by the recorder of `metrics` that is installed.
    pub figures: bool,
    /// Whether each call has a span of a trace, for the layer of OpenTelemetry that is installed.
    pub traces: bool,
}

/// The services of the gRPC port, with all that every call passes through.
///
/// # Panics
/// If the descriptor set in the contract can't be decoded: a fault of the build.
#[must_use]
pub fn routes(surface: Surface) -> Routes {
    let Surface {
        tokens,
        revocations,
        authenticator,
        gateways,
        readiness,
        only_local,
        connection_age,
        figures,
        traces,
    } = surface;
    let door_readiness = readiness.clone();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(gatekey_proto::FILE_DESCRIPTOR_SET)
            // So that clients by reflection can read the details of errors, too.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let decodes = "the contract's descriptor set decodes; every test of this port would fail otherwise";
    let mut services = Routes::builder();
    services
        .add_service(
            AuthorizationServer::new(authorization::AuthorizationApi::new(tokens.clone()))
                .max_decoding_message_size(MAX_QUESTION_BYTES),
        )
        .add_service(
            TokenServiceServer::new(token_service::TokenApi::new(tokens))
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            RevocationServiceServer::new(revocation_service::RevocationApi::new(revocations, connection_age))
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(health(readiness))
        .add_service(reflection().build_v1().expect(decodes))
        // Python's client speaks only this one.
        .add_service(reflection().build_v1alpha().expect(decodes));

    let set = FileDescriptorSet::decode(gatekey_proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let figures = figures.then(|| figures::Figures::of(&set));
    let door = Arc::new(Door {
        paths: paths(&set),
        figures,
        traces: traces.then(|| Calls::of(&set)),
        only_local,
        authenticator,
        gateways,
        readiness: door_readiness,
    });
    Routes::from(services.routes().into_axum_router().layer(DoorLayer(door)))
}

/// The health service, which the port for probes has too.
pub(crate) fn health(readiness: Readiness) -> HealthServer<impl Health> {
    HealthServer::new(health::HealthApi::new(readiness)).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

/// The paths of every method in the contract.
fn paths(set: &FileDescriptorSet) -> KnownPaths {
    let mut paths = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let methods = service.method.iter();
            paths.extend(
                methods.map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())),
            );
        }
    }
    paths.into_iter().collect()
}

/// Serves the routes, by TLS if there is some, until `stop` resolves and what runs then is finished. Connections grow as old as
/// the routes' surface says: give it here once more.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    routes: Routes,
    connection_age: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = Incoming::new(listener, MAX_CONNECTIONS, tls, Protocol::Grpc);
    tonic::transport::Server::builder()
        // Without a grace: with one, tonic 0.14.9 sends no GOAWAY at all, and cuts the connection off in the midst of its
        // calls once both times have passed. What goes on after GOAWAY are streams that were open before.
        .max_connection_age(jittered(connection_age))
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming.into_stream(), stop)
        .await
}

/// Up to a tenth longer, by process: so that replicas that started together do not send all of their
/// callers away together.
fn jittered(age: Duration) -> Duration {
    // Without random numbers there is no jitter, which is no reason not to serve.
    let random = getrandom::u32().unwrap_or(0);
    age + (age / 10) * (random >> 16) / (1 << 16)
}

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/grpc"))
}

/// Takes a request apart into the call that it is and its message.
///
/// Without a caller in the extensions it fails: then the call did not come through `authenticate`.
fn open<T>(mut request: Request<T>) -> Result<(Call, T), Status> {
    let caller = request.extensions_mut().remove::<Arc<Caller>>();
    let id = request.extensions_mut().remove::<CallId>();
    let deadline = request.extensions_mut().remove::<Deadline>().map(|Deadline(moment)| moment);
    let Some((caller, CallId(id))) = caller.zip(id) else {
        tracing::error!("a call reached its handler without a caller or an id");
        return Err(ApiError::new(ErrorReason::Internal).into_status());
    };
    Ok((Call { caller, id, deadline }, request.into_inner()))
}

fn refuse(error: CoreError) -> Status {
    ApiError::from(error).into_status()
}
