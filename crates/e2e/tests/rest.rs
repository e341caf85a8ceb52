//! The REST API of the real server: the whole life of a token, every refusal in the guide's form, and who may do what.

use gatekey_e2e::{Server, Start, TestIssuer, dev_token, reason};
use gatekey_model::PresentedToken;
use gatekey_proto::v1::Verdict;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A caller over HTTP.
struct Caller {
    http: reqwest::Client,
    base: String,
    jwt: Option<String>,
}

impl Caller {
    fn new(server: &Server, jwt: Option<String>) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self { http: http.expect("a client"), base: format!("http://{}", server.http), jwt }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.jwt {
            Some(jwt) => request.header("authorization", format!("Bearer {jwt}")),
            None => request,
        }
    }

    fn post(&self, body: &Value) -> RequestBuilder {
        let request = self.request(Method::POST, "/api/v3/tokens").body(body.to_string());
        request.header("content-type", "application/json")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn delete(&self, id: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, &format!("/api/v3/tokens/{id}"))).await
    }
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("the server is there")
}

/// The status and the JSON; null where there is no body.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = send(request).await;
    let status = response.status().as_u16();
    let text = response.text().await.expect("text");
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") })
}

/// The fields that are wrong, each with its reason.
fn wrong(error: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let detail = error["detail"].as_array().expect("a list").iter();
    detail
        .map(|field| {
            let place =
                field["loc"].as_array().expect("a list").iter().map(text).collect::<Vec<_>>().join(".");
            (place, text(&field["type"]))
        })
        .collect()
}

fn batch(name: &str) -> Value {
    json!({ "name": name, "type": "batch", "years_valid": 1 })
}

