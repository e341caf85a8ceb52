//! A Gatekey for the tests of a service: no server, no network, and the very same checks, cache and guards.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gatekey_lease::Digest;
use gatekey_model::{PresentedToken, TokenPrefix, TokenType, TokenValue};
use gatekey_proto::v1;

use crate::Gatekey;
use crate::backend::Source;
use crate::builder::start;
use crate::clock::Clock;
use crate::limits::Limits;

mod world;

use world::Made;
pub(crate) use world::World;

/// More than a test has; a large cache takes its time to go.
const TOKENS: usize = 4_096;
const YEAR: Duration = Duration::from_hours(24 * 365);

/// Stands in for Gatekey in a test of a service that uses this crate.
///
/// ```
/// use gatekey_interceptor::{FakeGatekey, Refusal, Rule, TokenType};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let fake = FakeGatekey::start();
/// let token = fake.token(TokenType::Batch).tenant("acme").mint();
///
/// // Give `fake.gatekey()` to the service where it takes the real one.
/// let gatekey = fake.gatekey();
/// assert_eq!(gatekey.verify(&token, Rule::Batch).await.unwrap().tenant(), "acme");
/// assert_eq!(gatekey.verify(&token, Rule::Realtime).await.unwrap_err(), Refusal::WrongType(TokenType::Realtime));
///
/// fake.revoke(&token);
/// assert_eq!(gatekey.verify(&token, Rule::Batch).await.unwrap_err(), Refusal::Invalid);
///
/// let another = fake.token(TokenType::Batch).mint();
/// fake.outage(true);
/// assert_eq!(gatekey.verify(&another, Rule::Batch).await.unwrap_err(), Refusal::Unverifiable);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FakeGatekey {
    gatekey: Gatekey,
    clock: Clock,
}

/// A token to be made: see [`FakeGatekey::token`].
#[derive(Debug)]
#[must_use]
pub struct FakeToken<'a> {
    fake: &'a FakeGatekey,
    kind: TokenType,
    name: String,
    tenant: String,
    expires_in: Duration,
}

impl FakeGatekey {
    /// One without tokens, and with a lease. Its cache holds 4,096.
    ///
    /// # Panics
    /// If the operating system gives no threads.
    #[must_use]
    pub fn start() -> Self {
        Self::with_capacity(TOKENS)
    }

    /// One whose cache holds so many tokens.
    ///
    /// # Panics
    /// If the operating system gives no threads.
    #[must_use]
    pub fn with_capacity(tokens: usize) -> Self {
        Self::with(tokens, None)
    }

    /// One that refuses more verifications a second than these.
    ///
    /// # Panics
    /// If the operating system gives no threads.
    #[must_use]
    pub fn limited(verifications_per_second: NonZeroU32) -> Self {
        Self::with(TOKENS, Some(verifications_per_second))
    }

    fn with(capacity: usize, rate: Option<NonZeroU32>) -> Self {
        let limits = Limits::new(1_024, rate, Duration::from_secs(1), Duration::from_mins(1));
        let clock = Clock::default();
        let started = start(capacity, clock.clone(), limits, Source::Fake(World::default()));
        let fake = Self { gatekey: started.expect("threads can be started"), clock };
        fake.world().begin(fake.gatekey.shared());
        fake
    }

    /// What a service takes for the real one.
    #[must_use]
    pub fn gatekey(&self) -> Gatekey {
        self.gatekey.clone()
    }

    /// A token of this type; [`FakeToken::mint`] makes it.
    pub fn token(&self, kind: TokenType) -> FakeToken<'_> {
        FakeToken {
            fake: self,
            kind,
            name: "a token".to_owned(),
            tenant: "acme".to_owned(),
            expires_in: YEAR,
        }
    }

    /// The id of a token.
    ///
    /// # Panics
    /// If it is none of this fake's.
    #[must_use]
    pub fn id_of(&self, value: &str) -> i64 {
        let told = self.world().told();
        told.tokens.get(&digest(value)).expect("a token that this fake made").token.id
    }

    /// Revokes a token. When this returns it is accepted no more, and streams under it have been told.
    ///
    /// # Panics
    /// If it is none of this fake's.
    pub fn revoke(&self, value: &str) {
        let digest = digest(value);
        let mut told = self.world().told();
        let made = told.tokens.get_mut(&digest).expect("a token that this fake made");
        made.revoked = true;
        if self.world().out.load(Ordering::SeqCst) {
            told.untold.push(digest);
        } else {
            drop(told);
            self.world().tell(vec![digest], self.gatekey.shared());
        }
    }

    /// Begins or ends an outage: no lease, and no server answers. What was revoked meanwhile is told at its end.
    pub fn outage(&self, begins: bool) {
        self.world().outage(begins, self.gatekey.shared());
    }

    /// Lets so much time go by, for expiry and for grace.
    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
        self.gatekey.shared().tick();
    }

    fn world(&self) -> &World {
        self.gatekey.shared().backend.world().expect("made with one")
    }
}

impl FakeToken<'_> {
    /// Called this.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Of this organisation.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Good for so long; a year unless it is set.
    pub fn expires_in(mut self, span: Duration) -> Self {
        self.expires_in = span;
        self
    }

    /// Makes it, and gives its value.
    ///
    /// # Panics
    /// If the operating system gives no random numbers.
    #[must_use]
    pub fn mint(self) -> String {
        let Self { fake, kind, name, tenant, expires_in } = self;
        let value = TokenValue::generate(&TokenPrefix::default(), kind).expect("random numbers");
        let expires = fake.clock.wall().0 + i64::try_from(expires_in.as_micros()).unwrap_or(i64::MAX / 2);
        let nanos = i32::try_from(expires.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
        let mut told = fake.world().told();
        let token = v1::Token {
            id: i64::try_from(told.tokens.len()).unwrap_or(i64::MAX - 1) + 1,
            name,
            key: value.key().as_str().to_owned(),
            r#type: match kind {
                TokenType::Batch => v1::TokenType::Batch,
                TokenType::Realtime => v1::TokenType::Realtime,
            }
            .into(),
            expire_time: Some(prost_types::Timestamp { seconds: expires.div_euclid(1_000_000), nanos }),
            tenant,
            ..Default::default()
        };
        let made = Made { token, expires, revoked: false, now: fake.clock.clone() };
        told.tokens.insert(digest(value.expose()), made);
        value.expose().to_owned()
    }
}

fn digest(value: &str) -> Digest {
    let presented = PresentedToken::parse(value).expect("a token that this fake made");
    Digest(*presented.digest().as_bytes())
}
