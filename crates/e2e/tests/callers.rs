//! Who may call what: every RPC of the descriptor set, every role, and every kind of bad credentials.

use gatekey_e2e::{Client, Raw, Server, Start, TestIssuer, reason};
use gatekey_proto::envoy::service::auth::v3::CheckRequest;
use gatekey_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use gatekey_proto::envoy::service::auth::v3::check_response::HttpResponse;
use gatekey_proto::v1::{CreateTokenRequest, TokenType};
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::json;
use tempfile::TempDir;
use tonic::{Code, Request, Status};

/// The services that anyone may call. The list may only shrink.
const PUBLIC: [&str; 1] = ["grpc.health.v1.Health"];
/// The service of gateways, who are refused in words that they can hand on; `one_decision.rs` has its table.
const FOR_GATEWAYS: &str = "envoy.service.auth.v3.Authorization";

/// A server that trusts one issuer, and the issuer.
struct Setting {
    _folder: TempDir,
    issuer: TestIssuer,
    server: Server,
}

fn setting() -> Setting {
    let folder = TempDir::new().expect("a folder");
    let issuer = TestIssuer::new("https://login.example.com");
    let server = Start::in_folder(folder.path()).trusting(&issuer, folder.path()).start();
    Setting { _folder: folder, issuer, server }
}

/// The gRPC paths of every method in the contract.
fn methods() -> Vec<(String, String)> {
    let set = FileDescriptorSet::decode(gatekey_proto::FILE_DESCRIPTOR_SET).expect("the contract decodes");
    let mut methods = Vec::new();
    for file in set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            methods.extend(
                service.method.iter().map(|method| (name.clone(), format!("/{name}/{}", method.name()))),
            );
        }
    }
    methods
}

async fn call(client: &Client, path: &str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready().await.expect("the server is there");
    let path = path.parse().expect("a path");
    // An empty message is a valid one of every type.
    let request: Request<_> = client.request(futures_util::stream::iter([Vec::new()]));
    // A server stream that opens well is an answer, too.
    grpc.streaming(request, path, Raw).await.map(|_| ())
}

