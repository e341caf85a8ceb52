//! `gatekey backup`: a copy that is not made leaves nothing behind. What a whole one is good for, `incident_restore.rs` shows.

use gatekey_e2e::{Running, command};
use tempfile::TempDir;

/// Nobody reads it, so that it is still under way, and its temporary file is gone already.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_to_standard_output_that_is_interrupted_leaves_nothing() {
    let folder = TempDir::new().expect("a folder");
    let data = ["--data-dir", folder.path().to_str().expect("text")];
    assert!(command([&["migrate"], &data[..]].concat(), "").well().out.contains("up to date now"));
    let url = format!("sqlite://{}", folder.path().join("gatekey.db").display());
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("it opens");
    // More than a pipe takes.
    sqlx::query("CREATE TABLE ballast AS SELECT zeroblob(4000000)")
        .execute(&mut connection)
        .await
        .expect("it is made");
    sqlx::Connection::close(connection).await.expect("it closes");
    tokio::task::block_in_place(|| {
        let mut running = Running::start([&["backup", "-"], &data[..]].concat(), "");
        running.wait_for("checked, go to standard output");
        running.signal("TERM");
        running.wait_for("interrupted: no backup was made");
        running.close_output();
        assert_eq!(running.end().code, Some(1));
        let mut running = Running::start([&["backup", "-"], &data[..]].concat(), "");
        running.close_output();
        let said = running.end();
        assert!(said.code == Some(1) && said.err.contains("no backup was made: standard output"), "{said:?}");
    });
    let names =
        std::fs::read_dir(folder.path()).expect("the folder").map(|file| file.expect("a file").file_name());
    let drafts: Vec<_> = names.filter(|name| name.to_string_lossy().contains("partial")).collect();
    assert!(drafts.is_empty(), "{drafts:?}");
}
