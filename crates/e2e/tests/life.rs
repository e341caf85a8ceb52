//! The life of a token, over both stores: created, listed, verified, deleted, refused.

use gatekey_e2e::{Client, Database, Server, Start, reason, violations};
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{CreateTokenRequest, TokenType, Verdict, VerifyTokenRequest};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tonic::Code;

/// A development server over one of the stores.
struct Setting {
    folder: TempDir,
    server: Server,
}

impl Setting {
    fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let server = Start::in_folder(folder.path()).start();
        Self { folder, server }
    }

    async fn postgres() -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = Database::new().await;
        database.migrate();
        let server = Start::in_folder(folder.path()).args(["--dev", "--database-url", &database.url]).start();
        Self { folder, server }
    }

    fn client(&self, roles: &[&str], tenant: &str) -> Client {
        self.server.client(self.folder.path(), roles, tenant)
    }

    fn everything(&self) -> Client {
        self.client(&["developer", "verifier"], "acme")
    }
}

/// Each case runs on both stores.
macro_rules! on_both_stores {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() { super::$case(super::Setting::sqlite()).await })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() { super::$case(super::Setting::postgres().await).await })+
        }
    };
}

on_both_stores!(
    from_creation_to_refusal,
    names_people_use,
    every_bad_create_names_its_fields,
    pages,
    other_tenants_see_nothing,
    deleting_what_is_not_there,
    verdicts_in_their_order,
    repeated_creates,
    two_authorization_headers,
    a_mebibyte_of_name,
);

fn create(name: &str, kind: TokenType, years_valid: i32) -> CreateTokenRequest {
    CreateTokenRequest { name: name.to_owned(), r#type: kind.into(), years_valid, request_id: String::new() }
}

async fn from_creation_to_refusal(setting: Setting) {
    let client = setting.everything();
    let batch = client.create(create("Production", TokenType::Batch, 1)).await.expect("created");
    let live = client.create(create("Live", TokenType::Realtime, 5)).await.expect("created");
    let token = batch.token.expect("a token");
    assert!(batch.token_value.starts_with(&token.key));
    assert!(token.key.starts_with("gk_b_") && live.token_value.starts_with("gk_r_"));
    assert_eq!((token.name.as_str(), token.r#type()), ("Production", TokenType::Batch));
    assert_eq!(token.creator, "dev");
    let (created, expires) = (token.create_time.expect("a time"), token.expire_time.expect("a time"));
    assert!((364..=366).contains(&((expires.seconds - created.seconds) / 86_400)));

    let listed = client.list(0, "").await.expect("a list").tokens;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], token);

    let verified = client.verify(&batch.token_value).await.expect("an answer");
    assert_eq!(verified.verdict(), Verdict::Active);
    let seen = verified.token.expect("the token");
    assert_eq!((seen.id, seen.tenant.as_str()), (token.id, "acme"));
    assert!(!verified.cacheable, "nobody asked as a holder");

    let receipt = client.delete(token.id).await.expect("deleted");
    let revision = receipt.revision.expect("a revision");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (0, 0));
    assert_eq!(client.verdict(&batch.token_value).await, Verdict::Revoked);
    assert_eq!(client.verdict(&live.token_value).await, Verdict::Active);
    assert_eq!(client.list(0, "").await.expect("a list").tokens.len(), 1);
    let again = client.delete(token.id).await.expect("idempotent");
    assert_eq!(again.revision, Some(revision));
}

async fn names_people_use(setting: Setting) {
    let client = setting.everything();
    for name in [
        "🎙️ live",
        "מפתח ייצור",
        "مفتاح",
        "日本語",
        &"😀".repeat(255),
        "a\u{200d}b",
        "Robert'); DROP TABLE token;--",
    ] {
        let (token, _) = client.create_batch(&format!("  {name}\n")).await;
        assert_eq!(token.name, name);
        assert_eq!(client.list(1, "").await.expect("a list").tokens[0].name, name);
    }
}

