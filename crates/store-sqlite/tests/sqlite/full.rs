//! A store that has no room left.

use std::time::Duration;

use gatekey_core::{LeaseStore, NewToken, RevocationLog, StoreError, TokenStore};
use gatekey_lease::ReplicaId;
use gatekey_model::Token;
use gatekey_store_sqlite::{SqliteOptions, SqliteStore};

use crate::folder::{Folder, acme, create, new_token, revoke};

const LEASE: Duration = Duration::from_secs(10);

async fn open(folder: &Folder, pages: u32) -> SqliteStore {
    let options = SqliteOptions { max_page_count: Some(pages), ..SqliteOptions::new(folder.file()) };
    SqliteStore::open(options).await.expect("opens")
}

/// Creates until there is no room.
async fn fill(store: &SqliteStore) -> Vec<Token> {
    let mut tokens = Vec::new();
    loop {
        match create(store).await {
            Ok(token) => tokens.push(token),
            Err(StoreError::Full(_)) => return tokens,
            Err(other) => panic!("neither created nor full: {other:?}"),
        }
    }
}

/// It says so, each time; nothing is half-written; what exists can be read; with room again it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_says_so_and_keeps_what_it_has() {
    let folder = Folder::create();
    let store = open(&folder, 60).await;
    let mut line = store.open_line().await.expect("a line");
    line.commit_row(ReplicaId(7), 1, LEASE).await.expect("there is room");
    let tokens = fill(&store).await;
    assert!(tokens.len() > 10, "{}", tokens.len());
    for _ in 0..3 {
        let long = NewToken {
            act: gatekey_core::Act { call_id: "x".repeat(5_000), ..new_token().act },
            ..new_token()
        };
        assert!(matches!(store.insert_token(long).await, Err(StoreError::Full(_))));
    }
    // The lease goes on.
    assert!(!line.commit_row(ReplicaId(7), 2, LEASE).await.expect("an answer"));
    line.head().await.expect("an answer");
    // A revocation may still fit into the last pages, or not: then it says so as well.
    let mut live: Vec<Token> = tokens.clone();
    let mut revoked = 0;
    for token in &tokens {
        match revoke(&store, token).await {
            Ok(_) => {
                live.retain(|other| other != token);
                revoked += 1;
            }
            Err(StoreError::Full(_)) => {}
            Err(other) => panic!("neither revoked nor full: {other:?}"),
        }
    }
    assert!(revoked < tokens.len(), "it never was full");
    assert_eq!(store.head().await.expect("an answer").seq.get(), i64::try_from(revoked).expect("small"));
    live.reverse();
    assert_eq!(store.list_tokens(&acme(), None, 1_000).await.expect("an answer"), live);
    store.close().await;

    let pool = folder.pool();
    let (counted, created, deleted): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT live_tokens FROM tenant),
                (SELECT count(*) FROM audit_log WHERE action = 'create'),
                (SELECT count(*) FROM audit_log WHERE action = 'delete')",
    )
    .fetch_one(&pool)
    .await
    .expect("reads");
    pool.close().await;
    let lengths = [live.len(), tokens.len(), revoked].map(|length| i64::try_from(length).expect("small"));
    assert_eq!([counted, created, deleted], lengths);

    let store = open(&folder, 1_000).await;
    create(&store).await.expect("there is room again");
    store.close().await;
}
