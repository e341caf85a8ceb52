//! The log is trimmed by one at a time, and nobody waits for their turn.

use gatekey_core::{RevocationLog, Trim, Trimmed};
use gatekey_lease::Seq;
use gatekey_model::Timestamp;

use crate::database::{Database, create, revoke};

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_another_trimming_leaves_it_to_them() {
    let (database, store) = Database::migrated().await;
    for _ in 0..3 {
        let token = create(&store).await;
        revoke(&store, &token).await.expect("revoked");
    }
    let before = Timestamp::from_unix_micros(4_000_000_000_000_000).expect("a moment");
    let trim = Trim { before, keep: 1, limit: 10, from: Seq::GENESIS };
    let mut other = database.connection().await;
    // "gatekey" in ASCII, and 1.
    let key = i64::from_be_bytes(*b"gatekey\x01");
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(&mut other).await.expect("it is free");
    let none = Trimmed { count: 0, last: None };
    assert_eq!(store.trim_log(trim).await.expect("an answer at once"), none);
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(key).execute(&mut other).await.expect("it is held");
    let trimmed = store.trim_log(trim).await.expect("an answer");
    assert_eq!(trimmed, Trimmed { count: 3, last: Seq::new(2) });
    drop(other);
    store.close().await;
    database.drop().await;
}
