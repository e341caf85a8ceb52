//! A question to the servers: VerifyToken, to one after the other until one answers. Nobody is asked twice, but for one whose
//! connection ended meanwhile, or who does not take what proves this service and may take another.

use std::sync::Arc;

use gatekey_lease::{Digest, Position};
use gatekey_proto::v1::token_service_client::TokenServiceClient;
use gatekey_proto::v1::verify_token_request::Credential;
use gatekey_proto::v1::{VerifyTokenRequest, VerifyTokenResponse};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::servers::Remote;
use super::target::{Target, innermost};
use super::{Authorization, Endpoint, prove, wire};
use crate::shared::Shared;
use crate::traces::Question;

impl Remote {
    /// Every server that is known; if none of them answers, those for which the names stand by now.
    pub(crate) async fn ask(
        &self,
        shared: &Shared,
        digest: Digest,
        position: Option<Position>,
    ) -> Option<VerifyTokenResponse> {
        let patience = shared.limits.patience;
        let proofs = match self.authorizations(shared) {
            Ok(proofs) => proofs,
            Err(problem) => {
                shared.trouble(&problem.to_string());
                return None;
            }
        };
        let request = |patience, authorization: &Authorization| {
            let mut request = Request::new(VerifyTokenRequest {
                credential: Some(Credential::TokenSha256(digest.0.to_vec())),
                position: position.map(wire::position),
                ..Default::default()
            });
            request.set_timeout(patience);
            prove(&mut request, authorization);
            request
        };
        let mut asked: Vec<Arc<Target>> = Vec::new();
        let mut reasons = Vec::new();
        // All that are known, and then those that came in their place.
        for known in [true, false] {
            let targets =
                if known { self.targets(patience).await } else { self.look_again(shared, patience).await };
            for target in in_order(shared, &targets) {
                if asked.iter().any(|asked| Arc::ptr_eq(asked, target)) {
                    continue;
                }
                let mut service = TokenServiceClient::new(target.channel());
                let Endpoint { host, port, .. } = target.endpoint();
                let question = Question::begin(host, *port);
                let request = |proof: &Authorization| {
                    let mut request = request(patience, proof);
                    question.inject(request.metadata_mut());
                    request
                };
                // What a server has taken comes first: what is newer may not be taken yet.
                let answer = verify(&mut service, proofs.iter().rev(), request);
                match timeout(patience, answer).await {
                    Ok(Ok(answer)) => {
                        question.end(Code::Ok);
                        return Some(answer.into_inner());
                    }
                    Ok(Err(status)) => {
                        question.end(status.code());
                        reasons.push(told(target, "VerifyToken", &status));
                    }
                    Err(_) => {
                        question.end(Code::DeadlineExceeded);
                        reasons.push(format!("{}: VerifyToken: no answer in time", target.name));
                    }
                }
                target.shun(shared.clock.moment());
                asked.push(Arc::clone(target));
            }
        }
        if !reasons.is_empty() {
            // Whichever was asked first, it is the same trouble.
            reasons.sort_unstable();
            shared.trouble(&reasons.join("; "));
        }
        None
    }
}

/// Asks one server by each proof of this service, until it takes one.
async fn verify<'a>(
    service: &mut TokenServiceClient<Channel>,
    proofs: impl Iterator<Item = &'a Authorization>,
    request: impl Fn(&Authorization) -> Request<VerifyTokenRequest>,
) -> Result<Response<VerifyTokenResponse>, Status> {
    let mut refused = Status::unauthenticated("nothing proves this service");
    for proof in proofs {
        let answer = match service.verify_token(request(proof)).await {
            // As when it was told to go for its age. Another is made.
            Err(status) if is_broken_connection(&status) => service.verify_token(request(proof)).await,
            answer => answer,
        };
        match answer {
            Err(status) if status.code() == Code::Unauthenticated => refused = status,
            answer => return answer,
        }
    }
    Err(refused)
}

/// Whether a connection ended under the question, which may not even have left. That there is none is another matter
/// (UNAVAILABLE). Only what no server sent has a source.
fn is_broken_connection(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
        && matches!(status.code(), Code::Cancelled | Code::Internal | Code::Unknown)
}

/// The server of the stream first, then the others; those that did not answer lately come last.
fn in_order<'a>(shared: &Shared, targets: &'a [Arc<Target>]) -> Vec<&'a Arc<Target>> {
    let now = shared.clock.moment();
    let here = shared.lock().endpoint.clone();
    let begin = targets.iter().position(|target| Some(&target.name) == here.as_ref());
    let begin = begin.unwrap_or_else(|| fastrand::usize(0..targets.len().max(1)));
    let mut order: Vec<&Arc<Target>> =
        (0..targets.len()).map(|number| &targets[(begin + number) % targets.len()]).collect();
    order.sort_by_key(|target| target.is_shunned(now));
    order
}

/// What a server answered, or why it did not, for people.
pub(super) fn told(target: &Target, call: &str, status: &Status) -> String {
    // Only what the server did not send has a source.
    if let Some(source) = std::error::Error::source(status) {
        return format!("{}: {call}: {}", target.name, innermost(source));
    }
    let hint = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => " (the service's own credentials, not a caller's)",
        _ => "",
    };
    // Whatever stands in between may have written the message.
    let message = status.message().replace(char::is_control, " ");
    format!("{}: {call}: {:?}: {message}{hint}", target.name, status.code())
}
