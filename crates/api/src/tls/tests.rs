//! Certificates that hold and that hold no longer, by a clock that the test reads, and files that change.

use std::path::Path;
use std::time::Duration;

use gatekey_core::Role;
use gatekey_model::Timestamp;
use gatekey_proto::v1::ErrorReason;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::{ClientCertificate, Tls, TlsFiles, TlsSettings, TlsVersion};

const VERIFIER: &str = "spiffe://example.org/speech";
const GATEWAY: &str = "spiffe://example.org/edge";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Good until the year 2030 begins.
    fn client(&self, uris: &[&str], usages: &[KeyUsagePurpose]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([]).expect("no names");
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII"))).collect();
        params.key_usages = usages.to_vec();
        params.not_after = date_time_ymd(2030, 1, 1);
        let key = KeyPair::generate().expect("a key");
        params.signed_by(&key, &self.0).expect("a certificate").der().clone()
    }
}

/// A server that takes clients of this authority, and its folder.
fn server(clients: &Authority) -> (Tls, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let files = TlsFiles {
        certificate: path("tls.crt"),
        key: path("tls.key"),
        client_authorities: Some(path("ca.crt")),
    };
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    write(folder.path(), "tls.crt", &own.cert.pem());
    write(folder.path(), "tls.key", &own.signing_key.serialize_pem());
    write(folder.path(), "ca.crt", &clients.0.pem());
    let material = files.load().expect("good files");
    let settings = TlsSettings {
        files,
        min_version: TlsVersion::default(),
        verifiers: vec![VERIFIER.parse().expect("an ID")],
        gateways: vec![GATEWAY.parse().expect("an ID")],
    };
    (Tls::start(settings, &material).expect("good settings"), folder)
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

fn year(year: i32) -> Timestamp {
    Timestamp::from_unix_micros(date_time_ymd(year, 1, 1).unix_timestamp() * 1_000_000).expect("in range")
}

fn reason(certificate: &ClientCertificate, now: Timestamp) -> Option<ErrorReason> {
    certificate.caller(now).err().map(|error| error.reason())
}

#[test]
fn a_certificate_holds_to_the_end_of_the_second_that_it_names() {
    let clients = Authority::new("clients");
    let (tls, _folder) = server(&clients);
    let chain = [clients.client(&[VERIFIER], &[])];
    let certificate = ClientCertificate::new(&tls, &tls.live(), &chain).expect("it can be read");
    let caller = certificate.caller(year(2029)).expect("good");
    assert!(caller.roles.has(Role::Verifier) && caller.subject == VERIFIER && caller.tenant.is_none());
    assert_eq!(caller.expires, year(2030).saturating_add(Duration::from_secs(1)));
    assert_eq!(reason(&certificate, year(2030)), None);
    let last = year(2030).saturating_add(Duration::from_micros(999_999));
    assert_eq!(reason(&certificate, last), None);
    let over = year(2030).saturating_add(Duration::from_secs(1));
    assert_eq!(reason(&certificate, over), Some(ErrorReason::CredentialsInvalid));
}

#[test]
fn names_are_held_against_the_settings_exactly() {
    let clients = Authority::new("clients");
    let (tls, _folder) = server(&clients);
    let of = |uris: &[&str], usages: &[KeyUsagePurpose]| {
        let chain = [clients.client(uris, usages)];
        ClientCertificate::new(&tls, &tls.live(), &chain).expect("it can be read")
    };
    let roles = |uri: &str| {
        let certificate = of(&[uri], &[KeyUsagePurpose::DigitalSignature]);
        let (caller, gateway) = (certificate.caller(year(2029)), certificate.gateway(year(2029)));
        (caller.expect("named").roles.has(Role::Verifier), gateway.expect("named").roles.has(Role::Verifier))
    };
    assert_eq!(roles(VERIFIER), (true, true));
    assert_eq!(roles(GATEWAY), (false, true));
    assert_eq!(roles("spiffe://example.org/speech/a"), (false, false));
    for (uris, usages) in [
        (&[][..], &[][..]),
        (&[VERIFIER, GATEWAY], &[]),
        (&[VERIFIER, "urn:a"], &[]),
        (&["urn:a"], &[]),
        // By the standard it names no workload, as its key may sign certificates.
        (&[VERIFIER], &[KeyUsagePurpose::KeyCertSign]),
        (&[VERIFIER], &[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign]),
    ] {
        let certificate = of(uris, usages);
        assert_eq!(reason(&certificate, year(2029)), Some(ErrorReason::CredentialsMissing), "{uris:?}");
        assert!(certificate.gateway(year(2029)).is_err(), "{uris:?}");
    }
}

#[test]
fn other_authorities_are_asked_anew_and_other_server_certificates_are_not() {
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let (tls, folder) = server(&clients);
    let chain = [clients.client(&[VERIFIER], &[])];
    let certificate = ClientCertificate::new(&tls, &tls.live(), &chain).expect("it can be read");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    write(folder.path(), "tls.crt", &own.cert.pem());
    // Half of a rotation: the key is not there yet.
    let before = tls.live();
    tls.reload();
    assert!(std::sync::Arc::ptr_eq(&before, &tls.live()));
    write(folder.path(), "tls.key", &own.signing_key.serialize_pem());
    tls.reload();
    assert!(!std::sync::Arc::ptr_eq(&before, &tls.live()));
    assert_eq!(before.generation, tls.live().generation);
    assert_eq!(reason(&certificate, year(2029)), None);

    for (authorities, expected) in [
        (others.0.pem(), Some(ErrorReason::CredentialsInvalid)),
        (format!("{}{}", others.0.pem(), clients.0.pem()), None),
        (others.0.pem(), Some(ErrorReason::CredentialsInvalid)),
    ] {
        write(folder.path(), "ca.crt", &authorities);
        tls.reload();
        assert_eq!(reason(&certificate, year(2029)), expected);
        assert_eq!(reason(&certificate, year(2029)), expected, "what is remembered is the same");
    }
    // Bad files leave those before in force.
    write(folder.path(), "ca.crt", "garbage");
    tls.reload();
    assert_eq!(reason(&certificate, year(2029)), Some(ErrorReason::CredentialsInvalid));
}

#[tokio::test]
async fn whoever_waits_for_the_loss_of_a_certificate_is_told() {
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let (tls, folder) = server(&clients);
    let chain = [clients.client(&[VERIFIER], &[])];
    let certificate = ClientCertificate::new(&tls, &tls.live(), &chain).expect("it can be read");
    let lost = tokio::spawn(std::sync::Arc::new(certificate).lost());
    write(folder.path(), "ca.crt", &others.0.pem());
    tls.reload();
    let why = lost.await.expect("it ends");
    assert_eq!(why.reason(), ErrorReason::CredentialsInvalid);
}
