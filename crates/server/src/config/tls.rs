//! The settings of TLS: which files, which version, and who callers by certificate are. The files are read here for the first
//! time, so that what is wrong with them is told with all else.

use clap::ValueEnum;
use gatekey_api::{SpiffeId, TlsFiles, TlsMaterial, TlsSettings, TlsVersion};
use serde::Deserialize;

use super::settings::Settings;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
pub(crate) enum MinVersion {
    /// And 1.3.
    #[value(name = "1.2")]
    #[serde(rename = "1.2")]
    Tls12,
    /// And no other.
    #[value(name = "1.3")]
    #[serde(rename = "1.3")]
    Tls13,
}

/// TLS as it is to be, and what its files held at the start.
#[derive(Clone, Debug)]
pub(crate) struct TlsConfig {
    pub(crate) settings: TlsSettings,
    pub(crate) material: TlsMaterial,
}

/// Nothing without TLS, or if something is wrong with it.
pub(super) fn check(settings: &Settings, problems: &mut Vec<String>) -> Option<TlsConfig> {
    let Settings { tls_cert_file, tls_key_file, tls_client_ca_file, tls_min_version, .. } = settings;
    let verifiers = ids("--verifier-spiffe-id", &settings.verifier_spiffe_ids, problems);
    let gateways = ids("--gateway-spiffe-id", &settings.gateway_spiffe_ids, problems);
    let is_on = tls_cert_file.is_some() || tls_key_file.is_some();
    for (flag, given) in [
        ("--tls-client-ca-file", tls_client_ca_file.is_some()),
        ("--tls-min-version", tls_min_version.is_some()),
    ] {
        if given && !is_on {
            problems.push(format!("{flag}: there is no TLS without --tls-cert-file and --tls-key-file"));
        }
    }
    for (flag, given) in [
        ("--verifier-spiffe-id", &settings.verifier_spiffe_ids),
        ("--gateway-spiffe-id", &settings.gateway_spiffe_ids),
    ] {
        if !given.is_empty() && tls_client_ca_file.is_none() {
            problems.push(format!(
                "{flag}: needs --tls-client-ca-file: without it no client is asked for a certificate"
            ));
        }
    }
    let files = match (tls_cert_file, tls_key_file) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_authorities: tls_client_ca_file.clone(),
        },
        (Some(_), None) => {
            problems
                .push("--tls-key-file: required with --tls-cert-file: the key of the certificate".to_owned());
            return None;
        }
        (None, Some(_)) => {
            problems
                .push("--tls-cert-file: required with --tls-key-file: the certificate of the key".to_owned());
            return None;
        }
    };
    let loaded = files.load();
    let material = loaded.map_err(|wrong| problems.extend(wrong.iter().map(ToString::to_string))).ok()?;
    let min_version = match tls_min_version {
        None | Some(MinVersion::Tls12) => TlsVersion::Tls12,
        Some(MinVersion::Tls13) => TlsVersion::Tls13,
    };
    Some(TlsConfig { settings: TlsSettings { files, min_version, verifiers, gateways }, material })
}

fn ids(flag: &str, given: &[String], problems: &mut Vec<String>) -> Vec<SpiffeId> {
    let ids = given.iter().filter_map(|text| {
        text.parse::<SpiffeId>().map_err(|rule| problems.push(format!("{flag}: {text:?} {rule}"))).ok()
    });
    ids.collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    /// A certificate and its key in this folder.
    fn pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, cert.pem()).expect("written");
        std::fs::write(&key, signing_key.serialize_pem()).expect("written");
        (certificate, key)
    }

    fn found(settings: &Settings) -> Vec<String> {
        let mut problems = Vec::new();
        assert_eq!(check(settings, &mut problems).is_none(), !problems.is_empty());
        problems
    }

    #[test]
    fn good_files_are_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = pair(folder.path(), "a");
        let settings = Settings {
            tls_cert_file: Some(certificate.clone()),
            tls_key_file: Some(key),
            tls_client_ca_file: Some(certificate),
            tls_min_version: Some(MinVersion::Tls13),
            verifier_spiffe_ids: vec!["spiffe://example.org/speech".to_owned()],
            ..Settings::default()
        };
        let tls = check(&settings, &mut Vec::new()).expect("good");
        assert_eq!((tls.settings.min_version, tls.settings.verifiers.len()), (TlsVersion::Tls13, 1));
    }

    #[test]
    fn what_is_wrong_with_the_files_is_told_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = pair(folder.path(), "a");
        let (other, other_key) = pair(folder.path(), "b");
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").expect("written");
        let cut = folder.path().join("cut");
        std::fs::write(&cut, "-----BEGIN CERTIFICATE-----\nAAAA").expect("written");
        let gone = folder.path().join("gone");
        let all = |certificate: &Path, key: &Path, authorities: &Path| {
            let settings = Settings {
                tls_cert_file: Some(certificate.to_owned()),
                tls_key_file: Some(key.to_owned()),
                tls_client_ca_file: Some(authorities.to_owned()),
                ..Settings::default()
            };
            found(&settings)
        };
        let cases: [(Vec<String>, &[&str]); 5] = [
            (all(&certificate, &other_key, &other), &["--tls-key-file: ", "b.key: it is not the key of"]),
            (all(&gone, &gone, &gone), &["--tls-cert-file: ", "--tls-key-file: ", "--tls-client-ca-file: "]),
            (
                all(&empty, &empty, &empty),
                &["there is no certificate", "there is no private key", "--tls-client-ca-file: "],
            ),
            (all(&cut, &key, &other), &["--tls-cert-file: ", "it is no good PEM"]),
            (all(&certificate, &certificate, &key), &["there is no private key", "--tls-client-ca-file: "]),
        ];
        for (problems, parts) in cases {
            let said = problems.join("\n");
            for part in parts {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_at_once() {
        let settings = Settings {
            tls_client_ca_file: Some("ca".into()),
            tls_min_version: Some(MinVersion::Tls12),
            verifier_spiffe_ids: vec!["gateway".to_owned()],
            ..Settings::default()
        };
        assert_eq!(found(&settings).len(), 3);
        let settings = Settings {
            gateway_spiffe_ids: vec!["spiffe://example.org/edge".to_owned()],
            tls_cert_file: Some("a".into()),
            ..Settings::default()
        };
        let said = found(&settings).join("\n");
        for part in ["--gateway-spiffe-id: needs --tls-client-ca-file", "--tls-key-file: required"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
