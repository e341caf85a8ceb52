//! `gatekey revoke` on a store in which looking for tokens takes longer than a call may: no index helps to find those of a creator.

use gatekey_e2e::{Database, command};

const ONE: &str = "INSERT INTO tenant (id, live_tokens) VALUES ('acme', 1);
    INSERT INTO token (tenant, name, key, type, digest, creator, creator_issuer, create_time, expire_time)
    VALUES ('acme', 'one of many', 'gk_b_00000000', 'batch', sha256('any'), 'ada', 'dev', now(), now() + interval '1 year');";

/// Reading takes longer than a call may.
const SLOW: &str = "ALTER TABLE token RENAME TO all_tokens;
    CREATE VIEW token AS SELECT all_tokens.* FROM all_tokens, pg_sleep(6);";

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_that_takes_long_is_waited_for() {
    let database = Database::new().await;
    database.migrate();
    database.execute(ONE).await;
    database.execute(SLOW).await;
    let args = ["revoke", "--database-url", &database.url, "--creator", "ada", "--dry-run", "--json"];
    let said = command(args, "");
    let summary = said.lines().pop().expect("a summary");
    assert_eq!(summary["would_revoke"], 1, "{said:?}");
}
