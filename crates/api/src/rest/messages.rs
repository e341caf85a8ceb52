//! The JSON of the REST API, as it is written and as it is documented.

use std::borrow::Cow;

use gatekey_model::{TokenType, Validity};
use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A token, without its value.
#[derive(Serialize, ToSchema)]
pub(crate) struct Token<'a> {
    /// Identifies the token; positive, never used twice.
    #[schema(example = 7, minimum = 1)]
    pub(crate) id: i64,
    /// The public part of its value.
    #[schema(example = "gk_b_4fZk91Qd")]
    pub(crate) key: &'a str,
    /// What its creator called it.
    #[schema(example = "Production Integration")]
    pub(crate) name: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// From when on it is not accepted any more.
    #[schema(example = "2027-11-25T08:00:00Z", format = DateTime)]
    pub(crate) expires: String,
}

/// A token that was just created.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken<'a> {
    #[serde(flatten)]
    pub(crate) token: Token<'a>,
    /// Its value: the secret itself. It is in this answer and never again in any.
    pub(crate) token_value: &'a str,
}

/// What a token may be used for: `batch` stores data and then processes it, `realtime` processes it as it comes.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Batch,
    Realtime,
}

impl From<TokenType> for Kind {
    fn from(kind: TokenType) -> Self {
        match kind {
            TokenType::Batch => Self::Batch,
            TokenType::Realtime => Self::Realtime,
        }
    }
}

/// All tokens of the tenant that were not deleted, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
}

/// To create a token. It is read field by field, so that all that is wrong is told at once; this is its documentation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is derived from it")]
pub(crate) struct NewToken {
    /// 1 to 255 characters beside white space at both ends, which is dropped; no control characters, no bidirectional controls.
    #[schema(
        example = "Production Integration",
        // White space; one that is neither that nor forbidden; and between two of those anything but what is forbidden.
        pattern = r"^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069 \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]([^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]{0,253}[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069 \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$"
    )]
    name: String,
    #[schema(rename = "type")]
    r#type: Kind,
    years_valid: Years,
}

/// The headers of a create that mean something.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the parameters are derived from it")]
pub(crate) struct CreateHeaders {
    /// The caller's name for this intention. A repeat with the same body within 24 hours gives a new token and deletes the
    /// first one, whose answer was lost.
    #[param(rename = "Idempotency-Key", required = false)]
    idempotency_key: uuid::Uuid,
}

/// For how many calendar years a token is valid.
pub(crate) struct Years;

impl PartialSchema for Years {
    fn schema() -> RefOr<Schema> {
        let years = Validity::ALL.map(Validity::years);
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some(years))
            .description(Some("For how many calendar years it is valid."))
            .examples([years[0]])
            .into()
    }
}

impl ToSchema for Years {
    fn name() -> Cow<'static, str> {
        "YearsValid".into()
    }
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) result: UserResult,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct UserResult {
    pub(crate) roles: Vec<UserRole>,
}

/// A role: `developer`, `admin` or `verifier`.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserRole {
    #[schema(example = "developer")]
    pub(crate) value: &'static str,
}

/// Why a call was refused or failed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is derived from it")]
pub(crate) struct Failure {
    /// For people.
    message: String,
    detail: Vec<FailureDetail>,
    /// The code of RFC 6750; only with 401, and only if credentials came.
    error: Option<String>,
    /// The message again; only with 401.
    error_description: Option<String>,
}

/// One thing that is wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is derived from it")]
pub(crate) struct FailureDetail {
    /// Where: `["body", "name"]`, `["path", "id"]`, `["header", "Idempotency-Key"]`, or nothing.
    loc: Vec<String>,
    /// The rule, for people.
    msg: String,
    /// The reason, for programs: see docs/errors.md.
    #[schema(rename = "type", example = "TOKEN_NAME_REQUIRED")]
    r#type: String,
}
