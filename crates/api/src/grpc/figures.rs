//! Figures of the calls on the gRPC port, under the names that dashboards for gRPC servers know from go-grpc-prometheus:
//! `grpc_server_started_total`, `grpc_server_handled_total` and `grpc_server_handling_seconds`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};
use prost_types::FileDescriptorSet;
use tonic::Code;

use super::ending::Ending;

/// The codes of gRPC, by their numbers, as those dashboards write them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Figures by method. Paths of others are a stranger's text and have none.
#[derive(Clone)]
pub(super) struct Figures(Arc<HashMap<String, Arc<Method>>>);

struct Method {
    started: Counter,
    /// By the number of the code.
    handled: [Counter; CODES.len()],
    seconds: Histogram,
}

/// A call that has begun. If nothing ends it, its caller went away.
pub(super) struct Begun {
    method: Arc<Method>,
    at: Instant,
    ended: bool,
}

impl Figures {
    /// For every method in these descriptors. The recorder must be installed before.
    pub(super) fn of(set: &FileDescriptorSet) -> Self {
        let mut methods = HashMap::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}", file.package(), service.name());
                    let kind = match (method.client_streaming(), method.server_streaming()) {
                        (false, false) => "unary",
                        (true, false) => "client_stream",
                        (false, true) => "server_stream",
                        (true, true) => "bidi_stream",
                    };
                    let path = format!("/{name}/{}", method.name());
                    methods.insert(path, Arc::new(Method::new(name, method.name().to_owned(), kind)));
                }
            }
        }
        Self(Arc::new(methods))
    }

    pub(super) fn begin(&self, path: &str) -> Option<Begun> {
        let method = Arc::clone(self.0.get(path)?);
        method.started.increment(1);
        Some(Begun { method, at: Instant::now(), ended: false })
    }
}

impl Method {
    fn new(service: String, method: String, kind: &'static str) -> Self {
        let labels = [("grpc_type", kind.to_owned()), ("grpc_service", service), ("grpc_method", method)];
        let handled = CODES.map(|code| {
            let mut labels = labels.to_vec();
            labels.push(("grpc_code", code.to_owned()));
            counter!("grpc_server_handled_total", &labels)
        });
        Self {
            started: counter!("grpc_server_started_total", &labels),
            handled,
            seconds: histogram!("grpc_server_handling_seconds", &labels),
        }
    }
}

impl Ending for Begun {
    fn end(&mut self, code: Code) {
        if !self.ended {
            self.ended = true;
            let number = usize::try_from(i32::from(code)).unwrap_or(0);
            self.method.handled[number.min(CODES.len() - 1)].increment(1);
            self.method.seconds.record(self.at.elapsed());
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() { Code::Internal } else { Code::Cancelled });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_name() {
        for (number, name) in CODES.iter().enumerate() {
            let code = Code::from_i32(i32::try_from(number).expect("few"));
            // But for one letter, as in the names of Go.
            assert_eq!(
                format!("{code:?}").replace("Cancelled", "Canceled").to_lowercase(),
                name.to_lowercase()
            );
        }
    }
}
