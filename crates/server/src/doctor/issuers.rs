//! The issuers: whether their keys can be had, and which there are.

use gatekey_api::{IssuerSettings, KnownKey};

use super::finding::Findings;
use crate::Failure;

pub(super) async fn look(issuers: &[IssuerSettings], findings: &mut Findings) -> Result<(), Failure> {
    for issuer in issuers {
        let name = &issuer.issuer;
        match issuer.known_keys().await {
            Ok(keys) => {
                let keys: Vec<String> = keys.iter().map(shown).collect();
                findings
                    .ok("issuer", &format!("{name} has {} usable keys: {}", keys.len(), keys.join(", ")))?;
            }
            Err(cause) => findings.fail(
                "issuer",
                &format!("the keys of {name} can't be had, so that its callers get UNAVAILABLE: {cause}"),
            )?,
        }
    }
    Ok(())
}

fn shown(key: &KnownKey) -> String {
    format!("{} ({})", key.id.as_deref().unwrap_or("without a kid"), key.algorithms.join(", "))
}
