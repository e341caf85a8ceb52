//! A hit of the local check touches no allocator: it neither allocates nor frees, but for a thread's very first.

use allocation_counter::{AllocationInfo, measure};
use gatekey_interceptor::{Access, FakeGatekey, Gatekey, Refusal, Rule, TokenType};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};

/// Enough that some stand in each other's way.
const TOKENS: usize = 5_000;

fn bearer(value: &str) -> HeaderMap {
    let header = HeaderValue::from_str(&format!("Bearer {value}")).expect("ASCII");
    HeaderMap::from_iter([(AUTHORIZATION, header)])
}

/// `count_current` is what was allocated less what was freed: both are nothing if nothing was allocated at all.
fn assert_untouched(AllocationInfo { count_total, count_current, .. }: AllocationInfo, what: &str) {
    assert_eq!((count_total, count_current), (0, 0), "{what}: allocations, and allocations less frees");
}

/// Looks a cached token up, and drops it.
fn hit(gatekey: &Gatekey, headers: &HeaderMap) {
    let token = gatekey.check_cached(headers, Rule::Any);
    assert!(token.is_ok_and(|token| token.is_some_and(|token| token.is_from_cache())));
}

/// Verified by the fake's server: cached from now on.
async fn cached(fake: &FakeGatekey) -> HeaderMap {
    let value = fake.token(TokenType::Realtime).mint();
    let token = fake.gatekey().verify(&value, Rule::Any).await.expect("a good token");
    assert!(!token.is_from_cache(), "it was not known before");
    bearer(&value)
}

#[tokio::test]
async fn a_hit_allocates_nothing() {
    let fake = FakeGatekey::with_capacity(2 * TOKENS);
    let gatekey = fake.gatekey();
    hit(&gatekey, &cached(&fake).await);
    let mut all = Vec::new();
    for count in 1..=TOKENS {
        let headers = cached(&fake).await;
        assert_untouched(
            measure(|| hit(&gatekey, &headers)),
            &format!("the first look-up after insertion {count}"),
        );
        all.push(headers);
    }
    assert_untouched(measure(|| all.iter().for_each(|headers| hit(&gatekey, headers))), "all of them again");
}

#[tokio::test]
async fn a_hit_of_the_other_type_allocates_nothing() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let headers = cached(&fake).await;
    hit(&gatekey, &headers);
    let check = || {
        let refusal = gatekey.check_cached(&headers, Rule::Batch).expect_err("of the other type");
        assert_eq!(refusal, Refusal::WrongType(TokenType::Batch));
    };
    assert_untouched(measure(check), "a realtime token where a batch token is required");
}

#[test]
fn the_rule_of_a_plain_path_allocates_nothing() {
    let rows = [("/v1/jobs/{id}/audio", Rule::Realtime), ("/files/{*path}", Rule::Batch)];
    let access = Access::routes(rows).expect("good");
    for (path, rule) in [("/v1/jobs/7/audio", Rule::Realtime), ("/files/a/b.txt", Rule::Batch)] {
        let found = || assert_eq!(access.rule(&Method::GET, path), Ok(rule));
        assert_untouched(measure(found), path);
    }
}

#[tokio::test]
async fn what_is_no_token_allocates_nothing() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let value = fake.token(TokenType::Batch).mint();
    let cases = [
        ("no header", HeaderMap::new(), Refusal::Missing),
        (
            "another scheme",
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic abc"))]),
            Refusal::Missing,
        ),
        ("cut off", bearer(&value[..value.len() - 1]), Refusal::Invalid),
        ("in other letters", bearer(&value.to_uppercase()), Refusal::Invalid),
        ("something else", bearer("abc"), Refusal::Invalid),
    ];
    for (what, headers, refusal) in cases {
        let check = || assert_eq!(gatekey.check_cached(&headers, Rule::Any).expect_err("refused"), refusal);
        assert_untouched(measure(check), what);
    }
}

/// Once in a thread's life `arc-swap` makes a record for it, or takes one of a thread that has ended.
#[tokio::test]
async fn only_the_first_hit_of_a_thread_may_allocate() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let headers = cached(&fake).await;
    let look = || {
        let first = measure(|| hit(&gatekey, &headers));
        assert!(first.count_total <= 1, "{first:?}");
        assert_untouched(measure(|| hit(&gatekey, &headers)), "a thread's second look-up");
    };
    std::thread::scope(|scope| scope.spawn(look).join().expect("no panic"));
}

/// So that the other tests show anything.
#[test]
fn what_allocates_is_counted() {
    let info = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!((info.count_total, info.count_current), (1, 0));
    let boxed = Box::new(1);
    assert_eq!(measure(|| drop(std::hint::black_box(boxed))).count_current, -1);
}
