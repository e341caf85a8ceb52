//! `gatekey backup`: a copy of the SQLite file, while a server runs or not. Postgres has tools of its own.

use gatekey_store_sqlite::SqliteReader;

use crate::cli::Backup;
use crate::config::{ConfigError, Settings, StoreConfig};
use crate::{Failure, say};

pub(crate) async fn run(request: Backup) -> Result<(), Failure> {
    let (config, _) = Settings::from(request.store).check_store()?;
    let StoreConfig::Sqlite(path) = config else {
        return Err(ConfigError::one(
            "--database-url: Postgres has its own tools for that: pg_dump, or a base backup with the log (docs/backup.md)",
        )
        .into());
    };
    let failed = |cause: &dyn std::error::Error| Failure::caused("no backup was made", cause);
    // A newer program makes the backup before it migrates.
    let reader = SqliteReader::open_ours(&path).await.map_err(|cause| failed(&cause))?;
    let copied = reader.backup(&request.file).await.map_err(|cause| failed(&cause));
    reader.close().await;
    let copied = copied?;
    say(&format!(
        "{}: {} bytes, checked; it has all revocations up to {}",
        request.file.display(),
        copied.bytes,
        copied.head
    ))
}
