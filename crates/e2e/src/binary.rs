//! The real binary, built once for each test program, and where its logs go.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository.
///
/// # Panics
/// Never: the crate lies two folders below.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/e2e lies in the repository")
}

/// The `gatekey` binary as it is in the working tree: built first, unless `GATEKEY_BIN` names another.
///
/// # Panics
/// If it can't be built.
pub fn gatekey() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| given_or_built("GATEKEY_BIN", "gatekey", "gatekey"))
}

/// The example service over gRPC.
///
/// # Panics
/// If it can't be built.
pub fn transcribe_grpc() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| given_or_built("TRANSCRIBE_GRPC_BIN", "gatekey-examples", "transcribe-grpc"))
}

/// The example service over HTTP.
///
/// # Panics
/// If it can't be built.
pub fn transcribe_http() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| given_or_built("TRANSCRIBE_HTTP_BIN", "gatekey-examples", "transcribe-http"))
}

fn given_or_built(variable: &str, package: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| build(package, name), PathBuf::from)
}

fn build(package: &str, name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--bin", name])
        .args(["--message-format", "json-render-diagnostics"])
        // As whoever asks was built itself.
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("cargo writes JSON");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable")
}

/// The folder for the logs of every server that the tests start; `scripts/test` searches it for token
/// values afterwards.
///
/// # Panics
/// If it can't be made.
#[must_use]
pub fn logs() -> PathBuf {
    let folder = root().join("target/test-logs");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}
