//! Rules are found for exactly the paths that the routers know.

use proptest::prelude::*;

use super::*;

fn access() -> Access {
    Access::routes([
        ("/transcribe.v1.RealtimeService/{method}", Rule::Realtime),
        ("/transcribe.v1.BatchService/Upload", Rule::Batch),
        ("GET /v1/jobs/{id}", Rule::Any),
        ("POST /v1/jobs/{id}", Rule::Batch),
        ("/v1/jobs/{id}/audio", Rule::Realtime),
        ("/files/{*path}", Rule::Batch),
        ("/files/secret.txt", Rule::Realtime),
        ("/files/secret/{*path}", Rule::Realtime),
        ("/files/own/", Rule::Realtime),
        ("/files/gr%C3%BC.txt", Rule::Realtime),
        ("/files/%7Bodd", Rule::Realtime),
        ("/open/{*path}", Rule::Public),
        ("/open/caf%C3%A9/{*path}", Rule::Batch),
        ("GET /v2/{id}/", Rule::Any),
        ("POST /v2/{id}", Rule::Batch),
        ("/livez", Rule::Public),
    ])
    .expect("good")
}

fn rule(method: &Method, path: &str) -> Result<Rule, Refusal> {
    access().rule(method, path)
}

#[test]
fn each_route_has_its_rule() {
    for (method, path, expected) in [
        (Method::POST, "/transcribe.v1.RealtimeService/Stream", Rule::Realtime),
        (Method::POST, "/transcribe.v1.BatchService/Upload", Rule::Batch),
        (Method::GET, "/v1/jobs/7", Rule::Any),
        (Method::HEAD, "/v1/jobs/7", Rule::Any),
        (Method::POST, "/v1/jobs/7", Rule::Batch),
        (Method::PATCH, "/v1/jobs/7/audio", Rule::Realtime),
        (Method::GET, "/files/a/b/c", Rule::Batch),
        (Method::GET, "/files/a%20b/%C3%A4/", Rule::Batch),
        (Method::GET, "/files/a%2Fb", Rule::Batch),
        (Method::GET, "/files/100%", Rule::Batch),
        (Method::GET, "/files/a//b", Rule::Batch),
        (Method::GET, "/files/a/./b/", Rule::Batch),
        (Method::GET, "/files/https%3A%2F%2Fexample.com", Rule::Batch),
        (Method::GET, "/files/own/", Rule::Realtime),
        (Method::GET, "/files/gr%C3%BC.txt", Rule::Realtime),
        (Method::GET, "/files/%7Bodd", Rule::Realtime),
        (Method::GET, "/open/caf%C3%A9/menu", Rule::Batch),
        (Method::GET, "/open/th%C3%A9", Rule::Public),
        (Method::GET, "/v1/jobs/%2Fab%2F%2Fc", Rule::Any),
        (Method::GET, "/v2/7/", Rule::Any),
        (Method::GET, "/files/secret.txt", Rule::Realtime),
        (Method::GET, "/files/secret/%61", Rule::Realtime),
        (Method::GET, "/livez", Rule::Public),
    ] {
        assert_eq!(rule(&method, path), Ok(expected), "{method} {path}");
    }
}

#[test]
fn what_the_router_does_not_know_has_no_rule() {
    for path in [
        "",
        "*",
        "/",
        "livez",
        "/livez/",
        "//livez",
        "/Livez",
        "/%6civez",
        "/livez%00",
        "/livez;a",
        "/./livez",
        "/v1/../livez",
        "/v1/jobs/",
        "/v1/jobs//audio",
        "/v1//jobs/7",
        "/v1/jobs/7/",
        "/v1/jobs/7/8",
        "/files/",
        "/files",
        "/transcribe.v1.BatchService/Upload/",
        "/transcribe.v1.BatchService/upload",
        "/transcribe.v1.BatchService/Download",
        "/transcribe.v1.RealtimeService/",
        "/transcribe.v1.RealtimeService",
    ] {
        assert_eq!(rule(&Method::GET, path), Err(Refusal::NoRule), "{path:?}");
    }
    for method in [Method::DELETE, Method::OPTIONS, Method::CONNECT, Method::from_bytes(b"get").expect("one")]
    {
        assert_eq!(rule(&method, "/v1/jobs/7"), Err(Refusal::NoRule), "{method}");
    }
}

