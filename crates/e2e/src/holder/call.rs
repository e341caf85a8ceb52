//! A client's call to the example service.

use std::net::SocketAddr;

use gatekey_examples::v1::DescribeRequest;
use gatekey_examples::v1::batch_service_client::BatchServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::{Checked, Outcome};
use crate::boottime;

/// The service, as its clients see it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) channel: Channel,
    client: BatchServiceClient<Channel>,
}

impl Service {
    pub(super) fn at(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI").tcp_nodelay(true);
        let channel = endpoint.connect_lazy();
        Self { client: BatchServiceClient::new(channel.clone()), channel }
    }

    /// A request with this token value. Without an answer for as long as the service is stopped.
    pub(super) async fn check(&self, value: String) -> Checked {
        let mut request = Request::new(DescribeRequest {});
        // What is no token at all is a header all the same.
        let bearer = format!("Bearer {value}").parse().expect("a header");
        request.metadata_mut().insert("authorization", bearer);
        let invoked = boottime();
        let answer = self.client.clone().describe(request).await;
        let returned = boottime();
        let (outcome, cached) = match answer {
            Ok(answer) => {
                let caller = answer.into_inner().caller.expect("who called");
                (Outcome::Accepted, caller.from_cache)
            }
            Err(status) => match status.code() {
                Code::Unauthenticated => (Outcome::Rejected, false),
                code @ (Code::PermissionDenied | Code::InvalidArgument | Code::Unimplemented) => {
                    panic!("{code:?} is no answer to a batch token: {}", status.message())
                }
                // The service says so, or is gone.
                _ => (Outcome::CannotTell, false),
            },
        };
        Checked { outcome, cached, invoked, returned }
    }
}
