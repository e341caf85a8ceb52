//! A server of the installation: the calls that the canary makes there, each with credentials and a limit.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use gatekey_lease::{Digest, Position};
use gatekey_model::TokenDigest;
use gatekey_proto::v1;
use gatekey_proto::v1::revocation_service_client::RevocationServiceClient;
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::verify_token_request::Credential;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::jwt::Jwt;
use super::leftovers::{Made, NAME};
use super::trouble::{Failed, Troubles};
use super::wire;

type Tokens = TokenServiceClient<Channel>;

/// How long any call but a delete may take.
const LIMIT: Duration = Duration::from_secs(5);
/// A delete may have to wait out the longest lease that there is, one and a quarter times.
const DELETE_LIMIT: Duration = Duration::from_secs(160);
/// The answer that the server gives at the limit has to arrive.
const TRAVEL: Duration = Duration::from_millis(500);

const CREATE: &str = "CreateToken";
const WATCH: &str = "Watch";

/// A server, or whatever stands in front of several.
pub(super) struct Endpoint {
    /// Its URL.
    pub(super) name: String,
    transport: tonic::transport::Endpoint,
    tokens: Tokens,
    jwt: Arc<Jwt>,
    troubles: Mutex<Troubles>,
}

impl Endpoint {
    /// Connects when it has to.
    pub(super) fn new(name: String, transport: tonic::transport::Endpoint, jwt: Arc<Jwt>) -> Self {
        let tokens = Tokens::new(transport.connect_lazy());
        Self { name, transport, tokens, jwt, troubles: Mutex::default() }
    }

    /// Creates a token.
    pub(super) async fn create(&self, request_id: Uuid) -> Result<Made, Failed> {
        let call = async |mut client: Tokens, request| client.create_token(request).await;
        made(self.call(CREATE, LIMIT, create_request(request_id), call).await?)
    }

    /// Creates a token once more; nothing if the id is spent, as what it made is deleted.
    pub(super) async fn create_again(&self, request_id: Uuid) -> Result<Option<Made>, Failed> {
        let call = async |mut client: Tokens, request| {
            let answer = client.create_token(request).await;
            match answer {
                Err(status) if status.code() == Code::FailedPrecondition => Ok(Response::new(None)),
                answer => answer.map(|answer| answer.map(Some)),
            }
        };
        self.call(CREATE, LIMIT, create_request(request_id), call).await?.map(made).transpose()
    }

    /// Asks whether a token is good; with the position at which a cache stood, for that cache.
    pub(super) async fn verify(
        &self,
        digest: Digest,
        position: Option<Position>,
    ) -> Result<v1::VerifyTokenResponse, Failed> {
        let message = v1::VerifyTokenRequest {
            credential: Some(Credential::TokenSha256(digest.0.to_vec())),
            required_type: v1::TokenType::Unspecified.into(),
            position: position.map(wire::to_position),
        };
        let call = async |mut client: Tokens, request| client.verify_token(request).await;
        self.call("VerifyToken", LIMIT, message, call).await
    }

    pub(super) async fn delete(&self, id: i64) -> Result<v1::DeletionReceipt, Failed> {
        let message = v1::DeleteTokenRequest { id };
        let call = async |mut client: Tokens, request| client.delete_token(request).await;
        let answer = self.call("DeleteToken", DELETE_LIMIT, message, call).await?;
        Ok(answer.receipt.unwrap_or_default())
    }

    async fn call<M, A>(
        &self,
        name: &'static str,
        limit: Duration,
        message: M,
        call: impl AsyncFnOnce(Tokens, Request<M>) -> Result<Response<A>, Status>,
    ) -> Result<A, Failed> {
        let outcome = async {
            let mut request = self.request(message)?;
            request.set_timeout(limit);
            let answer = timeout(limit + TRAVEL, call(self.tokens.clone(), request)).await;
            Ok(answer.map_err(|_| Failed::too_slow())??.into_inner())
        };
        let outcome = outcome.await;
        match &outcome {
            Ok(_) => self.went_well(name),
            Err(failed) => self.failed(name, failed),
        }
        outcome
    }

    fn request<M>(&self, message: M) -> Result<Request<M>, Failed> {
        let authorization = self.jwt.authorization().map_err(|cause| Failed::no_credentials(&cause))?;
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", authorization);
        Ok(request)
    }

    /// A connection for a Watch alone, so that no other call can hold up a lease.
    pub(super) async fn connect(&self) -> Result<Channel, Failed> {
        let connected = self.transport.connect().await.map_err(|cause| Failed::not_sent(&cause));
        connected.inspect_err(|failed| self.failed(WATCH, failed))
    }

    /// Opens a Watch.
    pub(super) async fn watch(
        &self,
        channel: Channel,
        messages: impl Stream<Item = v1::WatchRequest> + Send + 'static,
    ) -> Result<Streaming<v1::WatchResponse>, Failed> {
        let request = self.request(messages).inspect_err(|failed| self.failed(WATCH, failed))?;
        let mut client = RevocationServiceClient::new(channel);
        let opened = match timeout(LIMIT, client.watch(request)).await {
            Ok(opened) => opened.map(Response::into_inner).map_err(Failed::from),
            Err(_) => Err(Failed::too_slow()),
        };
        opened.inspect_err(|failed| self.failed(WATCH, failed))
    }

    /// A Watch gave a lease.
    pub(super) fn leased(&self) {
        self.went_well(WATCH);
    }

    /// A Watch broke.
    pub(super) fn broke(&self, failed: &Failed) {
        self.failed(WATCH, failed);
    }

    /// Tells people.
    pub(super) fn say(&self, news: &str) {
        // If nobody reads standard error any more, the counts have to do.
        writeln!(io::stderr(), "gatekey: {}: {news}", self.name).ok();
    }

    fn went_well(&self, call: &'static str) {
        self.tell(|troubles| troubles.went_well(call));
    }

    fn failed(&self, call: &'static str, failed: &Failed) {
        self.tell(|troubles| troubles.failed(call, failed));
    }

    fn tell(&self, news: impl FnOnce(&mut Troubles) -> Vec<String>) {
        // What is said of troubles is right enough after a panic.
        let news = news(&mut self.troubles.lock().unwrap_or_else(PoisonError::into_inner));
        for line in news {
            self.say(&line);
        }
    }
}

fn create_request(request_id: Uuid) -> v1::CreateTokenRequest {
    v1::CreateTokenRequest {
        name: NAME.to_owned(),
        r#type: v1::TokenType::Batch.into(),
        years_valid: 1,
        request_id: request_id.to_string(),
    }
}

/// The token's value ends here.
fn made(answer: v1::CreateTokenResponse) -> Result<Made, Failed> {
    let token = answer.token.ok_or_else(|| Failed::nonsense("an answer without a token"))?;
    let digest = TokenDigest::of(answer.token_value.as_bytes());
    Ok(Made { id: token.id, digest: Digest(*digest.as_bytes()) })
}
