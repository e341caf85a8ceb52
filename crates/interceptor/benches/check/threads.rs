//! How much more two threads check than one, beside how much more they do of something that shares nothing.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use fastrand::Rng;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::table::{Line, median};
use crate::world::World;
use crate::{TEXT, check};

const ROUNDS: usize = 41;
/// Each thread's own, made in the order in which they are read, so that the tokens are far away and the headers less so.
const REQUESTS: usize = 50_000;
const HASHES: usize = 500_000;

/// Medians over the rounds.
pub(crate) struct Gains {
    check: f64,
    sha256: f64,
    ratio: f64,
}

impl Gains {
    /// In turn, so that what else the machine does meets all alike.
    pub(crate) fn measure(world: &World) -> Self {
        let gatekey = world.gatekey();
        let mut rng = Rng::with_seed(2);
        let requests: [Vec<HeaderMap>; 2] = std::array::from_fn(|_| {
            (0..REQUESTS).map(|_| world.headers(rng.usize(..world.count()))).collect()
        });
        let checks_of = |thread: usize| {
            for headers in &requests[thread] {
                check(&gatekey, headers);
            }
            REQUESTS
        };
        let hash = |_| {
            for _ in 0..HASHES {
                black_box(Sha256::digest(black_box(TEXT)));
            }
            HASHES
        };
        let (mut checks, mut hashes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let hashing = gain(&hash);
            let checking = gain(&checks_of);
            checks.push(checking);
            hashes.push(hashing);
            ratios.push(checking / hashing);
        }
        Self { check: median(checks), sha256: median(hashes), ratio: median(ratios) }
    }

    /// The line for the table.
    pub(crate) fn line(&self) -> Line {
        let Self { check, sha256, ratio } = self;
        Line {
            what: "check, random of 100000, two threads beside one".to_owned(),
            figure: format!("{check:.2} times as many"),
            peer: format!("a bare SHA-256 loop {sha256:.2} times"),
            ratio: Some(*ratio),
            goal: "≥ 0.95",
            met: Some(*ratio >= 0.95),
        }
    }
}

/// What two threads do in a time, by what one does.
fn gain(work: &(impl Fn(usize) -> usize + Sync)) -> f64 {
    let one = rate(1, work);
    rate(2, work) / one
}

/// Of all threads in a second, each by its own time.
fn rate(threads: usize, work: &(impl Fn(usize) -> usize + Sync)) -> f64 {
    let barrier = Barrier::new(threads);
    let run = |thread| {
        barrier.wait();
        let start = Instant::now();
        let done = work(thread);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let done = done as f64;
        done / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().expect("it ends")).sum()
    })
}
