//! A fake Gatekey with many tokens, and requests that bear them.

use fastrand::Rng;
use gatekey_interceptor::{FakeGatekey, Gatekey, Rule, TokenType};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Builder;

/// How many requests are made between two measurements: their headers fit into the cache of one core.
const BATCH: u64 = 256;
/// The length of a value with the prefix `gk`.
const VALUE: usize = 49;

/// A fake and its tokens.
pub(crate) struct World {
    fake: FakeGatekey,
    /// The values, one after the other: as little memory as can be goes by while headers are made.
    values: String,
    count: usize,
}

/// Requests with tokens of a world, a batch at a time.
pub(crate) struct Requests<'a> {
    world: &'a World,
    rng: Rng,
    /// Instead of a random token.
    only: Option<usize>,
    batch: Vec<HeaderMap>,
}

impl World {
    /// A world with so many tokens, none of them cached.
    pub(crate) fn mint(count: usize) -> Self {
        let fake = FakeGatekey::with_capacity(count.max(100_000));
        let mut values = String::with_capacity(count * VALUE);
        for _ in 0..count {
            values.push_str(&fake.token(TokenType::Realtime).mint());
        }
        Self { fake, values, count }
    }

    /// Has each verified, and so cached.
    pub(crate) fn cache(&self) {
        let gatekey = self.gatekey();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for token in 0..self.count {
                gatekey.verify(self.value(token), Rule::Any).await.expect("a good token");
            }
        });
        assert_eq!(gatekey.health().cached_tokens, self.count);
    }

    pub(crate) fn gatekey(&self) -> Gatekey {
        self.fake.gatekey()
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Each with a random token.
    pub(crate) fn requests(&self) -> Requests<'_> {
        Requests { world: self, rng: Rng::with_seed(1), only: None, batch: Vec::new() }
    }

    /// All with the same token.
    pub(crate) fn one_request(&self) -> Requests<'_> {
        Requests { only: Some(self.count / 2), ..self.requests() }
    }

    /// The headers of a request with this token.
    pub(crate) fn headers(&self, token: usize) -> HeaderMap {
        let value = HeaderValue::try_from(format!("Bearer {}", self.value(token))).expect("ASCII");
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    fn value(&self, token: usize) -> &str {
        &self.values[token * VALUE..(token + 1) * VALUE]
    }
}

impl Requests<'_> {
    pub(crate) fn gatekey(&self) -> Gatekey {
        self.world.gatekey()
    }

    /// New ones: as many as these, or fewer.
    pub(crate) fn next(&mut self, at_most: u64) -> &[HeaderMap] {
        let Self { world, rng, only, batch } = self;
        batch.clear();
        for _ in 0..at_most.min(BATCH) {
            batch.push(world.headers(only.unwrap_or_else(|| rng.usize(..world.count))));
        }
        batch
    }
}
