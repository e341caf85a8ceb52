//! The local check of a cached token beside what a service would do instead: verify a JWT. After criterion's own output
//! comes one table: what, figure, the peer beside it, the ratio, the goal.
//!
//! `cargo bench -p gatekey-interceptor --all-features`

mod jwt;
mod memory;
mod table;
mod threads;
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use gatekey_interceptor::{Gatekey, Rule};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use crate::jwt::Jwt;
use crate::memory::Held;
use crate::table::{Line, median, print};
use crate::threads::Gains;
use crate::world::{Requests, World};

const FEW: usize = 1_000;
const SOME: usize = 100_000;
const MANY: usize = 1_000_000;
const SAMPLES: usize = 50;
/// Of comparisons with a JWT: each so many checks, and JWTs for about as long.
const ROUNDS: usize = 41;
const CHECKS: u32 = 8_192;
/// As long as a token value.
const TEXT: &[u8; 49] = b"gk_b_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab2H8wya";

/// Nanoseconds, medians over the samples of criterion.
struct Figures {
    header: f64,
    few: f64,
    some: f64,
    many: f64,
    hot: f64,
    hs256: f64,
    eddsa: f64,
    sha256: f64,
    /// How many times as long as a check.
    hs256_by_check: f64,
    eddsa_by_check: f64,
}

fn main() {
    // `cargo test` runs benchmarks too, to see whether they work; there is no use in filling caches for that.
    if !std::env::args().any(|argument| argument == "--bench") {
        eprintln!("run it by cargo bench");
        return;
    }
    eprintln!("filling caches with {MANY}, {SOME} and {FEW} tokens");
    let many = World::mint(MANY);
    let held = Held::by(&many);
    let some = World::mint(SOME);
    some.cache();
    let few = World::mint(FEW);
    few.cache();
    let figures = figures([&few, &some, &many]);
    eprintln!("one thread and two");
    let gains = Gains::measure(&some);
    if let Some(figures) = figures {
        print(&lines(&figures, &gains, &held));
    }
}

/// Nothing unless all were measured.
fn figures([few, some, many]: [&World; 3]) -> Option<Figures> {
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let [hs256, eddsa] = [Jwt::hs256(), Jwt::eddsa()];
    let figures = Figures {
        header: of_requests(&mut criterion, "reading a random header", &mut some.requests(), |headers| {
            let bytes = headers.get(AUTHORIZATION).expect("there").as_bytes();
            black_box(bytes.iter().fold(0, |sum, byte| sum ^ byte));
        })?,
        few: of_checks(&mut criterion, "check, random of 1,000", few.requests())?,
        some: of_checks(&mut criterion, "check, random of 100,000", some.requests())?,
        many: of_checks(&mut criterion, "check, random of 1,000,000", many.requests())?,
        hot: of_checks(&mut criterion, "check, one hot token of 100,000", some.one_request())?,
        hs256: of_loop(&mut criterion, "jsonwebtoken HS256", || hs256.verify())?,
        eddsa: of_loop(&mut criterion, "jsonwebtoken EdDSA", || eddsa.verify())?,
        sha256: of_loop(&mut criterion, "SHA-256 of 49 bytes", || {
            black_box(Sha256::digest(black_box(TEXT)));
        })?,
        hs256_by_check: times_faster(some.requests(), &hs256, 2_000),
        eddsa_by_check: times_faster(some.requests(), &eddsa, 60),
    };
    criterion.final_summary();
    Some(figures)
}

/// Header to token, and the token is dropped.
fn check(gatekey: &Gatekey, headers: &HeaderMap) {
    let token = gatekey.check_cached(headers, Rule::Any);
    assert!(black_box(token).is_ok_and(|token| token.is_some()), "a hit");
}

fn of_checks(criterion: &mut Criterion, what: &str, mut requests: Requests<'_>) -> Option<f64> {
    let gatekey = requests.gatekey();
    of_requests(criterion, what, &mut requests, |headers| check(&gatekey, headers))
}

fn of_requests(
    criterion: &mut Criterion,
    what: &str,
    requests: &mut Requests<'_>,
    work: impl Fn(&HeaderMap),
) -> Option<f64> {
    measured(criterion, what, |times| timed_requests(requests, times, &work))
}

