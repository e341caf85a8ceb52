//! Logs: on standard error, structured, for people or for machines. And the layer of traces beside them, if there are some.

use gatekey_core::TRACES;
use tracing::Subscriber;
use tracing_subscriber::fmt::format::{JsonFields, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::Failure;
use crate::config::{Config, ConfigError, LogFormat};
use crate::log_lines::Lines;
use crate::traces::Traces;

/// Starts logging as configured, and traces if they are to go anywhere.
pub(crate) fn start(config: &Config) -> Result<Option<Traces>, Failure> {
    let filter = EnvFilter::try_new(&config.log).map_err(|cause| {
        ConfigError::one(format!("--log: {cause}; give a level (info) or target=level, …"))
    })?;
    // Spans of traces are no part of the log. As they are of one target, nobody has an interest in them where they go nowhere.
    let none = format!("{TRACES}=off").parse().expect("a target and a level");
    let filter = filter.add_directive(none);
    let traces = Traces::install(config)?;
    match &traces {
        // One filter for all: what is not logged costs the least.
        None => registry().with(filter).with(lines(config.log_format)).init(),
        Some(traces) => {
            registry().with(lines(config.log_format).with_filter(filter)).with(traces.layer()).init();
        }
    }
    Ok(traces)
}

fn lines<S>(kind: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // If nobody can be told, nobody can be told that either: by default it would be a panic.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    match kind {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let rest = format().with_target(false).with_ansi(colours);
            lines.with_ansi(colours).event_format(Lines { kind, rest }).boxed()
        }
        LogFormat::Json => {
            let rest = format().json().flatten_event(true).with_span_list(false);
            lines.fmt_fields(JsonFields::new()).event_format(Lines { kind, rest }).boxed()
        }
    }
}