async fn refused_gateway(client: &Client) {
    let request = client.request(CheckRequest::default());
    let answer =
        AuthorizationClient::new(client.channel()).check(request).await.expect("an answer").into_inner();
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("it is refused") };
    assert_eq!(denied.status.expect("a status").code, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_public_or_refuses_strangers_and_callers_without_a_role() {
    let Setting { issuer, server, _folder } = setting();
    let stranger = server.stranger();
    let nobody = server.client_with(&issuer.sign(&issuer.claims("nobody", &[], Some("acme"))));
    let mut checked = 0;
    for (service, path) in methods() {
        if PUBLIC.contains(&service.as_str()) {
            continue;
        }
        if service == FOR_GATEWAYS {
            for client in [&stranger, &nobody] {
                refused_gateway(client).await;
            }
            checked += 1;
            continue;
        }
        let status = call(&stranger, &path).await.expect_err("strangers are refused");
        let said = (status.code(), reason(&status));
        assert_eq!(said, (Code::Unauthenticated, "gatekey/CREDENTIALS_MISSING".to_owned()), "{path}");
        let status = call(&nobody, &path).await.expect_err("callers without a role are refused");
        let said = (status.code(), reason(&status));
        assert_eq!(said, (Code::PermissionDenied, "gatekey/ROLE_REQUIRED".to_owned()), "{path}");
        checked += 1;
    }
    assert_eq!(checked, 6, "TokenService has four methods, RevocationService and Authorization one each");
    let unknown = call(&stranger, "/gatekey.v1.TokenService/NoSuchMethod").await.expect_err("refused");
    assert_eq!(unknown.code(), Code::Unauthenticated, "what is unknown is not public");
}

/// The table of roles in the contract: which calls pass the check of permission.
#[tokio::test(flavor = "multi_thread")]
async fn roles_allow_what_the_table_says() {
    let Setting { issuer, server, _folder } = setting();
    let may = |subject: &str, roles: &[&str]| {
        server.client_with(&issuer.sign(&issuer.claims(subject, roles, Some("acme"))))
    };
    let table = [
        ("developer", may("ann", &["developer"]), [true, true, true, false]),
        ("admin", may("bob", &["admin"]), [false, false, true, false]),
        ("both", may("cat", &["admin", "developer"]), [true, true, true, false]),
        ("verifier", may("gateway", &[]), [false, false, false, true]),
        ("verifier by claim", may("dan", &["verifier"]), [false, false, false, false]),
        ("unknown role", may("eve", &["owner"]), [false, false, false, false]),
    ];
    for (who, client, expected) in table {
        let create = CreateTokenRequest {
            name: "a".to_owned(),
            r#type: TokenType::Batch.into(),
            years_valid: 1,
            request_id: String::new(),
        };
        let answers = [
            client.create(create).await.err(),
            client.list(0, "").await.err(),
            client.delete(i64::MAX).await.err(),
            client.verify("gk_b_nonsense").await.err(),
        ];
        // Allowed, each call has an answer of its own kind: the token to be deleted does not exist.
        let good = [Code::Ok, Code::Ok, Code::NotFound, Code::Ok];
        let codes = answers.map(|status| status.map_or(Code::Ok, |status| status.code()));
        for ((code, good), allowed) in codes.into_iter().zip(good).zip(expected) {
            assert_eq!(code, if allowed { good } else { Code::PermissionDenied }, "{who}: {codes:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_is_checked_before_form_and_existence() {
    let Setting { issuer, server, _folder } = setting();
    let nobody = server.client_with(&issuer.sign(&issuer.claims("nobody", &[], Some("acme"))));
    assert_eq!(reason(&nobody.delete(-1).await.expect_err("refused")), "gatekey/ROLE_REQUIRED");
    assert_eq!(reason(&nobody.list(-1, "").await.expect_err("refused")), "gatekey/ROLE_REQUIRED");
    let homeless = server.client_with(&issuer.sign(&issuer.claims("ann", &["developer"], None)));
    assert_eq!(reason(&homeless.delete(-1).await.expect_err("refused")), "gatekey/TENANT_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_refused_and_say_why() {
    let Setting { issuer, server, _folder } = setting();
    let good = || issuer.claims("ann", &["developer"], Some("acme"));
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good();
        claims.as_object_mut().expect("claims").remove(name);
        claims
    };
    let other = TestIssuer::new(&issuer.name);
    let cases = [
        ("none", issuer.forge("none", &good()), "algorithm"),
        ("HS256 with the public key", issuer.forge("HS256", &good()), "asymmetric"),
        ("another key", other.sign(&good()), "signature"),
        ("unknown kid", issuer.sign_as("2", &good()), "kid"),
        ("wrong audience", issuer.sign(&with("aud", json!("other"))), "aud"),
        ("wrong issuer", issuer.sign(&with("iss", json!("https://evil.example"))), "issuer"),
        ("expired", issuer.sign(&with("exp", json!(1_000_000_000))), "expired"),
        ("not yet valid", issuer.sign(&with("nbf", json!(99_999_999_999_u64))), "nbf"),
        ("without exp", issuer.sign(&without("exp")), "exp"),
        ("without sub", issuer.sign(&without("sub")), "sub"),
        ("no JWT", "gk_b_nonsense".to_owned(), "not a JWT"),
    ];
    for (case, jwt, why) in cases {
        let status = server.client_with(&jwt).list(0, "").await.expect_err(case);
        assert_eq!(status.code(), Code::Unauthenticated, "{case}");
        assert_eq!(reason(&status), "gatekey/CREDENTIALS_INVALID", "{case}");
        assert!(status.message().contains(why), "{case}: {}", status.message());
    }
    assert!(server.client_with(&issuer.sign(&good())).list(0, "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_issuers_from_a_file_each_with_its_own_rules() {
    let folder = TempDir::new().expect("a folder");
    let people = TestIssuer::new("https://people.example");
    let cluster = TestIssuer::new("https://kubernetes.default.svc");
    for (name, issuer) in [("people.json", &people), ("cluster.json", &cluster)] {
        std::fs::write(folder.path().join(name), issuer.jwks()).expect("written");
    }
    let place = folder.path().display();
    let config = folder.path().join("gatekey.toml");
    let text = format!(
        r#"
data-dir = "{place}"
[[issuers]]
issuer = "https://people.example"
audience = "gatekey"
jwks = "{place}/people.json"
roles-pointer = "/realm/roles"
tenant-pointer = "/org/id"
[[issuers]]
issuer = "https://kubernetes.default.svc"
audience = "gatekey"
jwks = "{place}/cluster.json"
verifier-subjects = ["system:serviceaccount:speech:gateway"]
"#
    );
    std::fs::write(&config, text).expect("written");
    let server = Start::default().arg("--config").arg(&config).start();

    let mut claims = people.claims("ann", &[], None);
    claims["realm"] = json!({ "roles": [{ "value": "developer" }] });
    claims["org"] = json!({ "id": 42 });
    let ann = server.client_with(&people.sign(&claims));
    let (_, value) = ann.create_batch("a").await;

    let gateway = "system:serviceaccount:speech:gateway";
    let verifier = server.client_with(&cluster.sign(&cluster.claims(gateway, &[], None)));
    let answer = verifier.verify(&value).await.expect("an answer");
    assert_eq!(answer.token.expect("a token").tenant, "42");
    let impostor = server.client_with(&people.sign(&people.claims(gateway, &[], None)));
    assert_eq!(reason(&impostor.verify(&value).await.expect_err("refused")), "gatekey/ROLE_REQUIRED");
    let forged = server.client_with(&cluster.sign(&people.claims("ann", &["developer"], Some("42"))));
    assert_eq!(reason(&forged.list(0, "").await.expect_err("refused")), "gatekey/CREDENTIALS_INVALID");
}
