//! From Envoy's question about a request to ours, and from the decision to Envoy's answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use gatekey_access::{Identity, Refusal, is_identity, presented_in};
use gatekey_model::Token;
use gatekey_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use gatekey_proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use gatekey_proto::envoy::service::auth::v3::attribute_context::HttpRequest;
use gatekey_proto::envoy::service::auth::v3::check_response::HttpResponse;
use gatekey_proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use gatekey_proto::envoy::r#type::v3::HttpStatus;
use gatekey_proto::google::rpc;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::{Code, Status};

use crate::gateway::{self, Mandate, NoRule, Question};

const AUTHORIZATION: &str = "authorization";

/// What Envoy asks, taken apart.
pub(crate) struct Asked {
    http: HttpRequest,
    mandate: Result<Mandate, NoRule>,
}

pub(crate) fn asked(request: CheckRequest) -> Asked {
    let AttributeContext { request, context_extensions } = request.attributes.unwrap_or_default();
    let http = request.unwrap_or_default().http.unwrap_or_default();
    let parameters = context_extensions.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Asked { http, mandate: Mandate::read(parameters) }
}

impl Asked {
    pub(crate) fn question(&self) -> Question<'_> {
        let rule = match &self.mandate {
            Ok(mandate) => mandate.rule(Some(&self.http.path)),
            Err(why) => Err(*why),
        };
        let values = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION));
        Question { rule, presented: presented_in(values.map(|(_, value)| value)) }
    }

    /// In whichever of the two forms they came.
    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let joined = self.http.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let raw = self.http.header_map.iter().flat_map(|map| &map.headers);
        let raw = raw.map(|HeaderValue { key, value, raw_value }| {
            (key.as_str(), if raw_value.is_empty() { value.as_bytes() } else { raw_value })
        });
        joined.chain(raw)
    }

    fn is_grpc(&self) -> bool {
        let mut types = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        types
            .any(|(_, value)| matches!(value.strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..])))
    }

    /// Lets the request through: with who calls, and without what its client said of that.
    pub(crate) fn allow(&self, token: &Token) -> CheckResponse {
        let identity = gateway::identity(token);
        let headers = identity.headers();
        let dynamic_metadata = Some(metadata(&identity));
        let forged = self.headers().map(|(name, _)| name.to_ascii_lowercase());
        let mut headers_to_remove: Vec<String> =
            forged.filter(|name| is_identity(name) && !Identity::NAMES.contains(&name.as_str())).collect();
        if self.mandate.as_ref().is_ok_and(Mandate::strips_authorization) {
            headers_to_remove.push(AUTHORIZATION.to_owned());
        }
        let headers = headers.map(|(name, value)| set(name, value)).into();
        CheckResponse {
            status: Some(rpc::Status::default()),
            dynamic_metadata,
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse { headers, headers_to_remove })),
        }
    }

    /// Turns the request away in the words of its protocol. Envoy itself makes a gRPC status of it for clients of gRPC.
    pub(crate) fn deny(&self, refusal: Refusal) -> CheckResponse {
        let response = refusal.to_http::<Bytes>();
        let status = refusal.to_status();
        let code = HttpStatus { code: i32::from(response.status().as_u16()) };
        let texts = response.headers().iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
        let mut headers: Vec<_> = texts.map(|(name, value)| set(name.as_str(), value.to_owned())).collect();
        let mut body = String::from_utf8_lossy(response.body()).into_owned();
        if self.is_grpc() {
            // The body becomes the message of the status, and its type is Envoy's.
            headers.retain(|header| header.header.as_ref().is_none_or(|header| header.key != "content-type"));
            headers.push(set("grpc-status-details-bin", STANDARD_NO_PAD.encode(status.details())));
            refusal.message().clone_into(&mut body);
        }
        denied(
            rpc_status(status.code(), status.message()),
            DeniedHttpResponse { status: Some(code), headers, body },
        )
    }
}

/// The answer to a question that is not read, for whatever reason: nobody can tell. It is said why, to whoever asks and to nobody
/// else. The body is text, which clients of gRPC find as the message of their status.
pub(crate) fn unread(why: &Status) -> CheckResponse {
    let refusal = Refusal::Unverifiable;
    let texts = [("content-type", "text/plain"), ("cache-control", "no-store"), ("retry-after", "1")];
    denied(
        rpc_status(why.code(), why.message()),
        DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(refusal.http_status().as_u16()) }),
            headers: texts.map(|(name, value)| set(name, value.to_owned())).into(),
            body: refusal.message().to_owned(),
        },
    )
}

fn denied(status: rpc::Status, response: DeniedHttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(status),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::DeniedResponse(response)),
    }
}

fn rpc_status(code: Code, message: &str) -> rpc::Status {
    rpc::Status { code: code.into(), message: message.to_owned(), details: Vec::new() }
}

fn set(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}

/// As texts: a number of JSON can't hold every id.
fn metadata(identity: &Identity<'_>) -> Struct {
    let fields = [
        ("token_id", identity.id.to_string()),
        ("type", identity.kind.to_string()),
        ("tenant", identity.tenant.to_owned()),
        ("name", identity.name.to_owned()),
        ("key", identity.key.to_owned()),
        ("expires", identity.expires.to_string()),
    ];
    let text = |text| Value { kind: Some(Kind::StringValue(text)) };
    Struct { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect() }
}
