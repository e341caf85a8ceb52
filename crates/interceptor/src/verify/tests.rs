//! Flights that never land.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;

use super::*;
use crate::Rule;
use crate::backend::{Backend, Source};
use crate::builder::start;
use crate::clock::Clock;
use crate::fake::World;
use crate::limits::Limits;
use crate::remote::{Credentials, Endpoint, Names, Remote};
use crate::scripted::script::{ROOMY, Script};
use crate::{FakeGatekey, TokenType};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_flight_that_can_not_begin_keeps_nobody_waiting() {
    let runtime = std::thread::spawn(|| {
        // Gone at once, as that of a thread that died.
        Builder::new_current_thread().build().expect("a runtime").handle().clone()
    });
    let backend = Backend::new(runtime.join().expect("no panic"), Source::Fake(World::default()));
    let shared = Arc::new(Shared::new(10, Clock::default(), Limits::new(1, None, SECOND, SECOND), backend));
    let asked = Asked { digest: Digest([1; 32]), checksum: 1 };
    for _ in ["once", "its place is free again"] {
        let verified = timeout(ROOMY, shared.verify(asked)).await.expect("in time");
        assert_eq!(verified.expect_err("nobody asked"), Refusal::Unverifiable);
        assert_eq!(shared.health().verifying, 0);
    }
}

#[tokio::test]
async fn a_flight_that_panics_keeps_nobody_waiting() {
    let script = Script::start().await;
    let remote = Remote::new(
        vec![Endpoint::parse(&format!("http://{}", script.address)).expect("good")],
        Credentials::given("a.jwt").expect("good"),
        Names::default(),
        #[cfg(feature = "tls")]
        None,
    );
    // More than the header of a call can say; the builder takes no such setting.
    let limits = Limits::new(1, None, Duration::MAX, SECOND);
    let gatekey = start(10, Clock::default(), limits, Source::Servers(Box::new(remote))).expect("threads");
    let value = FakeGatekey::start().token(TokenType::Batch).mint();
    for _ in ["once", "its place is free again"] {
        let verified = timeout(ROOMY, gatekey.verify(&value, Rule::Any)).await.expect("in time");
        assert_eq!(verified.expect_err("nobody answered"), Refusal::Unverifiable);
    }
}
