//! `gatekey serve`: from settings to a running server, and to its orderly end.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gatekey_api::{Authenticator, Gateways, Phase, Readiness, grpc, http};
use gatekey_core::{Revocations, Role, Store, SystemClock, Tokens};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use crate::config::{Config, Mode, Settings};
use crate::dev_key::{DevCaller, DevKey};
use crate::ending::Ending;
use crate::health_port::HealthPort;
use crate::metrics::{Recorder, Scrapes};
use crate::servers::Servers;
use crate::signals::Signals;
use crate::store::LateStore;
use crate::traces::Traces;
use crate::{Failure, certificates, descriptors, metrics, starting, supervisor, telemetry, welcome};

/// How often the lease is looked at, for whether calls should be sent here.
const LEASE_PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// How long a JWT of development mode is good, in seconds.
const SESSION: u32 = 86_400;

pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let config = settings.check()?;
    let traces = telemetry::start(&config)?;
    descriptors::raise();
    let recorder = Recorder::install(&config)?;
    let mut signals = Signals::listen()?;
    let tls = certificates::start(&config)?;
    let dev_key = dev_key(&config)?;
    let store = LateStore::default();
    let shared = traced(store.shared(), &config);
    let revocations = Revocations::start(Arc::clone(&shared), Arc::new(SystemClock), config.lease)
        .map_err(|cause| Failure::run("no random numbers", cause))?;
    let surface = surface(&config, dev_key.as_deref(), shared, revocations.clone()).await?;
    let readiness = surface.readiness.clone();

    let grpc_listener = bind("--grpc-addr", config.grpc_addr).await?;
    let http_listener = bind("--http-addr", config.http_addr).await?;
    let (grpc_addr, http_addr) = (local_addr(&grpc_listener)?, local_addr(&http_listener)?);
    let scrapes =
        metrics::listen(recorder, &config, revocations.clone(), readiness.clone(), store.clone()).await?;
    let health = HealthPort::open(&config, readiness.clone()).await?;
    let http_router = http::router(http::Surface {
        tokens: surface.tokens.clone(),
        authenticator: Arc::clone(&surface.authenticator),
        gateways: surface.gateways.clone(),
        readiness: readiness.clone(),
        settings: config.http.clone(),
        development: dev_key.clone().map(|key| sign_in(key, http_addr.port())),
        traces: config.traces.is_some(),
    });
    let grpc = (grpc_listener, grpc::routes(surface));
    let mut servers = Servers::start(grpc, config.life.connection_age, (http_listener, http_router), tls);
    debug!(grpc = %grpc_addr, http = %http_addr, "bound");

    let leased = tokio::select! {
        started = starting::wait(&config, &store, &revocations) => started?,
        failure = servers.ended() => return Err(failure),
        () = signals.first() => {
            info!("asked to end before it was ready");
            revocations.stop();
            store.close().await;
            return Ok(());
        }
    };
    if !leased {
        warn!("no lease from the store yet: not ready until there is one");
    }
    readiness.enter(if leased { Phase::Serving } else { Phase::StoreUnavailable });
    let probe = tokio::spawn(follow_lease(revocations.clone(), readiness.clone()));
    // Before the line that says it listens: whoever waits for that line finds the message complete.
    if let Some(key) = &dev_key {
        welcome(&config, key, (grpc_addr, http_addr))?;
    }
    let ready = listening(
        grpc_addr,
        http_addr,
        [("metrics", scrapes.as_ref().map(Scrapes::addr)), ("health", health.as_ref().map(HealthPort::addr))],
    );
    if let Err(cause) = writeln!(std::io::stdout(), "{ready}") {
        warn!(%cause, "standard output is closed: nobody is told the addresses there");
    }
    supervisor::ready();
    info!(grpc = %grpc_addr, http = %http_addr, development = config.is_development(), "listening");

    tokio::select! {
        () = signals.first() => {}
        failure = servers.ended() => return Err(failure),
        // Another process does better than one that will never have a lease again.
        () = revocations.ended() => return Err(Failure::Run("a task of the replica ended by itself".to_owned())),
    }
    supervisor::stopping();
    let (life, lease) = (config.life, config.lease.get());
    Ending { readiness, servers, revocations: revocations.clone(), life, lease }.run(&mut signals).await;
    probe.abort();
    // To the very end: what happens while it drains is a figure too.
    drop((scrapes, health));
    revocations.stop();
    store.close().await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    info!("ended");
    Ok(())
}

/// Tells a person what to do with a server in development mode.
fn welcome(config: &Config, key: &DevKey, (grpc, http): (SocketAddr, SocketAddr)) -> Result<(), Failure> {
    let addresses = welcome::Addresses {
        grpc,
        http,
        base_path: config.http.base_path.as_str(),
        certificate: config.tls.as_ref().map(|tls| tls.settings.files.certificate.as_path()),
    };
    let message = welcome::message(&addresses, &config.data_dir, &welcome_jwt(key)?);
    if let Err(cause) = writeln!(std::io::stderr(), "{message}") {
        debug!(%cause, "standard error is closed: nobody is welcomed");
    }
    Ok(())
}

/// The store, with spans where traces go anywhere.
fn traced(store: Arc<dyn Store>, config: &Config) -> Arc<dyn Store> {
    if config.traces.is_some() { Traces::store(store, &config.store) } else { store }
}

/// What is said on standard output, for programs that wait for it.
fn listening(
    grpc: SocketAddr,
    http: SocketAddr,
    others: [(&str, Option<SocketAddr>); 2],
) -> serde_json::Value {
    let mut ready = json!({ "event": "listening", "grpc": grpc.to_string(), "http": http.to_string() });
    for (name, address) in others {
        if let Some(address) = address {
            ready[name] = address.to_string().into();
        }
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
        readiness: Readiness::new(Phase::Starting),
        only_local,
        connection_age: config.life.connection_age,
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
