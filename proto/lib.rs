//! The gRPC contract of Gatekey, generated from `proto/gatekey/v1`, and the protocols of others that Gatekey speaks.
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

/// Packages of Envoy's API, as far as its filter ext_authz needs them.
pub mod envoy {
    /// Packages `envoy.config`.
    pub mod config {
        /// Packages `envoy.config.core`.
        pub mod core {
            /// Package `envoy.config.core.v3`.
            #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
            pub mod v3 {
                tonic::include_proto!("envoy.config.core.v3");
            }
        }
    }
    /// Packages `envoy.service`.
    pub mod service {
        /// Packages `envoy.service.auth`.
        pub mod auth {
            /// Package `envoy.service.auth.v3`.
            #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
            pub mod v3 {
                tonic::include_proto!("envoy.service.auth.v3");
            }
        }
    }
    /// Packages `envoy.type`.
    pub mod r#type {
        /// Package `envoy.type.v3`.
        #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
        pub mod v3 {
            tonic::include_proto!("envoy.r#type.v3");
        }
    }
}

/// Packages of googleapis, as far as Envoy's need them.
pub mod google {
    /// Package `google.rpc`.
    #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// The serialised `FileDescriptorSet` of all packages and their imports, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("descriptors");
