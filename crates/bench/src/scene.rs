//! What measurements of holders begin with: a server on a Postgres database of its own, with leases of a given length.

use std::time::Duration;

use gatekey_e2e::{Database, Server, Start};
use tempfile::TempDir;

/// The server, and the folder with the key of its development mode.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
}

impl Scene {
    pub(crate) async fn with(lease: Duration) -> Self {
        let (folder, database) = (TempDir::new().expect("a folder"), Database::new().await);
        database.migrate();
        let lease = lease.as_secs().to_string();
        let server = Start::in_folder(folder.path())
            .args(["--dev", "--database-url", &database.url, "--lease", &lease, "--log", "warn"])
            .start();
        Self { folder, server }
    }
}