fn of_loop(criterion: &mut Criterion, what: &str, work: impl Fn()) -> Option<f64> {
    measured(criterion, what, |times| timed(times, &work))
}

fn timed_requests(requests: &mut Requests<'_>, times: u64, work: impl Fn(&HeaderMap)) -> Duration {
    let (mut left, mut took) = (times, Duration::ZERO);
    while left > 0 {
        // Like a request that was just parsed: its header is in the processor's cache, its token need not be.
        let batch = requests.next(left);
        let start = Instant::now();
        batch.iter().for_each(&work);
        took += start.elapsed();
        left -= batch.len() as u64;
    }
    took
}

fn timed(times: u64, work: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    start.elapsed()
}

/// How many times as long the JWT takes: in turn, so that what else the machine does meets both alike.
fn times_faster(mut requests: Requests<'_>, jwt: &Jwt, jwts: u32) -> f64 {
    let gatekey = requests.gatekey();
    let mut round = || {
        let one = timed_requests(&mut requests, CHECKS.into(), |headers| check(&gatekey, headers))
            .div_f64(CHECKS.into());
        timed(jwts.into(), || jwt.verify()).div_f64(jwts.into()).div_duration_f64(one)
    };
    median((0..ROUNDS).map(|_| round()).collect())
}

/// The median over the very samples that criterion takes. Nothing if it was told to leave this one out.
fn measured(criterion: &mut Criterion, what: &str, mut run: impl FnMut(u64) -> Duration) -> Option<f64> {
    let mut samples = Vec::new();
    criterion.bench_function(what, |bencher| {
        bencher.iter_custom(|times| {
            let took = run(times);
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
            samples.push(took.as_secs_f64() * 1e9 / times as f64);
            took
        });
    });
    // What came before is the warm-up.
    let measured = samples.split_off(samples.len().saturating_sub(SAMPLES));
    (!measured.is_empty()).then(|| median(measured))
}

fn lines(figures: &Figures, gains: &Gains, held: &Held) -> Vec<Line> {
    let Figures { header, few, some, many, hot, hs256, eddsa, sha256, hs256_by_check, eddsa_by_check } =
        *figures;
    let check = |tokens: &str, figure: f64, peer: String, ratio| Line {
        what: format!("check, header to `VerifiedToken`, {tokens}"),
        figure: nanos(figure),
        peer,
        ratio,
        goal: "",
        met: None,
    };
    let missed = |world: &str, tokens| {
        format!("{world}; a dependent read of {tokens} × 256 bytes {}", nanos(memory::read(tokens)))
    };
    let header = format!("of it reading a random header {}", nanos(header));
    let faster = |than: &str, peer: f64, ratio: f64, goal, least: f64| Line {
        what: format!("check, random of {SOME}, beside {than}"),
        figure: nanos(some),
        peer: format!("jsonwebtoken {than} {}", nanos(peer)),
        ratio: Some(ratio),
        goal,
        met: Some(ratio >= least),
    };
    vec![
        check(&format!("random of {FEW}"), few, missed(&header, FEW), None),
        Line {
            goal: "≤ 200 ns",
            met: Some(some <= 200.0),
            ..check(&format!("random of {SOME}"), some, missed(&header, SOME), None)
        },
        check(&format!("random of {MANY}"), many, missed(&header, MANY), None),
        check(
            &format!("one hot token of {SOME}"),
            hot,
            format!("bare SHA-256 of 49 bytes {}", nanos(sha256)),
            Some(hot / sha256),
        ),
        faster("HS256", hs256, hs256_by_check, "≥ 5", 5.0),
        faster("EdDSA", eddsa, eddsa_by_check, "≥ 150", 150.0),
        Line {
            what: "allocations of a check".to_owned(),
            figure: "counted by `tests/allocations.rs`".to_owned(),
            peer: String::new(),
            ratio: None,
            goal: "0",
            met: None,
        },
        gains.line(),
        held.line(),
    ]
}

fn nanos(figure: f64) -> String {
    format!("{figure:.0} ns")
}