async fn every_bad_create_names_its_fields(setting: Setting) {
    let client = setting.everything();
    let cases: Vec<(CreateTokenRequest, &[(&str, &str)])> = vec![
        (create("", TokenType::Batch, 1), &[("name", "TOKEN_NAME_REQUIRED")]),
        (create(" \t ", TokenType::Batch, 1), &[("name", "TOKEN_NAME_REQUIRED")]),
        (create(&"x".repeat(256), TokenType::Batch, 1), &[("name", "TOKEN_NAME_TOO_LONG")]),
        (create("a\0b", TokenType::Batch, 1), &[("name", "TOKEN_NAME_CONTROL_CHARACTER")]),
        (create("a\u{202e}b", TokenType::Batch, 1), &[("name", "TOKEN_NAME_BIDI_CONTROL")]),
        (create("a", TokenType::Unspecified, 1), &[("type", "TOKEN_TYPE_INVALID")]),
        (
            CreateTokenRequest { r#type: 7, ..create("a", TokenType::Batch, 1) },
            &[("type", "TOKEN_TYPE_INVALID")],
        ),
        (create("a", TokenType::Batch, 0), &[("years_valid", "YEARS_VALID_INVALID")]),
        (create("a", TokenType::Batch, 3), &[("years_valid", "YEARS_VALID_INVALID")]),
        (create("a", TokenType::Batch, -1), &[("years_valid", "YEARS_VALID_INVALID")]),
        (create("a", TokenType::Batch, i32::MIN), &[("years_valid", "YEARS_VALID_INVALID")]),
        (
            CreateTokenRequest { request_id: "7".to_owned(), ..create("", TokenType::Unspecified, 9) },
            &[
                ("name", "TOKEN_NAME_REQUIRED"),
                ("type", "TOKEN_TYPE_INVALID"),
                ("years_valid", "YEARS_VALID_INVALID"),
                ("request_id", "REQUEST_ID_INVALID"),
            ],
        ),
    ];
    for (request, expected) in cases {
        let status = client.create(request).await.expect_err("refused");
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "gatekey/INVALID_REQUEST")
        );
        let fields: Vec<String> = violations(&status).into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, expected.iter().map(|(field, _)| *field).collect::<Vec<_>>());
        // The reason of each field is in the raw details: the client library leaves it out.
        for (_, field_reason) in expected {
            let details = String::from_utf8_lossy(status.details()).into_owned();
            assert!(details.contains(field_reason), "{field_reason} is not in the details");
        }
    }
    assert!(client.list(0, "").await.expect("a list").tokens.is_empty(), "nothing was created");
}

