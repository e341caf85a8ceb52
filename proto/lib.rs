//! The gRPC contract of Gatekey, generated from `proto/gatekey/v1`.
//!
//! Only messages, clients and servers: what the words mean is said in the `.proto` files, and what
//! Gatekey does with them is said in the crates that use this one.

mod redacted;

/// Package `gatekey.v1`.
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("gatekey.v1");
}

/// Package `grpc.health.v1`, the standard health protocol, `List` included.
#[allow(
    missing_docs,
    rustdoc::bare_urls,
    clippy::all,
    clippy::pedantic,
    reason = "generated, from a file that documents less"
)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The serialised `FileDescriptorSet` of both packages and their imports, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("descriptors");
