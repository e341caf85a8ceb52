//! A service as a process: its settings, its logs, its start and its orderly end.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use gatekey_interceptor::{ConfigError, Gatekey};
use opentelemetry_otlp::ExporterBuildError;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::Level;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::traces::Traces;

/// How long a start waits for the first lease. Without one, Gatekey is asked about each token.
const FIRST_LEASE: Duration = Duration::from_secs(1);
/// How long requests may go on once the process is asked to end; streams would go on for ever.
const DRAIN: Duration = Duration::from_secs(5);

/// What both services are told on their command lines.
#[derive(Debug, Args)]
pub struct Settings {
    /// Gatekey's servers, separated by commas.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:50051")]
    gatekey: Vec<String>,
    /// A file with the JWT by which this service proves itself to Gatekey. Without it, the environment has the JWT, as
    /// GATEKEY_JWT.
    #[arg(long, value_name = "FILE")]
    jwt_file: Option<PathBuf>,
    /// What is logged, on standard error: a level, or target=level, …
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    #[arg(skip)]
    otlp_endpoint: Option<String>,
}

impl Settings {
    /// With traces, to this collector if there is one.
    #[must_use]
    pub fn with_traces(self, otlp_endpoint: Option<String>) -> Self {
        Self { otlp_endpoint, ..self }
    }
}

/// Resolves when a server is to stop.
pub type Stop = BoxFuture<'static, ()>;

/// Why the process failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("--log: {0}")]
    Log(#[from] ParseError),
    #[error("--otlp-endpoint: {0}")]
    Traces(#[from] ExporterBuildError),
    #[error("give --jwt-file, or set GATEKEY_JWT")]
    NoJwt,
    #[error(transparent)]
    Gatekey(#[from] ConfigError),
    #[error("signals can't be listened to: {0}")]
    Signals(io::Error),
    #[error("--addr {0}: {1}")]
    Bind(SocketAddr, io::Error),
    #[error("the server failed: {0}")]
    Server(Box<dyn Error + Send + Sync>),
}

/// Runs a service until SIGTERM or SIGINT. `serve` is [`serve_grpc`](crate::serve_grpc) or
/// [`serve_http`](crate::serve_http); `examples` are commands to paste, for the address that was bound.
pub async fn run<E: Into<Box<dyn Error + Send + Sync>>>(
    settings: Settings,
    addr: SocketAddr,
    examples: impl FnOnce(SocketAddr) -> String,
    serve: impl AsyncFnOnce(TcpListener, Gatekey, Stop) -> Result<(), E>,
) -> ExitCode {
    match try_run(settings, addr, examples, serve).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            writeln!(io::stderr(), "error: {failure}").ok();
            match failure {
                Failure::Log(_) | Failure::Traces(_) | Failure::NoJwt | Failure::Gatekey(_) => {
                    ExitCode::from(2)
                }
                Failure::Signals(_) | Failure::Bind(..) | Failure::Server(_) => ExitCode::FAILURE,
            }
        }
    }
}

async fn try_run<E: Into<Box<dyn Error + Send + Sync>>>(
    settings: Settings,
    addr: SocketAddr,
    examples: impl FnOnce(SocketAddr) -> String,
    serve: impl AsyncFnOnce(TcpListener, Gatekey, Stop) -> Result<(), E>,
) -> Result<(), Failure> {
    let traces = settings.otlp_endpoint.as_deref().map(Traces::start).transpose()?;
    start_logging(&settings.log, traces.as_ref())?;
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let gatekey = connect(settings)?;
    if timeout(FIRST_LEASE, gatekey.leased()).await.is_err() {
        tracing::warn!(trouble = gatekey.health().trouble.as_deref(), "no lease from Gatekey yet");
    }

    let listener = TcpListener::bind(addr).await.map_err(|cause| Failure::Bind(addr, cause))?;
    let bound = listener.local_addr().map_err(|cause| Failure::Bind(addr, cause))?;
    // If nobody reads them, the service is none the worse.
    writeln!(io::stderr(), "{}", examples(bound)).ok();
    writeln!(io::stdout(), "listening on http://{bound}").ok();

    let (stop, stopped) = oneshot::channel::<()>();
    let until = Box::pin(async {
        stopped.await.ok();
    });
    let drained = async {
        signals.first().await;
        tracing::info!("shutting down");
        stop.send(()).ok();
        tokio::select! {
            () = tokio::time::sleep(DRAIN) => tracing::warn!("what still runs is cut off"),
            () = signals.first() => tracing::warn!("asked again: what still runs is cut off"),
        }
    };
    let served = tokio::select! {
        served = serve(listener, gatekey.clone(), until) => served,
        () = drained => Ok(()),
    };
    // Last: until then, tokens of calls that still run may be revoked.
    gatekey.shutdown().await;
    if let Some(traces) = traces {
        // If it panics, that was told.
        tokio::task::spawn_blocking(move || traces.end()).await.ok();
    }
    served.map_err(|cause| Failure::Server(cause.into()))
}

fn start_logging(filter: &str, traces: Option<&Traces>) -> Result<(), ParseError> {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_filter(EnvFilter::try_new(filter)?);
    // Of the libraries' spans, none.
    let ours = Targets::new().with_target("gatekey_examples", Level::INFO);
    let spans = traces.map(|traces| traces.layer().with_filter(ours));
    tracing_subscriber::registry().with(lines).with(spans).init();
    Ok(())
}

fn connect(settings: Settings) -> Result<Gatekey, Failure> {
    let builder = Gatekey::builder(settings.gatekey);
    // The file goes first: it was asked for.
    let builder = match (settings.jwt_file, std::env::var("GATEKEY_JWT")) {
        (Some(file), _) => builder.bearer_file(file),
        (None, Ok(jwt)) => builder.bearer(&jwt),
        (None, Err(_)) => return Err(Failure::NoJwt),
    };
    Ok(builder.connect()?)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of either.
    async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
