//! `gatekey.v1.RevocationService`: in the contract already, so that no breaking change follows, but
//! not offered yet. Callers are checked all the same.

use futures_util::stream::BoxStream;
use gatekey_proto::v1;
use gatekey_proto::v1::ErrorReason;
use gatekey_proto::v1::revocation_service_server::RevocationService;
use tonic::{Request, Response, Status, Streaming};

use super::{open, refuse};
use crate::ApiError;

pub(super) struct RevocationApi;

#[tonic::async_trait]
impl RevocationService for RevocationApi {
    type WatchStream = BoxStream<'static, Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (call, _) = open(request)?;
        call.require_verifier().map_err(refuse)?;
        Err(ApiError::new(ErrorReason::NotOffered).into_status())
    }
}
