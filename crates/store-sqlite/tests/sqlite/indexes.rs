//! The statements that are run most use their indexes: read from SQLite's own plans.

use sqlx::{AssertSqlSafe, Row};

use crate::folder::Folder;

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_and_lists_use_their_indexes() {
    let folder = Folder::create();
    let store = folder.open().await;
    let pool = folder.pool();
    for (sql, uses) in [
        (
            include_str!("../../src/sql/find_by_digest.sql"),
            &["SEARCH token USING INDEX sqlite_autoindex_token_1", "SEARCH log USING INTEGER PRIMARY KEY"][..],
        ),
        (
            include_str!("../../src/sql/list_tokens.sql"),
            &["SEARCH token USING INDEX token_listing (tenant=? AND create_time<?)"],
        ),
        (
            include_str!("../../src/sql/replica_rows.sql"),
            &["SEARCH log USING INTEGER PRIMARY KEY", "SEARCH token USING INDEX token_revoked"],
        ),
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&pool).await.expect("explains");
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("\n");
        assert!(uses.iter().all(|used| plan.contains(used)), "{plan}");
        assert!(
            !plan.contains("SCAN token") && !plan.contains("SCAN log") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
    pool.close().await;
    store.close().await;
}
