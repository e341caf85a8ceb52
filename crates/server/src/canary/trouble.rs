//! Calls that failed: what is known of them, and what is said of a server's troubles: once, until they change.

use std::collections::BTreeMap;
use std::error::Error;

use tonic::{Code, ConnectError, Status};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    kind: Kind,
    /// For people.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It was not made: there are no credentials.
    NotMade,
    /// There was no connection to send it on.
    NotSent,
    /// It may have arrived.
    NotAnswered,
    Answered(Code),
}

impl Failed {
    pub(super) fn no_credentials(cause: &str) -> Self {
        Self { kind: Kind::NotMade, text: format!("the JWT: {cause}") }
    }

    pub(super) fn not_sent(cause: &dyn Error) -> Self {
        Self { kind: Kind::NotSent, text: innermost(cause) }
    }

    pub(super) fn too_slow() -> Self {
        Self { kind: Kind::NotAnswered, text: "no answer in time".to_owned() }
    }

    /// It was answered, with something that is not in the contract.
    pub(super) fn nonsense(what: &str) -> Self {
        Self { kind: Kind::Answered(Code::Unknown), text: what.to_owned() }
    }

    /// Whether the call has certainly changed nothing.
    pub(super) fn changed_nothing(&self) -> bool {
        match self.kind {
            Kind::NotMade | Kind::NotSent => true,
            Kind::NotAnswered => false,
            Kind::Answered(code) => matches!(
                code,
                Code::InvalidArgument
                    | Code::NotFound
                    | Code::AlreadyExists
                    | Code::PermissionDenied
                    | Code::ResourceExhausted
                    | Code::FailedPrecondition
                    | Code::Unimplemented
                    | Code::Unauthenticated
            ),
        }
    }

    pub(super) fn is(&self, code: Code) -> bool {
        self.kind == Kind::Answered(code)
    }
}

impl From<Status> for Failed {
    /// Only what the server did not send has a source.
    fn from(status: Status) -> Self {
        let Some(source) = status.source() else {
            // Whatever stands in between may have written the message.
            let message = status.message().replace(char::is_control, " ");
            let text = format!("{:?}: {message}", status.code());
            return Self { kind: Kind::Answered(status.code()), text };
        };
        let never_connected = chain(source).any(<dyn Error>::is::<ConnectError>);
        let kind = if never_connected { Kind::NotSent } else { Kind::NotAnswered };
        Self { kind, text: innermost(source) }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The causes around it say that there was a connection, which is known.
fn innermost(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The troubles of one server, as they were said last.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    out_of_reach: bool,
    /// By call.
    refused: BTreeMap<&'static str, String>,
}

impl Troubles {
    /// A call failed: what there is to say.
    pub(super) fn failed(&mut self, call: &'static str, failed: &Failed) -> Vec<String> {
        let Failed { kind, text } = failed;
        if matches!(kind, Kind::NotSent | Kind::NotAnswered) {
            let known = std::mem::replace(&mut self.out_of_reach, true);
            return if known { Vec::new() } else { vec![format!("out of reach: {text}")] };
        }
        let mut news = Vec::new();
        if matches!(kind, Kind::Answered(_)) {
            news.extend(self.answers());
        }
        if self.refused.get(call) != Some(text) {
            news.push(format!("{call}: {text}"));
            self.refused.insert(call, text.clone());
        }
        news
    }

    /// A call went well: what there is to say.
    pub(super) fn went_well(&mut self, call: &'static str) -> Vec<String> {
        let works = self.refused.remove(call).map(|_| format!("{call} goes well again"));
        self.answers().into_iter().chain(works).collect()
    }

    fn answers(&mut self) -> Option<String> {
        std::mem::take(&mut self.out_of_reach).then(|| "answers again".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: Code) -> Failed {
        Failed::from(Status::new(code, "can't\n"))
    }

    #[test]
    fn what_may_have_happened_is_told_from_what_has_not() {
        let cause = std::io::Error::other("refused");
        assert!(Failed::no_credentials("gone").changed_nothing());
        assert!(Failed::not_sent(&cause).changed_nothing());
        assert!(answered(Code::PermissionDenied).changed_nothing());
        for failed in [Failed::too_slow(), answered(Code::Unavailable), answered(Code::DeadlineExceeded)] {
            assert!(!failed.changed_nothing(), "{failed:?}");
        }
        assert!(answered(Code::NotFound).is(Code::NotFound));
        assert_eq!(answered(Code::NotFound).text, "NotFound: can't ");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_was_sent_nothing() {
        let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let mut client = gatekey_proto::health::health_client::HealthClient::new(channel);
        let request = gatekey_proto::health::HealthCheckRequest::default();
        let failed = Failed::from(client.check(request).await.expect_err("nobody listens"));
        assert_eq!(failed.kind, Kind::NotSent, "{failed:?}");
    }

    #[test]
    fn each_trouble_is_said_once_until_it_changes() {
        let mut troubles = Troubles::default();
        assert!(troubles.went_well("Create").is_empty());
        let slow = Failed::too_slow();
        assert_eq!(troubles.failed("Create", &slow), ["out of reach: no answer in time"]);
        assert!(troubles.failed("Delete", &slow).is_empty());
        let denied = answered(Code::PermissionDenied);
        let expected = ["answers again", "Create: PermissionDenied: can't "];
        assert_eq!(troubles.failed("Create", &denied), expected);
        assert!(troubles.failed("Create", &denied).is_empty());
        assert!(troubles.went_well("Delete").is_empty());
        assert_eq!(troubles.went_well("Create"), ["Create goes well again"]);
        assert!(troubles.went_well("Create").is_empty());
    }
}
