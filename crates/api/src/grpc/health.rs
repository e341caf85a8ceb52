//! `grpc.health.v1.Health`, for load balancers and Kubernetes probes.
//!
//! The empty name and the services that need no store say whether the process is alive; the services
//! of Gatekey, and that for Envoy, say whether calls should be sent here. A server that is about to end is alive and not
//! ready; while it drains everything is NOT_SERVING, and watches end, so that they do not hold up the drain.

use std::collections::HashMap;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use gatekey_proto::health::health_check_response::ServingStatus;
use gatekey_proto::health::health_server::Health;
use gatekey_proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::{Phase, Readiness};

/// What the health of a name depends on.
#[derive(Clone, Copy)]
enum Depends {
    OnTheProcess,
    OnTheStore,
}

const NAMES: [(&str, Depends); 7] = [
    ("", Depends::OnTheProcess),
    ("gatekey.v1.TokenService", Depends::OnTheStore),
    ("gatekey.v1.RevocationService", Depends::OnTheStore),
    ("envoy.service.auth.v3.Authorization", Depends::OnTheStore),
    ("grpc.health.v1.Health", Depends::OnTheProcess),
    ("grpc.reflection.v1.ServerReflection", Depends::OnTheProcess),
    ("grpc.reflection.v1alpha.ServerReflection", Depends::OnTheProcess),
];

pub(super) struct HealthApi {
    readiness: Readiness,
}

impl HealthApi {
    pub(super) fn new(readiness: Readiness) -> Self {
        Self { readiness }
    }
}

fn depends(name: &str) -> Option<Depends> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, depends)| *depends)
}

fn response(depends: Option<Depends>, phase: Phase) -> HealthCheckResponse {
    let serving = match depends {
        None => return HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() },
        Some(Depends::OnTheProcess) => phase.is_live(),
        Some(Depends::OnTheStore) => phase.is_ready(),
    };
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthApi {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match depends(&request.get_ref().service) {
            None => Err(Status::not_found("no service of this name")),
            known => Ok(Response::new(response(known, self.readiness.phase()))),
        }
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let phase = self.readiness.phase();
        let statuses: HashMap<String, HealthCheckResponse> = NAMES
            .iter()
            .map(|(name, depends)| ((*name).to_owned(), response(Some(*depends), phase)))
            .collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let depends = depends(&request.get_ref().service);
        let following = Following { phases: self.readiness.follow(), depends, said: None };
        Ok(Response::new(stream::unfold(following, next).map(Ok).boxed()))
    }
}

struct Following {
    phases: watch::Receiver<Phase>,
    depends: Option<Depends>,
    said: Option<HealthCheckResponse>,
}

/// The next answer that differs from the last one; the end once draining was said.
async fn next(mut following: Following) -> Option<(HealthCheckResponse, Following)> {
    loop {
        let phase = *following.phases.borrow_and_update();
        let now = response(following.depends, phase);
        if following.said != Some(now) {
            following.said = Some(now);
            return Some((now, following));
        }
        if phase == Phase::Draining {
            return None;
        }
        following.phases.changed().await.ok()?;
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    async fn check(readiness: &Readiness, name: &str) -> Result<ServingStatus, tonic::Code> {
        let request = Request::new(HealthCheckRequest { service: name.to_owned() });
        let answer = HealthApi::new(readiness.clone()).check(request).await;
        answer.map(|answer| answer.get_ref().status()).map_err(|status| status.code())
    }

    #[test]
    fn every_service_of_the_contract_has_a_name() {
        let set =
            prost_types::FileDescriptorSet::decode(gatekey_proto::FILE_DESCRIPTOR_SET).expect("it decodes");
        for file in &set.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                assert!(depends(&name).is_some(), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn liveness_is_no_matter_of_the_store() {
        let readiness = Readiness::new(Phase::Starting);
        for phase in [Phase::Starting, Phase::StoreUnavailable, Phase::Serving, Phase::Leaving] {
            readiness.enter(phase);
            let ready =
                if phase == Phase::Serving { ServingStatus::Serving } else { ServingStatus::NotServing };
            assert_eq!(check(&readiness, "").await, Ok(ServingStatus::Serving), "{phase:?}");
            assert_eq!(check(&readiness, "gatekey.v1.TokenService").await, Ok(ready), "{phase:?}");
        }
        readiness.enter(Phase::Draining);
        assert_eq!(check(&readiness, "").await, Ok(ServingStatus::NotServing));
        assert_eq!(check(&readiness, "gatekey.v1.TokenService").await, Ok(ServingStatus::NotServing));
        assert_eq!(check(&readiness, "no.such.Service").await, Err(tonic::Code::NotFound));
    }

    #[tokio::test]
    async fn a_watch_tells_changes_and_ends_on_shutdown() {
        let readiness = Readiness::new(Phase::Serving);
        let request = Request::new(HealthCheckRequest { service: "gatekey.v1.TokenService".to_owned() });
        let answer = HealthApi::new(readiness.clone()).watch(request).await.expect("a stream");
        let mut statuses = answer.into_inner().map(|answer| answer.expect("no error").status());
        assert_eq!(statuses.next().await, Some(ServingStatus::Serving));
        readiness.enter(Phase::StoreUnavailable);
        assert_eq!(statuses.next().await, Some(ServingStatus::NotServing));
        readiness.enter(Phase::Serving);
        assert_eq!(statuses.next().await, Some(ServingStatus::Serving));
        readiness.enter(Phase::Draining);
        assert_eq!(statuses.next().await, Some(ServingStatus::NotServing));
        assert_eq!(statuses.next().await, None);
    }

    #[tokio::test]
    async fn a_watch_of_an_unknown_name_stays_open_until_shutdown() {
        let readiness = Readiness::new(Phase::Serving);
        let request = Request::new(HealthCheckRequest { service: "later".to_owned() });
        let answer = HealthApi::new(readiness.clone()).watch(request).await.expect("a stream");
        let mut statuses = answer.into_inner().map(|answer| answer.expect("no error").status());
        assert_eq!(statuses.next().await, Some(ServingStatus::ServiceUnknown));
        readiness.enter(Phase::Draining);
        assert_eq!(statuses.next().await, None);
    }

    #[tokio::test]
    async fn a_list_has_every_name() {
        let api = HealthApi::new(Readiness::new(Phase::Serving));
        let list = api.list(Request::new(HealthListRequest {})).await.expect("a list");
        assert_eq!(list.get_ref().statuses.len(), NAMES.len());
    }
}
