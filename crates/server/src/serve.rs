//! `gatekey serve`: from settings to a running server, and to its orderly end.

use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gatekey_api::{Authenticator, Gateways, Phase, Readiness, grpc, http};
use gatekey_core::{Revocations, Role, Store, SystemClock, Tokens};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, error, info, warn};

use crate::config::{Config, Mode, Settings};
use crate::dev_key::{DevCaller, DevKey};
use crate::metrics::{Recorder, Scrapes};
use crate::traces::Traces;
use crate::{Failure, metrics, store, telemetry, welcome};

/// How often the lease is looked at, for whether calls should be sent here.
const LEASE_PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// How long a start waits for the first lease.
const FIRST_LEASE: Duration = Duration::from_secs(5);
/// How long a JWT of development mode is good, in seconds.
const SESSION: u32 = 86_400;

pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let config = settings.check()?;
    let traces = telemetry::start(&config)?;
    let recorder = Recorder::install(&config)?;
    let mut signals = Signals::listen()?;
    let dev_key = dev_key(&config)?;
    let opened = store::open(&config.store).await?;
    opened.report().await;
    let store = traced(opened.shared(), &config);
    let revocations = Revocations::start(Arc::clone(&store), Arc::new(SystemClock), config.lease)
        .map_err(|cause| Failure::run("no random numbers", cause))?;
    let surface = surface(&config, dev_key.as_deref(), store, revocations.clone()).await?;
    let readiness = surface.readiness.clone();
    // Else the first verifications would be refused.
    if timeout(FIRST_LEASE, revocations.leased()).await.is_err() {
        warn!("no lease from the store yet: not ready until there is one");
        readiness.enter(Phase::StoreUnavailable);
    }

    let grpc_listener = bind("--grpc-addr", config.grpc_addr).await?;
    let http_listener = bind("--http-addr", config.http_addr).await?;
    let grpc_addr = local_addr(&grpc_listener)?;
    let http_addr = local_addr(&http_listener)?;
    let scrapes =
        metrics::listen(recorder, &config, revocations.clone(), readiness.clone(), opened.clone()).await?;

    let (stop, stopped) = watch::channel(());
    let only_local = surface.only_local;
    let http_router = http::router(http::Surface {
        tokens: surface.tokens.clone(),
        authenticator: Arc::clone(&surface.authenticator),
        gateways: surface.gateways.clone(),
        readiness: readiness.clone(),
        settings: config.http.clone(),
        development: dev_key.clone().map(|key| sign_in(key, http_addr.port())),
        traces: config.traces.is_some(),
    });
    let mut grpc_server =
        pin!(grpc::serve(grpc_listener, grpc::routes(surface), until_dropped(stopped.clone())));
    let mut http_server = pin!(http::serve(http_listener, http_router, until_dropped(stopped)));
    let probe = tokio::spawn(follow_lease(revocations.clone(), readiness.clone()));

    // Before the line that says it listens: whoever waits for that line finds the message complete.
    if let Some(key) = &dev_key {
        let message = welcome::message(
            &welcome::Addresses {
                grpc: grpc_addr,
                http: http_addr,
                base_path: config.http.base_path.as_str(),
            },
            &config.data_dir,
            &welcome_jwt(key)?,
        );
        if let Err(cause) = writeln!(std::io::stderr(), "{message}") {
            debug!(%cause, "standard error is closed: nobody is welcomed");
        }
    }
    let ready = listening(grpc_addr, http_addr, scrapes.as_ref().map(Scrapes::addr));
    if let Err(cause) = writeln!(std::io::stdout(), "{ready}") {
        warn!(%cause, "standard output is closed: nobody is told the addresses there");
    }
    info!(grpc = %grpc_addr, http = %http_addr, development = only_local, "listening");

    let ended_early = tokio::select! {
        () = signals.first() => None,
        ended = &mut grpc_server => Some(ended.map_err(|cause| Failure::run("the gRPC server failed", cause))),
        ended = &mut http_server => Some(ended.map_err(|cause| Failure::run("the HTTP server failed", cause))),
        // Another process does better than one that will never have a lease again.
        () = revocations.ended() => Some(Err(Failure::Run("a task of the replica ended by itself".to_owned()))),
    };
    if let Some(ended) = ended_early {
        return ended.and(Err(Failure::Run("a server ended by itself".to_owned())));
    }

    info!(seconds = config.drain_timeout.as_secs(), "shutting down: what runs may finish");
    readiness.enter(Phase::Draining);
    drop(stop);
    let drained = async {
        // Ends the holders' streams, so that the gRPC server can end. Its lease goes last.
        revocations.close_sessions();
        let (grpc, http) = tokio::join!(&mut grpc_server, &mut http_server);
        if let Err(cause) = grpc {
            error!(%cause, "the gRPC server failed while it drained");
        }
        if let Err(cause) = http {
            error!(%cause, "the HTTP server failed while it drained");
        }
        revocations.leave().await;
    };
    tokio::select! {
        drained = timeout(config.drain_timeout, drained) => {
            if drained.is_err() {
                warn!("some calls did not finish in time and are cut off");
            }
        }
        () = signals.first() => warn!("asked again to end: calls that run are cut off"),
    }
    probe.abort();
    // To the very end: what happens while it drains is a figure too.
    drop(scrapes);
    revocations.stop();
    opened.close().await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    info!("ended");
    Ok(())
}

