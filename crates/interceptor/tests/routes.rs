//! The rules and the router that they stand before know the same paths: whatever axum's router hands to a handler went by
//! the rule that is written for that handler, or was refused.

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::routing;
use gatekey_interceptor::{Access, FakeGatekey, Rule, TokenType};
use http::{Request, StatusCode};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const ROUTES: [(&str, Rule); 8] = [
    ("/v1/jobs", Rule::Batch),
    ("/v1/jobs/{id}", Rule::Realtime),
    ("/v1/jobs/{id}/audio", Rule::Batch),
    ("/v1/jobs/all", Rule::Any),
    ("/v1/{kind}/all/audio", Rule::Realtime),
    ("/files/{*path}", Rule::Batch),
    ("/files/public.txt", Rule::Public),
    ("/transcribe.v1.RealtimeService/{*rest}", Rule::Realtime),
];

fn router() -> Router {
    let handler = async |path: MatchedPath| path.as_str().to_owned();
    ROUTES.into_iter().fold(Router::new(), |router, (path, _)| router.route(path, routing::any(handler)))
}

/// Which route the router takes a path to.
async fn routed(router: Router, path: &str) -> Option<String> {
    let request = Request::get(path).body(Body::empty()).ok()?;
    let response = router.oneshot(request).await.expect("infallible");
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.expect("short");
    Some(String::from_utf8(body.to_vec()).expect("text"))
}

/// Paths that look alike to people and to careless matchers.
fn paths() -> impl Strategy<Value = String> {
    let known = vec!["v1", "jobs", "all", "audio", "files", "public.txt", "transcribe.v1.RealtimeService"];
    let odd = vec!["", ".", "..", "V1", "Jobs", "%2f", "%6aobs", "a%00", "jobs;a", "all%20", "*"];
    let segment = prop_oneof![
        4 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => proptest::sample::select(odd).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9%_.~-]{0,5}",
    ];
    (proptest::collection::vec(segment, 0..6), any::<bool>())
        .prop_map(|(segments, slash)| format!("/{}{}", segments.join("/"), if slash { "/" } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_path_goes_by_the_rule_of_the_route_that_it_is_routed_to(path in paths()) {
        let access = Access::routes(ROUTES).expect("good");
        let found = access.rule(&http::Method::GET, &path);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        match runtime.block_on(routed(router(), &path)) {
            None => prop_assert!(found.is_err(), "{} is no route and has the rule {:?}", path, found),
            Some(route) => {
                let rule = ROUTES.into_iter().find(|(pattern, _)| *pattern == route).map(|(_, rule)| rule);
                // What somebody might read as another path is refused, though the router takes it.
                let odd = path.ends_with('/') || ["//", "/.", "%2f", "%6a"].iter().any(|odd| path.contains(odd));
                prop_assert!(found.ok() == rule || (found.is_err() && odd), "{}: {:?}, not {:?}", path, found, rule);
            }
        }
    }
}

/// A handler for all of a folder, which decodes what it is asked for and leaves out empty segments, as servers of files do,
/// comes to nothing that has a rule of its own.
#[test]
fn a_server_of_files_gives_nothing_by_a_wildcards_rule_that_has_another() {
    let access = Access::routes(ROUTES).expect("good");
    let files = |path: &str| {
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
        let segments = decoded.split('/').filter(|segment| !matches!(*segment, "" | "."));
        segments.collect::<Vec<_>>().join("/")
    };
    let letters = [
        "p",
        "%70",
        "%50",
        "/",
        "//",
        "./",
        ".",
        "%2e",
        "%2E",
        "%2f",
        "u",
        "ublic.txt",
        "public",
        ".txt",
        "%",
    ];
    let runner = &mut proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 20_000,
        ..ProptestConfig::default()
    });
    let tails = proptest::collection::vec(proptest::sample::select(letters.to_vec()), 1..6);
    let checked = runner.run(&tails, |tail| {
        let path = format!("/files/{}", tail.concat());
        if let Ok(rule) = access.rule(&http::Method::GET, &path) {
            let expected = if files(&path) == "files/public.txt" { Rule::Public } else { Rule::Batch };
            prop_assert_eq!(rule, expected, "{}", path);
        }
        Ok(())
    });
    checked.expect("no way around");
}

/// The same by the layer itself, in each place where it can stand.
#[test]
fn the_layer_sees_the_path_that_the_router_sees() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let fake = FakeGatekey::start();
        let batch = fake.token(TokenType::Batch).mint();
        let layer = fake.gatekey().layer(Access::routes(ROUTES).expect("good"));
        let status = async |router: Router, path: &str| {
            let request = Request::get(path).header("authorization", format!("Bearer {batch}"));
            let request = request.body(Body::empty()).expect("a request");
            router.oneshot(request).await.expect("infallible").status()
        };
        let within = || router().layer(layer.clone());
        for (path, expected) in [
            ("/v1/jobs", StatusCode::OK),
            ("/v1/jobs/7", StatusCode::FORBIDDEN),
            ("/v1/jobs/7/audio", StatusCode::OK),
            ("/files/a/b", StatusCode::OK),
            ("/files/public.txt", StatusCode::OK),
            ("/v1/jobs/", StatusCode::FORBIDDEN),
            ("//v1/jobs", StatusCode::FORBIDDEN),
            ("/v1/jobs/../jobs", StatusCode::FORBIDDEN),
            ("/nothing", StatusCode::FORBIDDEN),
        ] {
            assert_eq!(status(within(), path).await, expected, "{path}");
            let nested = Router::new().nest("/api", within());
            let found = status(nested, &format!("/api{path}")).await;
            // What the inner router does not know, the outer one answers itself.
            assert!(found == expected || found == StatusCode::NOT_FOUND, "nested {path}: {found}");
            assert_eq!(found == StatusCode::OK, expected == StatusCode::OK, "nested {path}: {found}");
        }
        // Outside of the nest, the patterns would have to have the prefix: nothing is let through by mistake.
        let outside = Router::new().nest("/api", router()).layer(layer.clone());
        assert_eq!(status(outside, "/api/v1/jobs").await, StatusCode::FORBIDDEN);
    });
}