/// A server of files decodes the path, and leaves out what is empty or a dot: it would come to the file of the other rule.
#[test]
fn another_spelling_does_not_come_by_the_rule_of_a_wildcard() {
    for path in [
        "/files/%73ecret.txt",
        "/files/secret%2etxt",
        "/files//secret.txt",
        "/files/./secret.txt",
        "/files/%2e/secret.txt",
        "/files/a/../secret.txt",
        "/files/a/%2E%2e/secret.txt",
        "/files/%2fsecret.txt",
        "/files/secret%2Fa",
        "/files/%73ecret/a",
        "/files/..",
        "/files/secret/",
        "/files/%73ecret/",
        "/files/%6fwn/",
        "/files//own/",
        "/files/gr%c3%bc.txt",
        "/files/%67r%C3%BC.txt",
        "/open/caf%c3%a9/menu",
        "/open/%63af%C3%A9/menu",
        "/files/secret.txt/",
        "/files/secret.txt%2f",
        "/v1/jobs/./audio",
        "/v1/jobs/%2e%2e",
        "/v1/jobs/7%2faudio",
    ] {
        assert_eq!(rule(&Method::GET, path), Err(Refusal::NoRule), "{path:?}");
    }
}

#[test]
fn one_rule_for_all_asks_of_every_path() {
    for path in ["", "/", "/any/%2f//thing"] {
        assert_eq!(Access::batch().rule(&Method::GET, path), Ok(Rule::Batch));
        assert_eq!(Access::from(TokenType::Realtime).rule(&Method::GET, path), Ok(Rule::Realtime));
        assert_eq!(Access::from(Rule::Public).rule(&Method::GET, path), Ok(Rule::Public));
    }
}

#[test]
fn all_problems_of_a_table_are_told_at_once() {
    let rows =
        ["livez", "GET", "get /a", "/a?b", "/ä", "/b", "/b", "POST /c", "POST /c", "/d/{x}", "/d/{y}", "/e{"];
    let problems = Access::routes(rows.map(|pattern| (pattern, Rule::Any))).expect_err("wrong");
    assert_eq!(problems.problems().len(), 9, "{problems}");
    for pattern in [
        "`livez`",
        "`GET`",
        "`get /a`",
        "`/a?b`",
        "`/ä`",
        "`/b`: it is",
        "`POST /c`: it is",
        "`/d/{y}`",
        "`/e{`",
    ] {
        assert!(problems.to_string().contains(pattern), "{pattern}: {problems}");
    }
    let none: [(&str, Rule); 0] = [];
    assert_eq!(Access::routes(none).expect_err("empty").problems(), ["there must be at least one route"]);
}

#[test]
fn a_table_is_shown_as_it_was_written() {
    let shown = format!("{:?}", Access::routes([("POST /v1/uploads", Rule::Batch)]).expect("good"));
    assert_eq!(shown, r#"{"POST /v1/uploads": Batch}"#);
}

/// Paths that look alike to people and to careless matchers.
fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("v1".to_owned()),
        Just("V1".to_owned()),
        Just("jobs".to_owned()),
        Just("audio".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just(String::new()),
        Just("%2f".to_owned()),
        Just("%6aobs".to_owned()),
        "[a-z0-9%;:@!$&'()*+,=~_.-]{0,4}",
    ];
    (proptest::collection::vec(segment, 0..6), any::<bool>())
        .prop_map(|(segments, slash)| format!("/{}{}", segments.join("/"), if slash { "/" } else { "" }))
}

/// Which of the test's routes a path is, by the letter of their patterns.
fn by_hand(path: &str) -> Option<Rule> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    match segments.as_slice() {
        ["v1", "jobs", id] if !["", ".."].contains(id) => Some(Rule::Any),
        // Without what is not there it would be the other.
        ["v1", "jobs", id, "audio"] if !["", ".", "..", "%2f"].contains(id) => Some(Rule::Realtime),
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_path_has_a_rule_if_it_is_written_just_so(path in paths()) {
        let access = Access::routes([("/v1/jobs/{id}", Rule::Any), ("/v1/jobs/{id}/audio", Rule::Realtime)]);
        let found = access.expect("good").rule(&Method::GET, &path);
        prop_assert_eq!(found.ok(), by_hand(&path));
    }

    #[test]
    fn no_text_makes_it_panic(pattern in any::<String>(), path in any::<String>()) {
        let access = Access::routes([(&pattern, Rule::Any)]);
        if let Ok(access) = access {
            // It may match or not.
            let _ = access.rule(&Method::GET, &path);
        }
    }
}
