//! A replica over a real store and a clock that leaps, as that of a suspended machine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gatekey_core::{
    Call, Caller, Clock, CreateToken, DeleteToken, Error, Lease, Revocations, Role, Roles, Settings, Store,
    StoreError, SystemClock, Tokens, VerifyTarget, VerifyToken, boottime,
};
use gatekey_lease::Moment;
use gatekey_model::{TenantId, Timestamp, TokenName, TokenType, Validity, Verdict};
use gatekey_store_sqlite::{SqliteOptions, SqliteStore};

#[derive(Default)]
struct Leaping {
    nanos: AtomicU64,
}

impl Leaping {
    fn leap(&self, span: Duration) {
        self.nanos.fetch_add(u64::try_from(span.as_nanos()).expect("a short span"), Ordering::SeqCst);
    }
}

impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn moment(&self) -> Moment {
        boottime().plus(Duration::from_nanos(self.nanos.load(Ordering::SeqCst)))
    }
}

struct Replica {
    clock: Arc<Leaping>,
    revocations: Revocations,
    tokens: Tokens,
    call: Call,
    _folder: tempfile::TempDir,
}

/// The longest lease, so that none is renewed for long.
async fn replica() -> Replica {
    let folder = tempfile::TempDir::new().expect("a folder");
    let store = SqliteStore::open(SqliteOptions::new(folder.path().join("gatekey.db"))).await.expect("opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let clock = Arc::new(Leaping::default());
    let lease = Lease::from_seconds(120).expect("allowed");
    let revocations = Revocations::start(Arc::clone(&store), clock.clone(), lease).expect("random numbers");
    revocations.leased().await;
    let tokens = Tokens::new(store, clock.clone(), Settings::default(), revocations.clone());
    let caller = Caller {
        issuer: "test".to_owned(),
        subject: "ada".to_owned(),
        tenant: Some(TenantId::parse("acme").expect("valid")),
        roles: [Role::Developer, Role::Verifier].into_iter().collect::<Roles>(),
        expires: Timestamp::from_unix_micros(4_000_000_000_000_000).expect("a time"),
    };
    let call = Call { caller: Arc::new(caller), id: "test".into(), deadline: None };
    Replica { clock, revocations, tokens, call, _folder: folder }
}

impl Replica {
    async fn create(&self) -> gatekey_core::Created {
        let request = CreateToken {
            name: TokenName::parse("test").expect("valid"),
            kind: TokenType::Batch,
            validity: Validity::from_years(1).expect("valid"),
            request_id: None,
        };
        self.tokens.create(&self.call, Ok(request)).await.expect("a token")
    }

    async fn verify(&self, created: &gatekey_core::Created) -> Result<Verdict, Error> {
        let target = VerifyTarget::Digest(created.value.digest());
        let request = VerifyToken { target, required: None, holder: None };
        self.tokens.verify(&self.call, Ok(request)).await.map(|verification| verification.verdict)
    }
}

/// One thread: nothing else runs between the leap and the verification after it.
#[tokio::test]
async fn a_replica_that_slept_for_a_lease_answers_nothing_before_it_is_renewed() {
    let replica = replica().await;
    let created = replica.create().await;
    assert_eq!(replica.verify(&created).await.expect("an answer"), Verdict::Active);
    assert_eq!(replica.verify(&created).await.expect("an answer"), Verdict::Active);
    assert_eq!(replica.revocations.status().hits, 1, "the second came from memory");

    replica.clock.leap(Duration::from_mins(2));
    let refused = replica.verify(&created).await.expect_err("its lease is over");
    assert!(matches!(refused, Error::Store(StoreError::Unavailable(_))), "{refused:?}");
    assert!(!replica.revocations.status().leased);

    replica.revocations.leased().await;
    assert_eq!(replica.verify(&created).await.expect("an answer"), Verdict::Active);
}

#[tokio::test]
async fn a_hot_verification_does_not_ask_the_store_and_a_deleted_token_is_never_hot() {
    let replica = replica().await;
    let created = replica.create().await;
    for _ in 0..10 {
        assert_eq!(replica.verify(&created).await.expect("an answer"), Verdict::Active);
    }
    assert_eq!((replica.revocations.status().hits, replica.revocations.status().misses), (9, 1));
    let delete = DeleteToken { id: created.token.id };
    let receipt = replica.tokens.delete(&replica.call, Ok(delete)).await.expect("a receipt");
    assert_eq!((receipt.holders_confirmed, receipt.leases_waited_out), (0, 0));
    for _ in 0..10 {
        assert_eq!(replica.verify(&created).await.expect("an answer"), Verdict::Revoked);
    }
    let status = replica.revocations.status();
    assert_eq!((status.misses, status.hits), (2, 18), "that it is revoked is kept in memory too");
    assert_eq!(status.applied, Some(receipt.revision));
    assert_eq!((status.deletes_by_acks, status.deletes_by_time, status.behind), (1, 0, 0));
}

#[tokio::test]
async fn a_replica_that_has_left_answers_nothing() {
    let replica = replica().await;
    let created = replica.create().await;
    replica.revocations.leave().await;
    assert!(replica.verify(&created).await.is_err());
}
