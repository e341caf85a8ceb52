//! The arrows of ARCHITECTURE.md: which crate may know which, checked over what cargo itself resolves.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate and what of ours it may depend on, directly. What that knows in turn is listed there.
const MAY: [(&str, &[&str]); 10] = [
    ("gatekey-proto", &[]),
    ("gatekey-model", &[]),
    ("gatekey-lease", &[]),
    ("gatekey-access", &["gatekey-model", "gatekey-proto"]),
    ("gatekey-core", &["gatekey-lease", "gatekey-model"]),
    ("gatekey-store-postgres", &["gatekey-core", "gatekey-lease", "gatekey-model"]),
    ("gatekey-store-sqlite", &["gatekey-core", "gatekey-lease", "gatekey-model"]),
    ("gatekey-api", &["gatekey-access", "gatekey-core", "gatekey-lease", "gatekey-model", "gatekey-proto"]),
    (
        "gatekey",
        &[
            "gatekey-api",
            "gatekey-core",
            "gatekey-lease",
            "gatekey-model",
            "gatekey-proto",
            "gatekey-store-postgres",
            "gatekey-store-sqlite",
        ],
    ),
    ("gatekey-interceptor", &["gatekey-access", "gatekey-lease", "gatekey-model", "gatekey-proto"]),
];

/// These may know everything: they are not published.
const ANYTHING: [&str; 4] = ["gatekey-bench", "gatekey-e2e", "gatekey-examples", "gatekey-simulation"];

/// What a crate must not reach, however far down.
const MUST_NOT: [(&str, &[&str]); 6] = [
    ("gatekey-access", &["sqlx"]),
    ("gatekey-proto", &["sqlx", "tokio-postgres"]),
    ("gatekey-model", &["tokio", "tonic", "axum", "sqlx", "hyper"]),
    ("gatekey-lease", &["tokio", "tonic", "axum", "sqlx", "hyper", "time", "chrono"]),
    ("gatekey-core", &["tonic", "axum", "sqlx", "hyper", "prost"]),
    ("gatekey-api", &["sqlx"]),
];

#[cfg(target_arch = "x86_64")]
const HOST: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
const HOST: &str = "aarch64-unknown-linux-gnu";

/// Crate → the crates that it depends on in a build, not in its tests.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(gatekey_e2e::root().join("Cargo.toml"))
        // Other platforms' crates are not downloaded, and play no part here.
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), HOST.to_owned()])
        .exec()
        .expect("cargo describes the workspace");
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let nodes = metadata.resolve.as_ref().expect("dependencies are resolved").nodes.iter();
    nodes
        .map(|node| {
            let used = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            (names[&node.id].clone(), used.map(|dependency| names[&dependency.pkg].clone()).collect())
        })
        .collect()
}

#[test]
fn every_crate_of_ours_keeps_to_its_arrows() {
    let graph = graph();
    let ours: Vec<&String> = graph.keys().filter(|name| name.starts_with("gatekey")).collect();
    assert!(ours.len() >= 8, "the workspace was read: {ours:?}");
    for name in ours {
        if ANYTHING.contains(&name.as_str()) {
            continue;
        }
        let (_, may) =
            MAY.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} has no arrows"));
        for dependency in graph[name].iter().filter(|dependency| dependency.starts_with("gatekey")) {
            assert!(may.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn no_crate_reaches_what_it_must_not_know() {
    let graph = graph();
    for (name, forbidden) in MUST_NOT {
        let mut reached = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(next) = open.pop() {
            for dependency in graph.get(&next).into_iter().flatten() {
                if reached.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        for other in forbidden {
            assert!(!reached.contains(*other), "{name} reaches {other}");
        }
    }
}