async fn pages(setting: Setting) {
    let client = setting.everything();
    for number in 0..7 {
        client.create_batch(&format!("{number}")).await;
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = client.list(3, &page_token).await.expect("a page");
        names.extend(page.tokens.into_iter().map(|token| token.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["6", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(client.list(1_000_000, "").await.expect("lowered").tokens.len(), 7);

    let first = client.list(3, "").await.expect("a page").next_page_token;
    let edited = format!("{}{}", if first.starts_with('B') { 'C' } else { 'B' }, &first[1..]);
    for (page_size, page_token, field) in
        [(-1, "", "page_size"), (0, "nonsense", "page_token"), (0, edited.as_str(), "page_token")]
    {
        let status = client.list(page_size, page_token).await.expect_err("refused");
        assert_eq!(violations(&status)[0].field, field);
    }
    let stranger = setting.client(&["developer"], "other");
    let status = stranger.list(0, &first).await.expect_err("a page token of another tenant");
    assert_eq!(violations(&status)[0].field, "page_token");
}

async fn other_tenants_see_nothing(setting: Setting) {
    let ours = setting.everything();
    let theirs = setting.client(&["developer", "admin"], "other");
    let (token, value) = ours.create_batch("ours").await;
    assert!(theirs.list(0, "").await.expect("a list").tokens.is_empty());
    let foreign = theirs.delete(token.id).await.expect_err("not theirs");
    let never = theirs.delete(token.id + 1_000_000).await.expect_err("never existed");
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!(
        (foreign.code(), foreign.message(), foreign.details()),
        (never.code(), never.message(), never.details()),
        "the same in all respects"
    );
    assert_eq!(ours.verdict(&value).await, Verdict::Active);
}

async fn deleting_what_is_not_there(setting: Setting) {
    let client = setting.everything();
    for id in [0, -1, i64::MIN] {
        let status = client.delete(id).await.expect_err("refused");
        assert_eq!((status.code(), violations(&status)[0].field.as_str()), (Code::InvalidArgument, "id"));
    }
    let status = client.delete(i64::MAX).await.expect_err("refused");
    assert_eq!(reason(&status), "gatekey/TOKEN_NOT_FOUND");
    let admin = setting.client(&["admin"], "acme");
    let (token, _) = client.create_batch("to be deleted by an admin").await;
    assert!(admin.delete(token.id).await.is_ok());
}

async fn verdicts_in_their_order(setting: Setting) {
    let client = setting.everything();
    let (token, value) = client.create_batch("a").await;
    let with = |credential, required: i32| VerifyTokenRequest {
        credential: Some(credential),
        required_type: required,
        position: None,
    };
    let by_value = |value: &str| Credential::TokenValue(value.to_owned());
    let by_digest = |value: &str| Credential::TokenSha256(Sha256::digest(value).to_vec());
    let realtime = TokenType::Realtime as i32;

    let (body, last) = value.split_at(value.len() - 1);
    let never = format!("{body}{}", if last == "x" { "y" } else { "x" });
    for (credential, required, expected) in [
        (by_value(&value), 0, Verdict::Active),
        (by_digest(&value), TokenType::Batch as i32, Verdict::Active),
        (by_value(&value), realtime, Verdict::WrongType),
        (by_value("gk_b_nonsense"), realtime, Verdict::Malformed),
        (by_value(""), 0, Verdict::Malformed),
        (by_value(&never), 0, Verdict::Malformed),
        (by_digest(&never), realtime, Verdict::Unknown),
    ] {
        let answer = client.verify_with(with(credential, required)).await.expect("an answer");
        assert_eq!(answer.verdict(), expected);
        let known = !matches!(expected, Verdict::Malformed | Verdict::Unknown);
        assert_eq!(answer.token.is_some(), known);
    }
    client.delete(token.id).await.expect("deleted");
    let answer = client.verify_with(with(by_value(&value), realtime)).await.expect("an answer");
    assert_eq!(answer.verdict(), Verdict::Revoked, "goes before the wrong type");

    for (request, field) in [
        (VerifyTokenRequest::default(), "credential"),
        (with(Credential::TokenSha256(vec![0; 31]), 0), "token_sha256"),
        (with(by_value(&value), 9), "required_type"),
    ] {
        let status = client.verify_with(request).await.expect_err("refused");
        assert_eq!(violations(&status)[0].field, field);
    }
}

async fn repeated_creates(setting: Setting) {
    let client = setting.everything();
    let request = CreateTokenRequest {
        request_id: "67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(),
        ..create("once", TokenType::Batch, 1)
    };
    let first = client.create(request.clone()).await.expect("created");
    let second = client.create(request.clone()).await.expect("created anew");
    assert_ne!(first.token_value, second.token_value);
    assert_eq!(client.verdict(&first.token_value).await, Verdict::Revoked);
    assert_eq!(client.verdict(&second.token_value).await, Verdict::Active);
    assert_eq!(client.list(0, "").await.expect("a list").tokens.len(), 1);

    let other = CreateTokenRequest { years_valid: 2, ..request.clone() };
    assert_eq!(reason(&client.create(other).await.expect_err("refused")), "gatekey/REQUEST_ID_REUSED");
    client.delete(second.token.expect("a token").id).await.expect("deleted");
    assert_eq!(reason(&client.create(request).await.expect_err("refused")), "gatekey/REQUEST_ID_SPENT");
}

async fn two_authorization_headers(setting: Setting) {
    let client = setting.everything();
    let mut request = client.request(gatekey_proto::v1::ListTokensRequest::default());
    let again = request.metadata().get("authorization").expect("set").clone();
    request.metadata_mut().append("authorization", again);
    let mut tokens = gatekey_proto::v1::token_service_client::TokenServiceClient::new(client.channel());
    let status = tokens.list_tokens(request).await.expect_err("refused");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "gatekey/CREDENTIALS_INVALID")
    );
}

async fn a_mebibyte_of_name(setting: Setting) {
    let client = setting.everything();
    let status = client.create(create(&"x".repeat(1 << 20), TokenType::Batch, 1)).await.expect_err("refused");
    let said = (status.code(), reason(&status));
    assert_eq!(said, (Code::ResourceExhausted, "gatekey/REQUEST_TOO_LARGE".to_owned()));
    assert!(client.list(0, "").await.expect("a list").tokens.is_empty());
}
