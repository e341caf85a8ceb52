//! The span of a call over gRPC: OpenTelemetry's conventions for RPC and gRPC.
//!
//! Traced is what somebody asked for and is answered once: the unary methods behind the door. Probes and reflection are noise, a
//! Watch goes on for hours, and the path of a method that does not exist is a stranger's text: these have none.

use std::collections::HashSet;

use gatekey_access::code_name;
use gatekey_core::{TRACES, fail};
use http::HeaderMap;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::context::continue_trace;
use crate::grpc::{Ending, is_public};

/// The methods that have spans, as paths: `/package.Service/Method`.
pub(crate) struct Calls(HashSet<String>);

/// A call that has begun. If nothing ends it, its caller went away.
pub(crate) struct TracedCall {
    span: Span,
    ended: bool,
}

impl Calls {
    /// The methods of these descriptors that are traced.
    pub(crate) fn of(set: &FileDescriptorSet) -> Self {
        let mut paths = HashSet::new();
        for file in &set.file {
            for service in &file.service {
                let unary = service
                    .method
                    .iter()
                    .filter(|method| !method.client_streaming() && !method.server_streaming());
                paths.extend(
                    unary
                        .map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name()))
                        .filter(|path| !is_public(path)),
                );
            }
        }
        Self(paths)
    }

    /// Opens the span of a call, if it has one.
    pub(crate) fn begin(&self, path: &str, headers: &HeaderMap) -> Option<TracedCall> {
        let method = self.0.get(path)?.trim_start_matches('/');
        let span = info_span!(
            target: TRACES,
            parent: None,
            "call",
            "otel.name" = method,
            "otel.kind" = "server",
            "rpc.system.name" = "grpc",
            "rpc.method" = method,
            "rpc.response.status_code" = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
            "gatekey.decision" = Empty,
        );
        continue_trace(&span, headers);
        Some(TracedCall { span, ended: false })
    }
}

impl TracedCall {
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }
}

impl Ending for TracedCall {
    fn end(&mut self, code: Code) {
        if self.ended {
            return;
        }
        self.ended = true;
        let name = code_name(code);
        // It ends when it was left for the last time.
        self.span.in_scope(|| self.span.record("rpc.response.status_code", name));
        if is_fault(code) {
            fail(&self.span, name);
        }
        self.span = Span::none();
    }
}

impl Drop for TracedCall {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() { Code::Internal } else { Code::Cancelled });
    }
}

/// The codes that are the server's fault, as the conventions have it. Others are answers.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn unary_methods_are_traced_and_probes_and_streams_are_not() {
        let set = FileDescriptorSet::decode(gatekey_proto::FILE_DESCRIPTOR_SET).expect("it decodes");
        let Calls(paths) = Calls::of(&set);
        for traced in [
            "/gatekey.v1.TokenService/CreateToken",
            "/gatekey.v1.TokenService/VerifyToken",
            "/envoy.service.auth.v3.Authorization/Check",
        ] {
            assert!(paths.contains(traced), "{traced}");
        }
        for other in [
            "/gatekey.v1.RevocationService/Watch",
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/gatekey.v1.TokenService/Made",
        ] {
            assert!(!paths.contains(other), "{other}");
        }
    }

    #[test]
    fn codes_are_written_as_the_protocol_has_them() {
        for number in 0..=16 {
            let code = Code::from_i32(number);
            let plain = code_name(code).replace('_', "").to_lowercase();
            assert_eq!(plain, format!("{code:?}").to_lowercase());
        }
    }
}