fn setting(args: &[&str]) -> (TempDir, Server, Caller) {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).args(args.iter().copied()).start();
    let jwt = dev_token(folder.path(), &["--role", "developer", "--tenant", "acme"]);
    let caller = Caller::new(&server, Some(jwt));
    (folder, server, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_and_dies_over_http_as_it_does_over_grpc() {
    let (folder, server, caller) = setting(&[]);
    let created =
        send(caller.post(&json!({ "name": " Größe ", "type": "realtime", "years_valid": 2 }))).await;
    assert_eq!(created.status(), 201);
    assert_eq!(created.headers()["cache-control"], "no-store");
    assert!(created.headers().contains_key("x-request-id"));
    let created: Value = serde_json::from_str(&created.text().await.expect("text")).expect("JSON");
    let value = created["token_value"].as_str().expect("the value");
    assert!(
        PresentedToken::parse(value).is_ok() && value.starts_with(created["key"].as_str().expect("a key"))
    );
    let mut token = created.clone();
    token.as_object_mut().expect("an object").remove("token_value");
    assert_eq!((&token["name"], &token["type"]), (&json!("Größe"), &json!("realtime")));
    assert!(token["id"].is_i64() && token["expires"].as_str().is_some_and(|text| text.ends_with('Z')));

    assert_eq!(caller.get("/api/v3/tokens").await, (200, json!({ "tokens": [token] })));
    let verifier = server.client(folder.path(), &["verifier"], "acme");
    assert_eq!(verifier.verdict(value).await, Verdict::Active);
    let id = created["id"].to_string();
    assert_eq!(caller.delete(&id).await, (204, Value::Null));
    assert_eq!(verifier.verdict(value).await, Verdict::Revoked);
    assert_eq!(caller.delete(&id).await, (204, Value::Null), "it stays deleted");
    assert_eq!(caller.get("/api/v3/tokens").await, (200, json!({ "tokens": [] })));

    // Two ways into the same use cases: what one makes, the other sees.
    let developer = server.client(folder.path(), &["developer"], "acme");
    let (over_grpc, _) = developer.create_batch("over gRPC").await;
    let (_, list) = caller.get("/api/v3/tokens").await;
    assert_eq!(list["tokens"][0]["id"], over_grpc.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_the_guides_form() {
    let (_folder, _server, caller) = setting(&[]);
    let (status, error) =
        answer(caller.post(&json!({ "name": "", "type": "BATCH", "years_valid": 3 }))).await;
    assert_eq!(status, 422);
    assert_eq!(error["detail"][0]["msg"], "Token name required");
    let fields = wrong(&error);
    let expected = [
        ("body.name", "TOKEN_NAME_REQUIRED"),
        ("body.type", "TOKEN_TYPE_INVALID"),
        ("body.years_valid", "YEARS_VALID_INVALID"),
    ];
    assert_eq!(fields, expected.map(|(place, reason)| (place.to_owned(), reason.to_owned())));

    let one = |status: u16, place: &str, reason: &str| (status, vec![(place.to_owned(), reason.to_owned())]);
    let said = |(status, error): (u16, Value)| (status, wrong(&error));
    let key = caller.post(&batch("a")).header("idempotency-key", "not a uuid");
    assert_eq!(said(answer(key).await), one(422, "header.Idempotency-Key", "REQUEST_ID_INVALID"));
    for id in ["0", "x", "-1", "9223372036854775808", "%ff", "1%2F2"] {
        assert_eq!(said(caller.delete(id).await), one(422, "path.id", "TOKEN_ID_INVALID"), "{id}");
    }
    assert_eq!(said(caller.delete("9223372036854775807").await), one(404, "", "TOKEN_NOT_FOUND"));
    assert_eq!(said(caller.get("/api/v3/nothing").await), one(404, "", "PATH_UNKNOWN"));
    assert_eq!(said(caller.get("/api/v3/tokens/").await), one(404, "", "PATH_UNKNOWN"));

    let put = send(caller.request(Method::PUT, "/api/v3/tokens")).await;
    assert_eq!(
        (put.status().as_u16(), &put.headers()["allow"]),
        (405, &"GET,HEAD,POST,OPTIONS".parse().expect("text"))
    );
    let form = caller.request(Method::POST, "/api/v3/tokens").body("name=a");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(said(answer(form).await), one(415, "", "MEDIA_TYPE_UNSUPPORTED"));
    let broken = caller.post(&json!({})).body("{\"name\": ");
    assert_eq!(said(answer(broken).await), one(400, "", "REQUEST_UNREADABLE"));
    let large = caller.post(&batch(&"x".repeat(20_000)));
    assert_eq!(said(answer(large).await), one(413, "", "REQUEST_TOO_LARGE"));

    let options = send(caller.request(Method::OPTIONS, "/api/v3/tokens")).await;
    assert_eq!(
        (options.status().as_u16(), options.headers().contains_key("access-control-allow-origin")),
        (204, false)
    );
    let head = send(caller.request(Method::HEAD, "/api/v3/tokens")).await;
    assert_eq!((head.status().as_u16(), head.text().await.expect("text").len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_the_challenges_of_rfc_6750() {
    let (_folder, server, _caller) = setting(&[]);
    let get = |jwt: Option<&str>| {
        let caller = Caller::new(&server, jwt.map(str::to_owned));
        async move {
            let response = send(caller.request(Method::GET, "/api/v3/tokens")).await;
            let challenge = response.headers()["www-authenticate"].to_str().expect("text").to_owned();
            let status = response.status().as_u16();
            (
                status,
                challenge,
                serde_json::from_str::<Value>(&response.text().await.expect("text")).expect("JSON"),
            )
        }
    };
    let (status, challenge, error) = get(None).await;
    assert_eq!((status, challenge.as_str()), (401, "Bearer realm=\"gatekey\""));
    assert!(error.get("error").is_none() && error["error_description"].is_string());
    let (status, challenge, error) = get(Some("a.b.c")).await;
    assert!(status == 401 && challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert_eq!(error["error"], "invalid_token");
    assert_eq!(error["error_description"], error["message"]);
}

/// The table of roles in the contract, over HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn roles_allow_what_the_table_says() {
    let folder = TempDir::new().expect("a folder");
    let issuer = TestIssuer::new("https://login.example.com");
    let server = Start::in_folder(folder.path())
        .trusting(&issuer, folder.path())
        .args(["--jwt-header", "X-Forwarded-Access-Token"])
        .start();
    let as_roles =
        |roles: &[&str]| Caller::new(&server, Some(issuer.sign(&issuer.claims("ann", roles, Some("acme")))));
    let table = [
        (&["developer"][..], [201, 200, 404]),
        (&["admin"], [403, 403, 404]),
        (&["admin", "developer"], [201, 200, 404]),
        (&[], [403, 403, 403]),
        (&["verifier"], [403, 403, 403]),
    ];
    for (roles, expected) in table {
        let caller = as_roles(roles);
        let create = answer(caller.post(&batch("a"))).await.0;
        let list = caller.get("/api/v3/tokens").await.0;
        let (delete, _) = caller.delete("9223372036854775807").await;
        assert_eq!([create, list, delete], expected, "{roles:?}");
        let (status, user) = caller.get("/api/v3/user").await;
        let known = roles.iter().filter(|role| **role != "verifier").map(|role| json!({ "value": role }));
        let mut said = user["result"]["roles"].as_array().expect("a list").clone();
        said.sort_by_key(ToString::to_string);
        assert_eq!((status, said), (200, known.collect::<Vec<_>>()), "{roles:?}");
    }
    // Permission comes before form and existence.
    assert_eq!(as_roles(&[]).delete("x").await.0, 403);
    let (status, _) = answer(as_roles(&[]).post(&json!({}))).await;
    assert_eq!(status, 403);

    // What stands in front may send the JWT in a header of its own.
    let jwt = issuer.sign(&issuer.claims("ann", &["developer"], Some("acme")));
    let stranger = Caller::new(&server, None);
    let forwarded =
        |jwt: &str| stranger.request(Method::GET, "/api/v3/tokens").header("x-forwarded-access-token", jwt);
    assert_eq!(answer(forwarded(&jwt)).await.0, 200);
    assert_eq!(answer(forwarded(&jwt).header("authorization", "Bearer a.b.c")).await.0, 200);
    assert_eq!(answer(forwarded("a.b.c")).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_the_same_key_leaves_one_token() {
    let (_folder, _server, caller) = setting(&[]);
    let key = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let create = |name: &'static str| answer(caller.post(&batch(name)).header("idempotency-key", key));
    let (_, first) = create("a").await;
    let (status, second) = create("a").await;
    assert_eq!(status, 201);
    assert_ne!(first["token_value"], second["token_value"]);
    let (_, list) = caller.get("/api/v3/tokens").await;
    let ids: Vec<&Value> =
        list["tokens"].as_array().expect("a list").iter().map(|token| &token["id"]).collect();
    assert_eq!(ids, [&second["id"]]);
    let (status, error) = create("b").await;
    assert_eq!((status, wrong(&error)[0].1.as_str()), (422, "REQUEST_ID_REUSED"));
    caller.delete(&second["id"].to_string()).await;
    let (status, error) = create("a").await;
    assert_eq!((status, wrong(&error)[0].1.as_str()), (409, "REQUEST_ID_SPENT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_all_tokens_however_many_there_may_be() {
    let (_folder, _server, caller) = setting(&["--tokens-per-tenant", "1050"]);
    let creates = futures_util::stream::iter(0..1_050);
    futures_util::StreamExt::for_each_concurrent(creates, 16, |number| {
        let create = caller.post(&batch(&format!("token {number}")));
        async move { assert_eq!(answer(create).await.0, 201) }
    })
    .await;
    let (_, list) = caller.get("/api/v3/tokens").await;
    let ids: Vec<i64> = list["tokens"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|token| token["id"].as_i64().expect("a number"))
        .collect();
    assert_eq!(ids.len(), 1_050);
    let distinct: std::collections::BTreeSet<i64> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), 1_050);
    let (status, error) = answer(caller.post(&batch("one more"))).await;
    assert_eq!((status, wrong(&error)[0].1.as_str()), (429, "TOKEN_LIMIT_REACHED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_change_nothing_and_read_nothing_unless_configured() {
    let (_folder, _server, caller) = setting(&["--cors-origin", "https://admin.example.com"]);
    let from = |site: &'static str, origin: &'static str| {
        caller.post(&batch("a")).header("sec-fetch-site", site).header("origin", origin)
    };
    let (status, error) = answer(from("cross-site", "https://evil.example")).await;
    assert_eq!((status, wrong(&error)[0].1.as_str()), (403, "CROSS_SITE"));
    assert_eq!(answer(from("same-origin", "https://keys.example.com")).await.0, 201);
    let allowed = send(from("cross-site", "https://admin.example.com")).await;
    assert_eq!(allowed.status(), 201);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://admin.example.com");
    let preflight = |origin: &'static str| {
        let request = caller.request(Method::OPTIONS, "/api/v3/tokens/7").header("origin", origin);
        send(request.header("access-control-request-method", "DELETE"))
    };
    assert_eq!(
        preflight("https://admin.example.com").await.headers()["access-control-allow-origin"],
        "https://admin.example.com"
    );
    assert!(!preflight("https://evil.example").await.headers().contains_key("access-control-allow-origin"));
    let delete = caller.request(Method::DELETE, "/api/v3/tokens/1").header("origin", "https://evil.example");
    assert_eq!(answer(delete).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_in_the_two_ways_is_only_the_writing() {
    let (folder, server, caller) = setting(&[]);
    let developer = server.client(folder.path(), &["developer"], "acme");
    let over_grpc = reason(&developer.delete(7).await.expect_err("refused"));
    let (_, over_http) = caller.delete("7").await;
    assert_eq!(over_grpc, format!("gatekey/{}", over_http["detail"][0]["type"].as_str().expect("text")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_to_everybody() {
    let (_folder, server, _caller) = setting(&["--base-path", "/keys"]);
    let stranger = Caller::new(&server, None);
    for path in ["/api/v3/openapi.json", "/keys/api/v3/openapi.json"] {
        let (status, document) = stranger.get(path).await;
        assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
        let paths: Vec<&String> = document["paths"].as_object().expect("an object").keys().collect();
        assert_eq!(paths, ["/tokens", "/tokens/{id}", "/user"]);
    }
}
