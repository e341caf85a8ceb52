//! JWTs of development mode, as an operator gets them.

use std::path::Path;
use std::process::Command;

use crate::gatekey;

/// A JWT for the development server of this folder, as `gatekey dev-token` with these arguments prints it.
///
/// # Panics
/// If there is no key in the folder yet.
#[must_use]
pub fn dev_token(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(gatekey())
        .args(["dev-token", "--data-dir"])
        .arg(folder)
        .args(args)
        .output()
        .expect("the binary can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
