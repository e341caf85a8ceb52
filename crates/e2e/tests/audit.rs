//! Refusals over HTTP that come before the use case, and what the audit log has of them.

use gatekey_e2e::{Start, dev_token};
use reqwest::{Client, RequestBuilder};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

const BODY: &str = r#"{"name":"a","type":"batch","years_valid":1}"#;

async fn refused(request: RequestBuilder, status: u16) {
    assert_eq!(request.send().await.expect("the server is there").status(), status);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_other_sites_are_audited_and_what_cannot_be_read_is_not() {
    let folder = TempDir::new().expect("a folder");
    let server = Start::in_folder(folder.path()).start();
    let jwt = dev_token(folder.path(), &["--role", "developer", "--tenant", "acme"]);
    // Each on a connection of its own: it is closed with what was not read.
    let http = Client::builder().pool_max_idle_per_host(0).build().expect("a client");
    let tokens = format!("http://{}/api/v3/tokens", server.http);
    let create = |kind: &str| http.post(&tokens).bearer_auth(&jwt).header("content-type", kind);
    let delete = |id: &str| http.delete(format!("{tokens}/{id}")).bearer_auth(&jwt);

    let json = "application/json";
    refused(create("text/plain").body(BODY), 415).await;
    refused(create(json).body("{"), 400).await;
    refused(create(json).body(vec![b' '; 20_000]), 413).await;
    refused(create(json).body(BODY).header("sec-fetch-site", "cross-site"), 403).await;
    for id in ["7", "seven"] {
        refused(delete(id).header("origin", "https://evil.example"), 403).await;
    }
    // Who is nobody is in no audit log.
    refused(http.delete(format!("{tokens}/7")).header("sec-fetch-site", "cross-site"), 401).await;

    let url = format!("sqlite://{}", folder.path().join("gatekey.db").display());
    let mut store = SqliteConnection::connect(&url).await.expect("the store opens");
    let audited: Vec<(String, Option<i64>, String, Option<String>)> =
        sqlx::query_as("SELECT action, token_id, outcome, tenant FROM audit_log ORDER BY id")
            .fetch_all(&mut store)
            .await
            .expect("it is the test's own store");
    let entry = |action: &str, token_id| (action.into(), token_id, "cross_site".into(), Some("acme".into()));
    assert_eq!(audited, [entry("create", None), entry("delete", Some(7)), entry("delete", None)]);
}
