//! The issuers among the settings: from texts to what the API needs.

use gatekey_api::{IssuerSettings, JwksAccess, JwksSource};

use super::settings::{IssuerEntry, Settings};

const ROLES_POINTER: &str = "/roles";
const TENANT_POINTER: &str = "/tenant";

/// The issuer of the flags and those of the file, in that order.
pub(super) fn gather(settings: &Settings, problems: &mut Vec<String>) -> Vec<IssuerSettings> {
    let from_flags = from_flags(settings, problems).map(|entry| check(&entry, "--", problems));
    let mut issuers: Vec<IssuerSettings> = from_flags.into_iter().collect();
    for (index, entry) in settings.issuers.iter().enumerate() {
        issuers.push(check(entry, &format!("[[issuers]] number {} in --config: ", index + 1), problems));
    }
    for (index, issuer) in issuers.iter().enumerate() {
        if issuers[..index].iter().any(|earlier| earlier.issuer == issuer.issuer) {
            problems.push(format!("--issuer: {} is given twice; each issuer once", issuer.issuer));
        }
    }
    issuers
}

fn from_flags(settings: &Settings, problems: &mut Vec<String>) -> Option<IssuerEntry> {
    let Settings { issuer, audience, jwks, roles_pointer, tenant_pointer, verifier_subjects, .. } = settings;
    let Settings { jwks_ca_file, jwks_bearer_file, .. } = settings;
    let Some(issuer) = issuer else {
        let orphans = [
            ("--audience", audience.is_some()),
            ("--jwks", jwks.is_some()),
            ("--jwks-ca-file", jwks_ca_file.is_some()),
            ("--jwks-bearer-file", jwks_bearer_file.is_some()),
            ("--roles-pointer", roles_pointer.is_some()),
            ("--tenant-pointer", tenant_pointer.is_some()),
            ("--verifier-subject", !verifier_subjects.is_empty()),
        ];
        for (flag, _) in orphans.into_iter().filter(|(_, given)| *given) {
            problems.push(format!("{flag}: belongs to an issuer; give --issuer too"));
        }
        return None;
    };
    if audience.is_none() {
        problems.push("--audience: required with --issuer: the `aud` that its JWTs must have".to_owned());
    }
    if jwks.is_none() {
        problems.push("--jwks: required with --issuer: the https URL or the file of its JWK set".to_owned());
    }
    Some(IssuerEntry {
        issuer: issuer.clone(),
        audience: audience.clone()?,
        jwks: jwks.clone()?,
        jwks_ca_file: jwks_ca_file.clone(),
        jwks_bearer_file: jwks_bearer_file.clone(),
        roles_pointer: roles_pointer.clone(),
        tenant_pointer: tenant_pointer.clone(),
        verifier_subjects: verifier_subjects.clone(),
    })
}

/// `place` is put before the name of a setting to say where it was given.
fn check(entry: &IssuerEntry, place: &str, problems: &mut Vec<String>) -> IssuerSettings {
    for (name, value) in [("issuer", &entry.issuer), ("audience", &entry.audience)] {
        if value.is_empty() {
            problems.push(format!("{place}{name}: must not be empty"));
        }
    }
    let mut pointer = |name: &str, given: &Option<String>, default: &str| {
        let pointer = given.clone().unwrap_or_else(|| default.to_owned());
        if !pointer.starts_with('/') {
            problems
                .push(format!("{place}{name}: must be a JSON pointer that starts with /, as in {default}"));
        }
        pointer
    };
    let roles_pointer = pointer("roles-pointer", &entry.roles_pointer, ROLES_POINTER);
    let tenant_pointer = pointer("tenant-pointer", &entry.tenant_pointer, TENANT_POINTER);
    let jwks = jwks_source(&entry.jwks).unwrap_or_else(|problem| {
        problems.push(format!("{place}jwks: {problem}"));
        JwksSource::File(entry.jwks.clone().into())
    });
    let is_url = matches!(jwks, JwksSource::Url(_));
    for (name, file) in [("jwks-ca-file", &entry.jwks_ca_file), ("jwks-bearer-file", &entry.jwks_bearer_file)]
    {
        if file.is_some() && !is_url {
            problems.push(format!("{place}{name}: is for a URL; the JWK set is a file"));
        }
    }
    let jwks_access =
        JwksAccess { ca_file: entry.jwks_ca_file.clone(), bearer_file: entry.jwks_bearer_file.clone() };
    IssuerSettings {
        issuer: entry.issuer.clone(),
        audience: entry.audience.clone(),
        jwks,
        jwks_access,
        roles_pointer,
        tenant_pointer,
        verifier_subjects: entry.verifier_subjects.clone(),
        verifier_by_claim: false,
    }
}

fn jwks_source(text: &str) -> Result<JwksSource, String> {
    if text.is_empty() {
        return Err("must be an https URL or a file".to_owned());
    }
    if !text.contains("://") {
        return Ok(JwksSource::File(text.into()));
    }
    let url =
        reqwest::Url::parse(text).map_err(|cause| format!("must be an https URL or a file: {cause}"))?;
    match url.scheme() {
        "https" => Ok(JwksSource::Url(url)),
        // Whoever can change the keys on their way can be any caller.
        "http" if is_literal_loopback(&url) => Ok(JwksSource::Url(url)),
        _ => Err("must be an https URL; plain http only on loopback".to_owned()),
    }
}

/// An address, or the one name that never goes to DNS.
fn is_literal_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
