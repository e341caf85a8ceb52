//! `RealtimeService`: a unary call, and one that is a stream in both directions.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use gatekey_interceptor::RequestExt;
use tonic::{Request, Response, Status, Streaming};

use crate::v1::realtime_service_server::RealtimeService;
use crate::v1::{
    RealtimeServiceDescribeRequest, RealtimeServiceDescribeResponse, TranscribeRequest, TranscribeResponse,
};

pub(super) struct Realtime;

#[tonic::async_trait]
impl RealtimeService for Realtime {
    async fn describe(
        &self,
        request: Request<RealtimeServiceDescribeRequest>,
    ) -> Result<Response<RealtimeServiceDescribeResponse>, Status> {
        let caller = request.verified_token()?.into();
        Ok(Response::new(RealtimeServiceDescribeResponse { caller: Some(caller) }))
    }

    type TranscribeStream = BoxStream<'static, Result<TranscribeResponse, Status>>;

    async fn transcribe(
        &self,
        request: Request<Streaming<TranscribeRequest>>,
    ) -> Result<Response<Self::TranscribeStream>, Status> {
        let mut bytes_heard = 0;
        let heard = request.into_inner().map(move |piece| {
            // Once the token is revoked, an error comes here. It is passed on as it is.
            let TranscribeRequest { audio } = piece?;
            bytes_heard += i64::try_from(audio.len()).unwrap_or(i64::MAX);
            let text = format!("heard {} bytes", audio.len());
            Ok(TranscribeResponse { text, bytes_heard })
        });
        Ok(Response::new(heard.boxed()))
    }
}
