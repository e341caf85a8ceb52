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
    for (flag, file, why) in secrets(settings, &whole) {
        secret(findings, flag, file, why)?;
    }
    let folder = whole.data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR));
    data_folder(findings, &folder)?;
    signing_key(findings, &folder.join(dev_key::FILE))
}

/// The files that hold secrets, each with its flag and with what it holds. `given` is what was given beside the file of `--config`,
/// `whole` all of it.
fn secrets<'a>(given: &'a Settings, whole: &'a Settings) -> Vec<(&'static str, &'a Path, &'static str)> {
    const PASSWORD: &str = "it has the database's password";
    const BEARER: &str = "it has a bearer token for the issuer's keys";
    let mut files = Vec::new();
    let mut add = |flag: &'static str, file: Option<&'a PathBuf>, why: &'static str| {
        let new = file.map(|file| (flag, file.as_path(), why));
        // Several issuers may have one file.
        if let Some(new) = new.filter(|new| !files.contains(new)) {
            files.push(new);
        }
    };
    if [(&given.database_url, &whole.database_url), (&given.database_direct_url, &whole.database_direct_url)]
        .iter()
        .any(|(given, whole)| given.is_none() && whole.is_some())
    {
        add(
            "--config",
            given.config.as_ref(),
            "it has a database URL in it; or put that into a file of its own",
        );
    }
    add("--database-url-file", whole.database_url_file.as_ref(), PASSWORD);
    add("--database-direct-url-file", whole.database_direct_url_file.as_ref(), PASSWORD);
    add("--tls-key-file", whole.tls_key_file.as_ref(), "it has the key of the server's certificate");
    add("--jwks-bearer-file", whole.jwks_bearer_file.as_ref(), BEARER);
    for issuer in &whole.issuers {
        add("--jwks-bearer-file", issuer.jwks_bearer_file.as_ref(), BEARER);
    }
    files
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_with_a_secret_in_it_is_looked_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("gatekey.toml");
        let looked_at = |given: Settings, file: &str| {
            std::fs::write(&config, file).expect("written");
            let given = Settings { config: Some(config.clone()), ..given };
            let whole = given.clone().with_file().expect("good");
            let files = secrets(&given, &whole).into_iter();
            files.map(|(flag, file, _)| (flag, file.to_owned())).collect::<Vec<_>>()
        };
        let at = |flag, file: &str| (flag, PathBuf::from(file));
        let in_config = || vec![("--config", config.clone())];

        assert!(looked_at(Settings::default(), "").is_empty());
        assert_eq!(looked_at(Settings::default(), "database-url = 'postgres://a'"), in_config());
        let direct = "database-direct-url = 'postgres://a'";
        assert_eq!(looked_at(Settings::default(), direct), in_config());
        let given = Settings { database_direct_url_file: Some("direct".into()), ..Settings::default() };
        assert_eq!(looked_at(given, direct), [at("--database-direct-url-file", "direct")]);

        let files = "database-url-file = 'url'\ntls-key-file = 'key'\njwks-bearer-file = 'bearer'\n";
        let issuer = "[[issuers]]\nissuer = 'i'\naudience = 'a'\njwks = 'j'\njwks-bearer-file = ";
        let whole = format!("{files}{issuer}'bearer'\n{issuer}'other'\n");
        let expected = [
            at("--database-url-file", "url"),
            at("--tls-key-file", "key"),
            at("--jwks-bearer-file", "bearer"),
            at("--jwks-bearer-file", "other"),
        ];
        assert_eq!(looked_at(Settings::default(), &whole), expected);
    }
}
