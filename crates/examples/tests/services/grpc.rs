//! Over gRPC.

use gatekey_examples::v1::batch_service_client::BatchServiceClient;
use gatekey_examples::v1::realtime_service_client::RealtimeServiceClient;
use gatekey_examples::v1::{
    DescribeRequest, RealtimeServiceDescribeRequest, TranscribeRequest, UploadRequest,
};
use gatekey_interceptor::{FakeGatekey, TokenType};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::{CHUNK, CHUNKS, start_grpc};

async fn connect(fake: &FakeGatekey) -> Channel {
    let address = start_grpc(fake).await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    endpoint.connect().await.expect("it listens")
}

fn with<T>(value: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {value}").parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    request
}

#[tokio::test]
async fn each_service_says_who_called() {
    let fake = FakeGatekey::start();
    let channel = connect(&fake).await;
    let batch = fake.token(TokenType::Batch).name("nightly").tenant("acme").mint();
    let realtime = fake.token(TokenType::Realtime).name("captions").tenant("globex").mint();

    let mut client = BatchServiceClient::new(channel.clone());
    let answer = client.describe(with(&batch, DescribeRequest {})).await.expect("good");
    let caller = answer.into_inner().caller.expect("who called");
    let said = (caller.name.as_str(), caller.tenant.as_str(), caller.token_type.as_str(), caller.from_cache);
    assert_eq!(said, ("nightly", "acme", "batch", false));
    assert!(caller.token_id > 0);
    // The part that can be shown stands at the front of the value.
    assert!(batch.starts_with(&caller.key) && caller.key.len() < batch.len());
    let again = client.describe(with(&batch, DescribeRequest {})).await.expect("good");
    assert!(again.into_inner().caller.expect("who called").from_cache);

    let mut client = RealtimeServiceClient::new(channel);
    let answer = client.describe(with(&realtime, RealtimeServiceDescribeRequest {})).await.expect("good");
    let caller = answer.into_inner().caller.expect("who called");
    let said = (caller.name.as_str(), caller.tenant.as_str(), caller.token_type.as_str());
    assert_eq!(said, ("captions", "globex", "realtime"));
}

