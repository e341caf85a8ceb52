//! What became of handshakes, in few enough words for a label.

use std::io;

use metrics::counter;
use rustls::{AlertDescription, CertificateError, Error};

/// What became of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was made.
    Ok,
    /// It took too long.
    TimedOut,
    /// The client went away.
    Gone,
    /// The client does not speak TLS.
    NotTls,
    /// The client speaks no version, cipher or protocol that the server does.
    Incompatible,
    /// The client's certificate has expired, or is not valid yet.
    ClientExpired,
    /// No authority that the server knows vouches for the client's certificate.
    ClientUnknown,
    /// The client's certificate is bad in another way.
    ClientInvalid,
    /// The client does not accept the server's certificate.
    ServerRefused,
    /// Anything else.
    Failed,
}

impl Outcome {
    const ALL: [Self; 10] = [
        Self::Ok,
        Self::TimedOut,
        Self::Gone,
        Self::NotTls,
        Self::Incompatible,
        Self::ClientExpired,
        Self::ClientUnknown,
        Self::ClientInvalid,
        Self::ServerRefused,
        Self::Failed,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::TimedOut => "timed_out",
            Self::Gone => "gone",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::ClientExpired => "client_certificate_expired",
            Self::ClientUnknown => "client_authority_unknown",
            Self::ClientInvalid => "client_certificate_invalid",
            Self::ServerRefused => "server_certificate_refused",
            Self::Failed => "failed",
        }
    }

    /// Of a handshake that failed.
    pub(crate) fn of(error: &io::Error) -> Self {
        let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) else {
            return match error.kind() {
                io::ErrorKind::TimedOut => Self::TimedOut,
                _ => Self::Gone,
            };
        };
        match cause {
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::InvalidCertificate(cause) => Self::of_client(cause),
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            _ => Self::Failed,
        }
    }

    const fn of_client(cause: &CertificateError) -> Self {
        match cause {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::ClientExpired,
            CertificateError::UnknownIssuer => Self::ClientUnknown,
            _ => Self::ClientInvalid,
        }
    }

    /// Of what a client says before it goes away.
    const fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => Self::ServerRefused,
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol => Self::Incompatible,
            _ => Self::Gone,
        }
    }

    pub(crate) fn count(self) {
        Self::add(self, 1);
    }

    /// So that each has a figure before it happens.
    pub(super) fn announce() {
        for outcome in Self::ALL {
            outcome.add(0);
        }
    }

    fn add(self, more: u64) {
        counter!("gatekey_tls_handshakes_total", "result" => self.as_str()).increment(more);
    }
}

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;

    use super::*;

    #[test]
    fn causes_are_told_apart() {
        let of = |cause: Error| Outcome::of(&io::Error::new(io::ErrorKind::InvalidData, cause));
        let certificate = |cause| of(Error::InvalidCertificate(cause));
        assert_eq!(of(Error::InvalidMessage(InvalidMessage::InvalidContentType)), Outcome::NotTls);
        assert_eq!(of(Error::NoApplicationProtocol), Outcome::Incompatible);
        assert_eq!(certificate(CertificateError::Expired), Outcome::ClientExpired);
        assert_eq!(certificate(CertificateError::UnknownIssuer), Outcome::ClientUnknown);
        assert_eq!(certificate(CertificateError::BadSignature), Outcome::ClientInvalid);
        assert_eq!(of(Error::AlertReceived(AlertDescription::UnknownCA)), Outcome::ServerRefused);
        assert_eq!(of(Error::AlertReceived(AlertDescription::CloseNotify)), Outcome::Gone);
        assert_eq!(of(Error::EncryptError), Outcome::Failed);
        assert_eq!(Outcome::of(&io::ErrorKind::TimedOut.into()), Outcome::TimedOut);
        assert_eq!(Outcome::of(&io::ErrorKind::UnexpectedEof.into()), Outcome::Gone);
    }

    #[test]
    fn each_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = Outcome::ALL.map(Outcome::as_str).into();
        assert_eq!(words.len(), Outcome::ALL.len());
    }
}
