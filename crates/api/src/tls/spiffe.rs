//! SPIFFE IDs: their form, and which one a certificate names. What they allow is not decided here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// The longest that there may be, in bytes (SPIFFE ID, section 2.3).
const LONGEST: usize = 2_048;
const LONGEST_TRUST_DOMAIN: usize = 255;
/// The tag of a URI among the names of a certificate (RFC 5280 section 4.2.1.6).
const URI: u32 = 6;

/// A workload's name, as in `spiffe://example.org/ns/speech/sa/gateway`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId(Arc<str>);

/// The text is no SPIFFE ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a SPIFFE ID of a workload, as in spiffe://example.org/ns/speech/sa/gateway: a trust domain of a-z, 0-9, dots, \
     dashes and underscores, and a path of letters, digits, dots, dashes and underscores without an empty part"
)]
pub struct NotASpiffeId;

impl SpiffeId {
    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one that a certificate names. By the standard (X509-SVID, sections 2 and 4) it has exactly one URI for a name, and
    /// its key signs no certificates; else it names nobody.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        if let Some(usage) = certificate.key_usage().ok()?
            && (usage.value.key_cert_sign() || usage.value.crl_sign())
        {
            return None;
        }
        let names = certificate.subject_alternative_name().ok()??;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            // What can't be read is a second name all the same, and none that is valid.
            GeneralName::Invalid(tag, _) if tag.0 == URI => Some(""),
            _ => None,
        });
        let uri = uris.next()?;
        if uris.next().is_some() { None } else { uri.parse().ok() }
    }
}

impl FromStr for SpiffeId {
    type Err = NotASpiffeId;

    fn from_str(text: &str) -> Result<Self, NotASpiffeId> {
        let rest = text.strip_prefix("spiffe://").filter(|_| text.len() <= LONGEST).ok_or(NotASpiffeId)?;
        // The name of a trust domain alone is no workload's.
        let (domain, path) = rest.split_once('/').ok_or(NotASpiffeId)?;
        let in_domain =
            |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-' | b'_');
        let in_path = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        let good_domain =
            !domain.is_empty() && domain.len() <= LONGEST_TRUST_DOMAIN && domain.bytes().all(in_domain);
        let good_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(in_path);
        if good_domain && path.split('/').all(good_part) { Ok(Self(text.into())) } else { Err(NotASpiffeId) }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form() {
        for good in ["spiffe://example.org/a", "spiffe://a_b-c.1/ns/speech/sa/Gateway_1.x", "spiffe://d/..."]
        {
            assert_eq!(good.parse::<SpiffeId>().expect(good).as_str(), good);
        }
        let long = format!("spiffe://example.org/{}", "a".repeat(LONGEST));
        let long_domain = format!("spiffe://{}/a", "a".repeat(LONGEST_TRUST_DOMAIN + 1));
        for bad in [
            "",
            "spiffe://",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe:///a",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/.",
            "spiffe://Example.org/a",
            "SPIFFE://example.org/a",
            "spiffe://example.org:80/a",
            "spiffe://user@example.org/a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/a%20b",
            "spiffe://example.org/ä",
            "https://example.org/a",
            " spiffe://example.org/a",
            &long,
            &long_domain,
        ] {
            assert_eq!(bad.parse::<SpiffeId>(), Err(NotASpiffeId), "{bad}");
        }
    }
}
