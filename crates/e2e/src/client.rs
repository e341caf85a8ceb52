//! A gRPC client, as a service that uses Gatekey would have one.

use std::net::SocketAddr;
use std::time::Duration;

use gatekey_proto::health::health_client::HealthClient;
use gatekey_proto::v1;
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::verify_token_request::Credential;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::{FieldViolation, StatusExt};

/// Calls a server with one caller's credentials.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, jwt: Option<&str>) -> Self {
        Self::over(Endpoint::from_shared(format!("http://{address}")).expect("an address is a URI"), jwt)
    }

    /// By this endpoint, as with TLS.
    ///
    /// # Panics
    /// If the JWT is none.
    #[must_use]
    pub fn over(endpoint: Endpoint, jwt: Option<&str>) -> Self {
        let authorization = jwt.map(|jwt| format!("Bearer {jwt}").parse().expect("a JWT is ASCII"));
        Self { channel: endpoint.connect_lazy(), endpoint, authorization }
    }

    /// A connection of its own, made now.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn connected(&self) -> Result<Channel, tonic::transport::Error> {
        self.endpoint.connect().await
    }

    /// The channel itself.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The health service.
    #[must_use]
    pub fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel())
    }

    /// A request with the caller's credentials.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    fn tokens(&self) -> TokenServiceClient<Channel> {
        TokenServiceClient::new(self.channel())
    }

    /// Creates a token.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn create(&self, request: v1::CreateTokenRequest) -> Result<v1::CreateTokenResponse, Status> {
        Ok(self.tokens().create_token(self.request(request)).await?.into_inner())
    }

    /// Creates a batch token for a year.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn create_batch(&self, name: &str) -> (v1::Token, String) {
        self.create_of_type(name, v1::TokenType::Batch).await
    }

    /// Creates a realtime token for a year.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn create_realtime(&self, name: &str) -> (v1::Token, String) {
        self.create_of_type(name, v1::TokenType::Realtime).await
    }

    async fn create_of_type(&self, name: &str, kind: v1::TokenType) -> (v1::Token, String) {
        let request = v1::CreateTokenRequest {
            name: name.to_owned(),
            r#type: kind.into(),
            years_valid: 1,
            request_id: String::new(),
        };
        let created = self.create(request).await.expect("a token is created");
        (created.token.expect("a token"), created.token_value)
    }

    /// Lists tokens.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn list(&self, page_size: i32, page_token: &str) -> Result<v1::ListTokensResponse, Status> {
        let request = v1::ListTokensRequest { page_size, page_token: page_token.to_owned() };
        Ok(self.tokens().list_tokens(self.request(request)).await?.into_inner())
    }

    /// Deletes a token.
    ///
    /// # Errors
    /// As the server answers.
    ///
    /// # Panics
    /// If the answer has no receipt.
    pub async fn delete(&self, id: i64) -> Result<v1::DeletionReceipt, Status> {
        let request = v1::DeleteTokenRequest { id };
        let response = self.tokens().delete_token(self.request(request)).await?.into_inner();
        Ok(response.receipt.expect("a receipt"))
    }

    /// Deletes a token, with this time for an answer.
    ///
    /// # Errors
    /// As the server answers.
    ///
    /// # Panics
    /// If the answer has no receipt.
    pub async fn delete_within(&self, id: i64, within: Duration) -> Result<v1::DeletionReceipt, Status> {
        let mut request = self.request(v1::DeleteTokenRequest { id });
        request.set_timeout(within);
        let response = self.tokens().delete_token(request).await?.into_inner();
        Ok(response.receipt.expect("a receipt"))
    }

    /// Verifies a token by its value.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn verify(&self, value: &str) -> Result<v1::VerifyTokenResponse, Status> {
        let credential = Some(Credential::TokenValue(value.to_owned()));
        self.verify_with(v1::VerifyTokenRequest { credential, ..Default::default() }).await
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn verify_with(
        &self,
        request: v1::VerifyTokenRequest,
    ) -> Result<v1::VerifyTokenResponse, Status> {
        Ok(self.tokens().verify_token(self.request(request)).await?.into_inner())
    }

    /// The verdict on a token value.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn verdict(&self, value: &str) -> v1::Verdict {
        self.verify(value).await.expect("an answer").verdict()
    }
}

/// A call, and once more if nobody has seen it: its connection was told to go, as for its age, before it left, or with a
/// number that the server says it has not looked at (GOAWAY). Other clients of gRPC do so by themselves ("transparent
/// retry"); tonic does not.
///
/// # Errors
/// As the server answers.
pub async fn sent<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    match call().await {
        Err(status) if is_unseen(&status) => call().await,
        answer => answer,
    }
}

fn is_unseen(status: &Status) -> bool {
    // Only what no server sent has a source.
    let Some(source) = std::error::Error::source(status) else { return false };
    match status.code() {
        Code::Cancelled => true,
        Code::Internal => format!("{source:?}").contains("GoAway(b\"\", NO_ERROR, Remote)"),
        _ => false,
    }
}

/// The reason in an error's `ErrorInfo`.
#[must_use]
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info();
    info.map(|info| format!("{}/{}", info.domain, info.reason)).unwrap_or_default()
}

/// The violations in an error's `BadRequest`.
#[must_use]
pub fn violations(status: &Status) -> Vec<FieldViolation> {
    status.get_error_details().bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default()
}
