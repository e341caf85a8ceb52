//! The service over gRPC: one layer for the whole server, and a table that says which method asks for which token.

mod batch;
mod realtime;

use gatekey_interceptor::{Access, Gatekey, Rule};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Error, Server};
use tonic_reflection::server as reflection;

use crate::v1::batch_service_server::BatchServiceServer;
use crate::v1::realtime_service_server::RealtimeServiceServer;
use batch::Batch;
use realtime::Realtime;

/// Whatever is not named here is refused.
const ACCESS: [(&str, Rule); 5] = [
    ("/transcribe.v1.BatchService/{method}", Rule::Batch),
    ("/transcribe.v1.RealtimeService/{method}", Rule::Realtime),
    ("/grpc.health.v1.Health/{method}", Rule::Public),
    ("/grpc.reflection.v1.ServerReflection/{method}", Rule::Public),
    ("/grpc.reflection.v1alpha.ServerReflection/{method}", Rule::Public),
];

/// On one connection. Without it, a client may open as many as it likes, with or without a token.
const CALLS_AT_ONCE: u32 = 1_000;

const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");

/// Serves `transcribe.v1`, health and reflection until `until` resolves and the calls that run then are finished.
///
/// # Errors
/// If the server fails.
///
/// # Panics
/// If the build made descriptors that can't be decoded.
pub async fn serve_grpc(
    listener: TcpListener,
    gatekey: Gatekey,
    until: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<BatchServiceServer<Batch>>().await;
    health.set_serving::<RealtimeServiceServer<Realtime>>().await;

    Server::builder()
        .max_concurrent_streams(CALLS_AT_ONCE)
        .layer(gatekey.layer(access()))
        .add_service(BatchServiceServer::new(Batch))
        .add_service(RealtimeServiceServer::new(Realtime))
        .add_service(health_service)
        .add_service(reflected().build_v1().expect(DECODES))
        .add_service(reflected().build_v1alpha().expect(DECODES))
        // A message goes out at once.
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), until)
        .await
}

fn access() -> Access {
    Access::routes(ACCESS).expect("the table is constant, and a test has seen that it is good")
}

const DECODES: &str = "the descriptors are made by the build, and every test of this server decodes them";

/// So that grpcurl needs no files, and shows the details of errors.
fn reflected() -> reflection::Builder<'static> {
    reflection::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_good() {
        access();
    }
}
