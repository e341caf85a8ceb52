//! `gatekey backup`: a copy of the SQLite file, while a server runs or not. Postgres has tools of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use gatekey_store_sqlite::{Copied, SqliteReader};

use super::exported::digits;
use super::progress;
use crate::cli::Backup;
use crate::config::{ConfigError, Settings, StoreConfig};
use crate::signals::Signals;
use crate::{Failure, say};

/// Standard output, by the name of a file.
const STDOUT: &str = "-";

pub(crate) async fn run(request: Backup) -> Result<(), Failure> {
    let (config, _) = Settings::from(request.store).check_store()?;
    let StoreConfig::Sqlite(path) = config else {
        return Err(ConfigError::one(
            "--database-url: Postgres has its own tools for that: pg_dump, or a base backup with the log (docs/backup.md)",
        )
        .into());
    };
    let streamed = request.file == Path::new(STDOUT);
    // It would change the ends of lines, and the copy with them.
    if streamed && io::stdout().is_terminal() {
        return Err(
            ConfigError::one("FILE: - is for a pipe or a file, and standard output is a terminal").into()
        );
    }
    let mut signals = Signals::listen()?;
    let work = async {
        // A newer program makes the backup before it migrates.
        let reader = SqliteReader::open_ours(&path).await.map_err(|cause| failed(&cause))?;
        let made = if streamed { stream(&reader).await } else { name(&reader, &request.file).await };
        Ok::<_, Failure>((reader, made))
    };
    let (reader, made) = tokio::select! {
        // First: one that is made is no longer interrupted.
        biased;
        made = work => made?,
        // What there is of it goes with the work.
        () = signals.first() => return Err(Failure::Run("interrupted: no backup was made".to_owned())),
    };
    reader.close().await;
    made
}

fn failed(cause: &dyn std::error::Error) -> Failure {
    Failure::caused("no backup was made", cause)
}

async fn name(reader: &SqliteReader, file: &Path) -> Result<(), Failure> {
    let Copied { bytes, head } = reader.backup(file).await.map_err(|cause| failed(&cause))?;
    say(&format!("{}: {bytes} bytes, checked; it has all revocations up to {head}", file.display()))
}

/// Whatever is said goes to standard error.
async fn stream(reader: &SqliteReader) -> Result<(), Failure> {
    let (copy, Copied { bytes, head }) = reader.backup_unnamed().await.map_err(|cause| failed(&cause))?;
    progress(&format!(
        "{bytes} bytes, checked, go to standard output; they have all revocations up to {head}"
    ));
    // Apart, as it waits for whoever reads it.
    let written = tokio::task::spawn_blocking(move || write_out(copy)).await;
    let written = written.unwrap_or_else(|cause| Err(io::Error::other(cause)));
    match written {
        Ok((written, sha256)) if written == bytes => {
            progress(&format!("all of it is written; its SHA-256 is {sha256}"));
            Ok(())
        }
        Ok((written, _)) => {
            Err(Failure::Run(format!("no backup was made: {written} of {bytes} bytes were written")))
        }
        Err(cause) => Err(Failure::run("no backup was made: standard output", cause)),
    }
}

/// How many bytes, and what `sha256sum` says of them: what is between here and the file may lose the end of them.
fn write_out(copy: File) -> io::Result<(u64, String)> {
    let mut out = io::stdout().lock();
    let mut copy = BufReader::with_capacity(1 << 16, copy);
    let (mut written, mut hash) = (0, Context::new(&SHA256));
    loop {
        let some = copy.fill_buf()?;
        if some.is_empty() {
            out.flush()?;
            let hash = hash.finish();
            let hash = hash.as_ref().try_into().map_err(io::Error::other)?;
            return Ok((written, digits(hash)));
        }
        out.write_all(some)?;
        hash.update(some);
        let some = some.len();
        written += some as u64;
        copy.consume(some);
    }
}