/// The store, with spans where traces go anywhere.
fn traced(store: Arc<dyn Store>, config: &Config) -> Arc<dyn Store> {
    if config.traces.is_some() { Traces::store(store, &config.store) } else { store }
}

/// What is said on standard output, for programs that wait for it.
fn listening(grpc: SocketAddr, http: SocketAddr, metrics: Option<SocketAddr>) -> serde_json::Value {
    let mut ready = json!({ "event": "listening", "grpc": grpc.to_string(), "http": http.to_string() });
    if let Some(address) = metrics {
        ready["metrics"] = address.to_string().into();
    }
    ready
}

async fn surface(
    config: &Config,
    dev_key: Option<&DevKey>,
    store: Arc<dyn Store>,
    revocations: Revocations,
) -> Result<grpc::Surface, Failure> {
    let clock = Arc::new(SystemClock);
    let issuers = match (&config.mode, dev_key) {
        (Mode::Production(issuers), _) => issuers.clone(),
        (Mode::Development, Some(key)) => vec![key.issuer()],
        (Mode::Development, None) => Vec::new(),
    };
    let authenticator = Authenticator::new(issuers, clock.clone())
        .await
        .map_err(|cause| crate::config::ConfigError::one(format!("--jwks: {cause}")))?;
    let authenticator = Arc::new(authenticator);
    let only_local = config.is_development();
    let gateways = Gateways::new(Arc::clone(&authenticator), &config.gateway_peers, only_local);
    let token_settings =
        gatekey_core::Settings { prefix: config.prefix.clone(), tokens_per_tenant: config.tokens_per_tenant };
    Ok(grpc::Surface {
        tokens: Tokens::new(store, clock, token_settings, revocations.clone()),
        revocations,
        authenticator,
        gateways,
        readiness: Readiness::new(Phase::Serving),
        only_local,
        figures: config.metrics_addr.is_some(),
        traces: config.traces.is_some(),
    })
}

fn dev_key(config: &Config) -> Result<Option<Arc<DevKey>>, Failure> {
    if !config.is_development() {
        return Ok(None);
    }
    DevKey::in_folder(&config.data_dir)
        .map(|key| Some(Arc::new(key)))
        .map_err(|cause| Failure::run(&format!("the data folder {}", config.data_dir.display()), cause))
}

fn welcome_jwt(key: &DevKey) -> Result<String, Failure> {
    let roles = [Role::Developer, Role::Verifier];
    let caller = DevCaller { subject: "dev", tenant: Some("acme"), roles: &roles, ttl: SESSION };
    key.sign(&caller).map_err(|cause| Failure::run("the JWT can't be signed", cause))
}

/// The sign-in page of development mode.
fn sign_in(key: Arc<DevKey>, port: u16) -> http::DevelopmentSignIn {
    let sign: http::Sign = Arc::new(move |tenant, roles| {
        let caller = DevCaller { subject: "dev", tenant: Some(tenant.as_str()), roles, ttl: SESSION };
        key.sign(&caller).inspect_err(|cause| error!(%cause, "the JWT of a session can't be signed")).ok()
    });
    http::DevelopmentSignIn::new(sign, port)
}

pub(crate) async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|cause| Failure::run(&format!("{flag}: {address}"), cause))
}

pub(crate) fn local_addr(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|cause| Failure::run("the bound address", cause))
}

async fn until_dropped(mut stopped: watch::Receiver<()>) {
    // Nothing is ever sent: the channel's end is the sign.
    while stopped.changed().await.is_ok() {}
}

/// Keeps the readiness in step with whether there is a lease. It outlives the store by up to its length, and
/// verifications are answered for as long.
async fn follow_lease(revocations: Revocations, readiness: Readiness) {
    let mut ticks = interval(LEASE_PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if revocations.status().leased {
            if readiness.enter(Phase::Serving) {
                info!("the store answers again");
            }
        } else if readiness.enter(Phase::StoreUnavailable) {
            warn!("no lease from the store: not ready until there is one");
        }
    }
}

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|cause| Failure::run("signals can't be listened to", cause));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next of either.
    pub(crate) async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
