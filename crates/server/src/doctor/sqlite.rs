//! The SQLite file: whether it is one of ours, who has it, and whether there is room for it to grow.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gatekey_store_sqlite::{Holding, SchemaState, SqliteReader, holding, partial_copies, require_claimable};

use super::finding::Findings;
use crate::Failure;

/// Less than this is soon used up: each delete is written to the disk.
const LITTLE: u64 = 256 << 20;
/// With less a commit may fail at any moment.
const NONE: u64 = 16 << 20;

pub(super) async fn look(file: &Path, findings: &mut Findings) -> Result<(), Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    room(folder, findings)?;
    let shown = file.display();
    if !file.exists() {
        return findings.ok("store", &format!("{shown} is not there yet; the first start makes it"));
    }
    match holding(file) {
        Ok(Holding::Free) => findings.ok("lock", &format!("no server has {shown} now"))?,
        Ok(Holding::Held { by }) => {
            findings.ok("lock", &format!("a server has {shown} ({by}): it runs, and no second one can"))?;
        }
        Err(cause) => findings.fail("lock", &format!("the lock of {shown} can't be tried: {cause}"))?,
    }
    writing(file, findings)?;
    let reader = match SqliteReader::open_any(file).await {
        Ok(reader) => reader,
        Err(cause) => return fail("store", &cause, findings),
    };
    let looked = match reader.schema().await {
        Ok(SchemaState::Current) => {
            findings.ok("schema", "it is the one that this program knows").and(head(&reader, findings).await)
        }
        Ok(SchemaState::NewerCompatible { applied, known }) => {
            let text =
                format!("it is newer, and for this program too ({applied}; this program's is {known})");
            findings.ok("schema", &text).and(head(&reader, findings).await)
        }
        Ok(SchemaState::Behind) => {
            findings.ok("schema", "migrations are missing: the next start brings them")
        }
        Ok(state) => findings.fail("schema", &format!("it is none that this program knows ({state:?})")),
        Err(cause) => fail("store", &cause, findings),
    };
    reader.close().await;
    looked
}

/// Whether a start can write to it, as this user; and whether this is the user.
fn writing(file: &Path, findings: &mut Findings) -> Result<(), Failure> {
    let shown = file.display();
    let this = rustix::process::geteuid().as_raw();
    let owner = std::fs::metadata(file).map_or(this, |file| file.uid());
    match require_claimable(file) {
        // Root may write to anything, which says nothing of the server.
        Ok(()) if this == 0 && owner != 0 => {}
        Ok(()) => findings.ok("store", &format!("{shown} can be written to, and what is beside it"))?,
        Err(cause) => fail("store", &cause, findings)?,
    }
    for partial in partial_copies(file) {
        let text = format!(
            "{} is left of a backup that was killed, unless one is under way: it may be removed",
            partial.display()
        );
        findings.warn("disk", &text)?;
    }
    match other_user(this, owner) {
        Some(text) => findings.warn("store", &format!("{shown} {text}")),
        None => Ok(()),
    }
}

fn other_user(this: u32, owner: u32) -> Option<String> {
    (this != owner).then(|| {
        format!(
            "belongs to the user {owner}, and this is run as {this}, who may read and write other files: run it as the \
             server's user (docs/install.md has how, where systemd makes that user)"
        )
    })
}

async fn head(reader: &SqliteReader, findings: &mut Findings) -> Result<(), Failure> {
    match reader.head().await {
        Ok(head) => findings.ok("log", &format!("the newest revocation is {head}")),
        Err(cause) => findings.fail("log", &format!("the head of the log can't be read: {cause}")),
    }
}

fn fail(what: &str, cause: &dyn std::error::Error, findings: &mut Findings) -> Result<(), Failure> {
    let Failure::Run(text) = Failure::caused("SQLite", cause) else { return Ok(()) };
    findings.fail(what, &text)
}

fn room(folder: &Path, findings: &mut Findings) -> Result<(), Failure> {
    // The folder may have to be made yet.
    let Some(there) = folder.ancestors().find(|folder| folder.exists() || folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_err() {
        let text = format!(
            "{} can't be written to by this user: run this as the server's, or chown it",
            there.display()
        );
        return findings.fail("disk", &text);
    }
    let Ok(seen) = rustix::fs::statvfs(there) else {
        return findings.warn("disk", &format!("the room at {} can't be seen", there.display()));
    };
    let free = seen.f_bavail.saturating_mul(seen.f_frsize);
    let text = format!("{} MiB are free at {}", free >> 20, there.display());
    match free {
        ..NONE => findings.fail("disk", &format!("{text}: creates and deletes fail without room")),
        NONE..LITTLE => findings.warn("disk", &format!("{text}: creates and deletes fail without room")),
        _ => findings.ok("disk", &text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_user_is_told() {
        assert_eq!(other_user(65_532, 65_532), None);
        let told = other_user(0, 65_532).expect("another one");
        assert!(told.starts_with("belongs to the user 65532, and this is run as 0, "), "{told}");
    }
}
