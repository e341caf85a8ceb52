//! Memory: how much a cached token takes, and what one read of it costs when it is far away.

use std::hint::black_box;
use std::time::Instant;

use gatekey_interceptor::Rule;

use crate::table::Line;
use crate::world::World;

/// Memory of cached tokens, in bytes.
pub(crate) struct Held {
    tokens: usize,
    resident: usize,
    strings: usize,
}

impl Held {
    /// Caches a world's tokens. The world knows them already, so that what is added is the cache alone: the tokens, the
    /// map, the ring, and what the allocator makes of them.
    pub(crate) fn by(world: &World) -> Self {
        let before = resident();
        world.cache();
        let added = resident().saturating_sub(before);
        let headers = world.headers(0);
        let token = world.gatekey().check_cached(&headers, Rule::Any).expect("good").expect("cached");
        let strings = token.name().len() + token.key().len() + token.tenant().len();
        Self { tokens: world.count(), resident: added / world.count(), strings }
    }

    /// The line for the table.
    pub(crate) fn line(&self) -> Line {
        let Self { tokens, resident, strings } = self;
        let beyond = resident.saturating_sub(*strings);
        Line {
            what: format!("resident memory of a cached token, {tokens} of them, beyond its strings"),
            figure: format!("{beyond} bytes"),
            peer: format!("{resident} bytes in all, {strings} of them text"),
            ratio: None,
            goal: "≤ 200 bytes",
            met: Some(beyond <= 200),
        }
    }
}

/// Of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1_024
}

/// The nanoseconds of a read that depends on the one before, among so many places in random order. About as far away as a
/// cached token among as many, of which a check reads two or three, one after the other.
pub(crate) fn read(places: usize) -> f64 {
    /// As far apart as tokens are.
    const APART: usize = 256 / size_of::<u32>();
    const READS: u32 = 1_000_000;
    let mut order: Vec<usize> = (0..places).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut order);
    let mut next = vec![0_u32; places * APART];
    for (here, there) in order.iter().zip(order.iter().cycle().skip(1)) {
        next[here * APART] = u32::try_from(there * APART).expect("fewer than 2^32");
    }
    let mut at = 0;
    let mut run = || {
        let start = Instant::now();
        for _ in 0..READS {
            at = next[at as usize];
        }
        black_box(at);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
    };
    run();
    run()
}
