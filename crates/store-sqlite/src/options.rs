//! Where a SQLite store lives and what it may take. Where the values come from is the server's affair.

use std::path::PathBuf;
use std::time::Duration;

/// Where the file is, how large it may grow and how long an operation may take.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file. Its folder must exist; the file is made if it doesn't.
    pub path: PathBuf,
    /// The most pages (of 4 KiB, as a rule) that the file may have; none means no limit but the disk's.
    pub max_page_count: Option<u32>,
    /// How long an operation may take altogether, the wait for the one writer included.
    pub operation_timeout: Duration,
}

impl SqliteOptions {
    /// The database in this file, everything else by default.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_page_count: None, operation_timeout: Duration::from_secs(5) }
    }
}
