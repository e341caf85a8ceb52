//! Who else can read the files that hold secrets, and whether the data folder is there.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::finding::Findings;
use crate::Failure;
use crate::config::{DATA_DIR, Settings};
use crate::dev_key;

/// Everybody on this machine.
const OTHERS: u32 = 0o007;
const ALL_BUT_OWNER: u32 = 0o077;

pub(super) fn look(settings: &Settings, findings: &mut Findings) -> Result<(), Failure> {
    // What is wrong with the file itself was told with the configuration.
    let whole = settings.clone().with_file().unwrap_or_else(|_| settings.clone());
    if let Some(file) = &settings.config
        && settings.database_url.is_none()
        && whole.database_url.is_some()
    {
        secret(
            findings,
            "--config",
            file,
            "it has the database URL in it; or put that into a file of its own",
        )?;
    }
    if let Some(file) = &whole.database_url_file {
        secret(findings, "--database-url-file", file, "it has the database's password")?;
    }
    let folder = whole.data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR));
    data_folder(findings, &folder)?;
    signing_key(findings, &folder.join(dev_key::FILE))
}

fn secret(findings: &mut Findings, flag: &str, file: &Path, why: &str) -> Result<(), Failure> {
    let shown = file.display();
    match mode(file) {
        Some(mode) if mode & OTHERS != 0 => findings.warn(
            "files",
            &format!(
                "{flag}: everybody on this machine can reach {shown} ({mode:03o}), and {why}: chmod 640 it"
            ),
        ),
        Some(mode) => findings.ok("files", &format!("{flag}: {shown} is kept from others ({mode:03o})")),
        // That it can't be read was told with the configuration.
        None => Ok(()),
    }
}

fn data_folder(findings: &mut Findings, folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    match std::fs::metadata(folder).as_ref().map(Metadata::is_dir) {
        Err(_) => {
            findings.ok("files", &format!("the data folder {shown} is not there yet; it is made when needed"))
        }
        Ok(false) => findings.fail("files", &format!("--data-dir: {shown} is no folder")),
        Ok(true) => match mode(folder) {
            Some(mode) if mode & OTHERS != 0 => findings.warn(
                "files",
                &format!(
                    "everybody on this machine can enter the data folder {shown} ({mode:03o}): chmod 700 it"
                ),
            ),
            _ => findings.ok("files", &format!("the data folder {shown} is kept from others")),
        },
    }
}

fn signing_key(findings: &mut Findings, file: &Path) -> Result<(), Failure> {
    match mode(file) {
        Some(mode) if mode & ALL_BUT_OWNER != 0 => findings.fail(
            "files",
            &format!(
                "others can read the signing key of development mode, {} ({mode:03o}), and be any caller: chmod 600 it",
                file.display()
            ),
        ),
        Some(_) => findings.ok("files", "the signing key of development mode is its owner's alone"),
        None => Ok(()),
    }
}

fn mode(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777)
}