#[tokio::test]
async fn a_token_of_the_other_type_is_refused() {
    let fake = FakeGatekey::start();
    let channel = connect(&fake).await;
    let batch = fake.token(TokenType::Batch).mint();
    let realtime = fake.token(TokenType::Realtime).mint();

    let mut client = BatchServiceClient::new(channel.clone());
    let refused = client.describe(with(&realtime, DescribeRequest {})).await.expect_err("realtime");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let info = refused.get_details_error_info().expect("ErrorInfo");
    assert_eq!(info.reason, "API_TOKEN_WRONG_TYPE");

    let mut client = RealtimeServiceClient::new(channel);
    let message = RealtimeServiceDescribeRequest {};
    let refused = client.describe(with(&batch, message)).await.expect_err("batch");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let stream = tokio_stream::empty::<TranscribeRequest>();
    let refused = client.transcribe(with(&batch, stream)).await.expect_err("batch");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused() {
    let fake = FakeGatekey::start();
    let mut client = BatchServiceClient::new(connect(&fake).await);
    let gone = fake.token(TokenType::Batch).mint();
    client.describe(with(&gone, DescribeRequest {})).await.expect("good");
    fake.revoke(&gone);
    let of_another = FakeGatekey::start().token(TokenType::Batch).mint();
    for request in [
        Request::new(DescribeRequest {}),
        with("nonsense", DescribeRequest {}),
        with(&gone, DescribeRequest {}),
        with(&of_another, DescribeRequest {}),
    ] {
        let refused = client.describe(request).await.expect_err("not good");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    fake.outage(true);
    let nobody_knows = fake.token(TokenType::Batch).mint();
    let refused = client.describe(with(&nobody_knows, DescribeRequest {})).await.expect_err("an outage");
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_conversation_ends_with_its_token() {
    let fake = FakeGatekey::start();
    let mut client = RealtimeServiceClient::new(connect(&fake).await);
    let (gone, stays) = (fake.token(TokenType::Realtime).mint(), fake.token(TokenType::Realtime).mint());
    let mut conversations = Vec::new();
    for value in [&gone, &stays] {
        let (speak, audio) = mpsc::channel(1);
        let answer = client.transcribe(with(value, ReceiverStream::new(audio))).await.expect("good");
        conversations.push((speak, answer.into_inner()));
    }
    for (speak, answers) in &mut conversations {
        assert_eq!(said(speak, answers, 320).await, ("heard 320 bytes".to_owned(), 320));
        assert_eq!(said(speak, answers, 160).await, ("heard 160 bytes".to_owned(), 480));
    }

    fake.revoke(&gone);
    let (speak, mut answers) = conversations.remove(0);
    let ended = answers.message().await.expect_err("it was revoked");
    assert_eq!(ended.code(), Code::Unauthenticated);
    speak.closed().await;

    let (speak, mut answers) = conversations.remove(0);
    assert_eq!(said(&speak, &mut answers, 1).await, ("heard 1 bytes".to_owned(), 481));
    drop(speak);
    assert!(answers.message().await.expect("a good end").is_none());
}

async fn said(
    speak: &mpsc::Sender<TranscribeRequest>,
    answers: &mut Streaming<gatekey_examples::v1::TranscribeResponse>,
    length: usize,
) -> (String, i64) {
    speak.send(TranscribeRequest { audio: vec![0; length] }).await.expect("the call is open");
    let answer = answers.message().await.expect("no error").expect("an answer");
    (answer.text, answer.bytes_heard)
}

#[tokio::test]
async fn an_upload_that_is_done_says_how_long_it_was() {
    let fake = FakeGatekey::start();
    let mut client = BatchServiceClient::new(connect(&fake).await);
    let batch = fake.token(TokenType::Batch).mint();
    let chunks = tokio_stream::iter([3, 4].map(|length| UploadRequest { chunk: vec![0; length] }));
    let answer = client.upload(with(&batch, chunks)).await.expect("good").into_inner();
    assert_eq!(answer.bytes_received, 7);
    assert_eq!(answer.caller.expect("who called").token_type, "batch");
}

#[tokio::test]
async fn an_upload_ends_with_its_token() {
    let fake = FakeGatekey::start();
    let mut client = BatchServiceClient::new(connect(&fake).await);
    let batch = fake.token(TokenType::Batch).mint();
    let (send, chunks) = mpsc::channel(1);
    let request = with(&batch, ReceiverStream::new(chunks));
    let upload = tokio::spawn(async move { client.upload(request).await });
    for _ in 0..CHUNKS {
        send.send(UploadRequest { chunk: vec![0; CHUNK] }).await.expect("the call is open");
    }
    fake.revoke(&batch);
    let ended = upload.await.expect("no panic").expect_err("it was revoked");
    assert_eq!(ended.code(), Code::Unauthenticated);
    // And nobody takes any more.
    send.closed().await;
}

#[tokio::test]
async fn health_and_reflection_ask_for_no_token() {
    let fake = FakeGatekey::start();
    let channel = connect(&fake).await;
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "transcribe.v1.BatchService", "transcribe.v1.RealtimeService"] {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.expect("public");
        assert_eq!(answer.into_inner().status(), tonic_health::ServingStatus::Serving.into(), "{service}");
    }
    reflected_services(channel).await;
}

async fn reflected_services(channel: Channel) {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answer = client.server_reflection_info(tokio_stream::iter([ask])).await.expect("public");
    let answer = answer.into_inner().message().await.expect("no error").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services: {answer:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["transcribe.v1.BatchService", "transcribe.v1.RealtimeService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
}

#[tokio::test]
async fn what_has_no_rule_is_refused() {
    let fake = FakeGatekey::start();
    let channel = connect(&fake).await;
    let batch = fake.token(TokenType::Batch).mint();
    let call = async |path: &'static str| {
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await.expect("connected");
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
        let codec = tonic_prost::ProstCodec::<DescribeRequest, DescribeRequest>::default();
        grpc.unary(with(&batch, DescribeRequest {}), path, codec).await.expect_err("no such method").code()
    };
    assert_eq!(call("/transcribe.v1.AdminService/Describe").await, Code::PermissionDenied);
    assert_eq!(call("/transcribe.v1.BatchService/Describe/").await, Code::PermissionDenied);
    // This one has a rule, and no handler.
    assert_eq!(call("/transcribe.v1.BatchService/NoSuchMethod").await, Code::Unimplemented);
}
