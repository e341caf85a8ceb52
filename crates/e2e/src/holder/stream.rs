//! A stream of audio to the example service, for as long as its token is good.

use futures_util::stream;
use gatekey_examples::v1::realtime_service_client::RealtimeServiceClient;
use gatekey_examples::v1::{TranscribeRequest, TranscribeResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::ROOMY;

/// A stream that is open, and was answered once.
#[derive(Debug)]
pub struct OpenStream {
    audio: mpsc::Sender<TranscribeRequest>,
    heard: Streaming<TranscribeResponse>,
}

impl OpenStream {
    /// Opens one under this token value.
    ///
    /// # Errors
    /// As the service answers.
    ///
    /// # Panics
    /// If it opens and is not answered, or if the value can't be sent.
    pub async fn open(channel: Channel, value: &str) -> Result<Self, Status> {
        let (audio, mut sent) = mpsc::channel(1);
        let mut request = Request::new(stream::poll_fn(move |context| sent.poll_recv(context)));
        let bearer = format!("Bearer {value}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", bearer);
        let heard = RealtimeServiceClient::new(channel).transcribe(request).await?.into_inner();
        let mut open = Self { audio, heard };
        open.goes_on().await;
        Ok(open)
    }

    /// Audio is sent and answered.
    ///
    /// # Panics
    /// If not.
    pub async fn goes_on(&mut self) {
        self.audio.send(TranscribeRequest { audio: vec![0; 320] }).await.expect("it listens");
        let answer = timeout(ROOMY, self.heard.message()).await.expect("in time");
        answer.expect("no error").expect("an answer");
    }

    /// With what it ends, though nobody ends it here.
    ///
    /// # Panics
    /// If it does not end, or not with an error.
    pub async fn ended(&mut self) -> Status {
        timeout(ROOMY, self.heard.message()).await.expect("in time").expect_err("it is ended")
    }
}
