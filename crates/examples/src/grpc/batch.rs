//! `BatchService`: a unary call, and one whose request is a stream.

use gatekey_interceptor::RequestExt;
use tonic::{Request, Response, Status, Streaming};

use crate::v1::batch_service_server::BatchService;
use crate::v1::{Caller, DescribeRequest, DescribeResponse, UploadRequest, UploadResponse};

pub(super) struct Batch;

#[tonic::async_trait]
impl BatchService for Batch {
    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let caller = request.verified_token()?.into();
        Ok(Response::new(DescribeResponse { caller: Some(caller) }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        let caller = Caller::from(request.verified_token()?);
        let mut chunks = request.into_inner();
        let mut bytes_received = 0;
        // Once the token is revoked, this is the status that the client gets.
        while let Some(UploadRequest { chunk }) = chunks.message().await? {
            bytes_received += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        }
        Ok(Response::new(UploadResponse { bytes_received, caller: Some(caller) }))
    }
}
