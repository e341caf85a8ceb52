//! Logs: on standard error, structured, for people or for machines.

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, LogFormat};

/// Starts logging as configured.
pub(crate) fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&config.log).map_err(|cause| {
        ConfigError::one(format!("--log: {cause}; give a level (info) or target=level, …"))
    })?;
    // If nobody can be told, nobody can be told that either: by default it would be a panic.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => {
            logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).init();
        }
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).init(),
    }
    Ok(())
}
