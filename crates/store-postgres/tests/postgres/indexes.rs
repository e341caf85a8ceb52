//! The statements that are run most use their indexes: read from Postgres's own plans, for any
//! parameters and for these.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::database::Database;

const FILL: &str = "
    INSERT INTO tenant (id, live_tokens) SELECT 'tenant ' || n, 100 FROM generate_series(1, 200) AS n;
    INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time)
    SELECT 'tenant ' || (n % 200 + 1), 'name', 'gk_b_00000000', 'batch', sha256(n::text::bytea), 'ada', 'issuer',
           now() - n * interval '1 minute', now() + interval '1 year'
    FROM generate_series(1, 20000) AS n;
    WITH old AS (
        UPDATE token SET revoked_seq = id, revoked_nonce = id WHERE id % 3 = 0 RETURNING id, digest
    )
    INSERT INTO revocation_log (seq, nonce, kind, digest, log_time)
    SELECT id, id, 'revoke', digest, now() FROM old;
    ANALYZE;";

async fn plan(connection: &mut PgConnection, explain: String) -> String {
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(connection)
        .await
        .expect("explains");
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_and_lists_use_their_indexes() {
    let (database, store) = Database::migrated().await;
    let mut connection = database.connection().await;
    sqlx::raw_sql(FILL).execute(&mut connection).await.expect("fills");
    for (name, parameters, sql) in [
        ("find", "bytea, bigint, bigint", include_str!("../../src/sql/find_by_digest.sql")),
        ("rows", "bigint[], bigint[]", include_str!("../../src/sql/replica_rows.sql")),
        ("trimmed", "bigint[], bigint[]", include_str!("../../src/sql/trimmed.sql")),
        ("list", "text, timestamptz, bigint, bigint", include_str!("../../src/sql/list_tokens.sql")),
    ] {
        let prepare = format!("PREPARE {name} ({parameters}) AS {sql}");
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.expect("prepares");
    }
    for mode in ["force_generic_plan", "force_custom_plan"] {
        sqlx::query("SELECT set_config('plan_cache_mode', $1, false)")
            .bind(mode)
            .execute(&mut connection)
            .await
            .expect("sets");
        let find = plan(&mut connection, r"EXPLAIN EXECUTE find(sha256('7'), 3, 3)".to_owned()).await;
        assert!(find.contains("token_digest_key"), "{mode}: {find}");
        assert!(find.contains("revocation_log_pkey"), "{mode}: {find}");
        assert!(!find.contains("Seq Scan on token"), "{mode}: {find}");
        let rows = plan(&mut connection, "EXPLAIN EXECUTE rows('{3, 6}', '{3, 6}')".to_owned()).await;
        assert_eq!(rows.matches("revocation_log_pkey").count(), 2, "{mode}: {rows}");
        assert!(!rows.contains("Seq Scan on revocation_log"), "{mode}: {rows}");
        let trimmed = plan(&mut connection, "EXPLAIN EXECUTE trimmed('{3, 6}', '{3, 6}')".to_owned()).await;
        assert!(trimmed.contains("revocation_log_pkey"), "{mode}: {trimmed}");
        assert!(trimmed.contains("token_revoked"), "{mode}: {trimmed}");
        assert!(!trimmed.contains("Seq Scan on"), "{mode}: {trimmed}");
        for cursor in ["NULL, NULL", "now() - interval '1 day', 5"] {
            let list = plan(&mut connection, format!("EXPLAIN EXECUTE list('tenant 7', {cursor}, 26)")).await;
            assert!(list.contains("Index Scan using token_listing"), "{mode}: {list}");
            assert!(!list.contains("Sort"), "{mode}: {list}");
            assert!(!list.contains("Filter"), "the cursor is part of the index's condition: {mode}: {list}");
        }
    }
    store.close().await;
    database.drop().await;
}
