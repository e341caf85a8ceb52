//! The spans of traces that begin here, and the mark by which every span of a trace is known. Where spans go is the server's
//! affair; without `--otlp-endpoint` nobody has an interest in this target, and making one costs a look at one flag.

use gatekey_lease::Receipt;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::{Error, StoreError};

/// The target of every span that belongs to a trace, and of nothing else. Lines of the log are no part of traces: what they tell
/// is not made for leaving the machine. No module's path begins so: the log leaves out all that does.
pub const TRACES: &str = "gatekey_spans";

/// While a delete waits to be in force everywhere.
pub(crate) fn awaiting() -> Span {
    info_span!(
        target: TRACES,
        "await revocation",
        "gatekey.holders_confirmed" = Empty,
        "gatekey.leases_waited_out" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// How that went.
pub(crate) fn awaited(span: &Span, outcome: &Result<Receipt, Error>) {
    match outcome {
        Ok(receipt) => {
            span.record("gatekey.holders_confirmed", receipt.holders_confirmed);
            span.record("gatekey.leases_waited_out", receipt.leases_waited_out);
        }
        Err(error) => fail(
            span,
            match error {
                Error::RevocationPending { .. } => "revocation_pending",
                Error::Store(cause) => cause.kind(),
                _ => "_OTHER",
            },
        ),
    }
}

/// Notes on a span that what it stands for failed. `kind` is one of few words of ours: OpenTelemetry's `error.type`.
pub fn fail(span: &Span, kind: &'static str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

impl StoreError {
    /// What kind of error it is, in a word. Its cause may have a stranger's text.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Full(_) => "full",
            Self::Broken(_) => "broken",
        }
    }
}
