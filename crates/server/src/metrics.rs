//! Figures for Prometheus, on a port of their own: `/metrics`. Nothing of any tenant is among them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use gatekey_api::{Readiness, http};
use gatekey_core::Revocations;
use gatekey_store_postgres::Connections;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::serve::{bind, local_addr};
use crate::store::LateStore;
use crate::{Failure, synchronous};

/// From a hit in memory to a lease that is waited out.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 30.0];
/// How often what was recorded is put in order, so that it does not heap up where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Where figures are kept.
#[derive(Clone)]
pub(crate) struct Recorder(PrometheusHandle);

/// What is read when somebody scrapes.
#[derive(Clone)]
struct Sources {
    recorder: Recorder,
    process: Arc<Collector>,
    revocations: Revocations,
    readiness: Readiness,
    store: LateStore,
}

impl Recorder {
    /// Takes figures from now on: before anything that has some begins.
    /// Nothing, if nobody is to see them.
    pub(crate) fn install(config: &Config) -> Result<Option<Self>, Failure> {
        if config.metrics_addr.is_none() {
            return Ok(None);
        }
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .map_err(|cause| Failure::run("the buckets of histograms", cause))?;
        let handle =
            builder.install_recorder().map_err(|cause| Failure::run("the recorder of figures", cause))?;
        describe();
        gauge!("gatekey_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!("gatekey_lease_seconds").set(config.lease.get().as_secs_f64());
        Ok(Some(Self(handle)))
    }

    async fn keep_up(self) {
        let mut ticks = interval(UPKEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn describe() {
    describe_gauge!("gatekey_build_info", "The version of the running program; always 1.");
    describe_gauge!("gatekey_ready", "1 if calls should be sent here, else 0.");
    describe_gauge!("gatekey_lease_left_seconds", "How much of this replica's lease from the store is left.");
    describe_gauge!("gatekey_lease_seconds", "How long a lease is.");
    describe_gauge!("gatekey_log_applied", "The newest revocation that this replica has applied.");
    describe_gauge!(
        "gatekey_log_behind",
        "How many revocations the head of the log is ahead of what is applied."
    );
    describe_gauge!("gatekey_holders", "Sessions of holders of leases, those of broken streams included.");
    describe_gauge!("gatekey_deletes_waiting", "Deletes that wait to be in force everywhere.");
    describe_counter!(
        "gatekey_deletes_total",
        "Deletes by how they came into force: everyone confirmed, a lease was waited out, or answered before."
    );
    describe_counter!("gatekey_lookups_total", "Look-ups of tokens by where the answer came from.");
    describe_gauge!(
        "gatekey_store_connections",
        "Connections to the store by what they are for, and by what they do."
    );
    describe_counter!(
        "gatekey_gateway_decisions_total",
        "Decisions for gateways by who asked and by what was said."
    );
    describe_gauge!(
        "gatekey_tls_certificate_begins_timestamp_seconds",
        "From when on the server's certificate is valid: seconds since 1970."
    );
    describe_gauge!(
        "gatekey_tls_certificate_expires_timestamp_seconds",
        "When the server's certificate, or one of its chain, expires: seconds since 1970."
    );
    describe_counter!(
        "gatekey_tls_reload_failures_total",
        "Looks at the files of TLS that found them bad: those before stay in force."
    );
    describe_counter!("gatekey_tls_handshakes_total", "TLS handshakes by what became of them.");
    describe_counter!(
        "gatekey_trace_spans_total",
        "Spans of traces by what became of them: sent, failed (not taken by the collector), or dropped (too many waited)."
    );
    describe_counter!("grpc_server_started_total", "Calls that have begun.");
    describe_counter!("grpc_server_handled_total", "Calls that have ended, by their code.");
    describe_histogram!("grpc_server_handling_seconds", "How long calls took.");
    describe_histogram!("http_server_request_duration_seconds", "How long requests over HTTP took.");
}

impl Sources {
    fn read(&self) -> String {
        let status = self.revocations.status();
        self.process.collect();
        gauge!("gatekey_ready").set(if self.readiness.phase().is_ready() { 1.0 } else { 0.0 });
        gauge!("gatekey_lease_left_seconds").set(status.lease_left.as_secs_f64());
        gauge!("gatekey_log_applied")
            .set(status.applied.map_or(0.0, |position| wide(position.seq.get().unsigned_abs())));
        gauge!("gatekey_log_behind").set(wide(status.behind));
        gauge!("gatekey_holders").set(wide(status.sessions as u64));
        gauge!("gatekey_deletes_waiting").set(wide(status.deletes_waiting as u64));
        let deletes = [
            ("confirmed", status.deletes_by_acks),
            ("waited_out", status.deletes_by_time),
            ("pending", status.deletes_pending),
        ];
        for (path, count) in deletes {
            counter!("gatekey_deletes_total", "path" => path).absolute(count);
        }
        for (source, count) in [("memory", status.hits), ("store", status.misses)] {
            counter!("gatekey_lookups_total", "source" => source).absolute(count);
        }
        for Connections { pool, idle, used } in self.store.connections().into_iter().flatten() {
            for (state, count) in [("idle", idle), ("used", used)] {
                gauge!("gatekey_store_connections", "pool" => pool, "state" => state).set(f64::from(count));
            }
        }
        self.recorder.0.render()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people; exact up to 2^53")]
fn wide(count: u64) -> f64 {
    count as f64
}

/// The port, served until this is dropped.
pub(crate) struct Scrapes {
    addr: SocketAddr,
    tasks: [JoinHandle<()>; 3],
}

impl Scrapes {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Scrapes {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Serves what the recorder has, if there is one.
pub(crate) async fn listen(
    recorder: Option<Recorder>,
    config: &Config,
    revocations: Revocations,
    readiness: Readiness,
    store: LateStore,
) -> Result<Option<Scrapes>, Failure> {
    let (Some(recorder), Some(address)) = (recorder, config.metrics_addr) else { return Ok(None) };
    let listener = bind("--metrics-addr", address).await?;
    let addr = local_addr(&listener)?;
    let process = Arc::new(Collector::default());
    process.describe();
    let upkeep = tokio::spawn(recorder.clone().keep_up());
    let synchronous = tokio::spawn(synchronous::follow(store.clone()));
    let sources = Sources { recorder, process, revocations, readiness, store };
    let router = Router::new().route("/metrics", get(scrape)).with_state(sources);
    let only_local = config.is_development();
    let served = tokio::spawn(http::serve_figures(listener, router, only_local));
    Ok(Some(Scrapes { addr, tasks: [upkeep, synchronous, served] }))
}

async fn scrape(State(sources): State<Sources>) -> impl IntoResponse {
    // The text format 0.0.4 of Prometheus.
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], sources.read())
}
