//! Puts the ids of the current trace into each line of the log that is JSON, under the names that OpenTelemetry has for logs:
//! `trace_id`, `span_id` and `trace_flags`. A line outside of every trace has none.

use std::fmt::{Result, Write};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A format of JSON lines, with ids.
pub(crate) struct WithIds<F>(pub(crate) F);

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> Result {
        let Some(trace) = current() else { return self.0.format_event(context, writer, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        write_with(&trace, &line, &mut writer)
    }
}

/// That of the innermost span.
fn current() -> Option<SpanContext> {
    Context::map_current(|context| {
        context.has_active_span().then(|| context.span().span_context().clone()).filter(SpanContext::is_valid)
    })
}

fn write_with(trace: &SpanContext, line: &str, writer: &mut impl Write) -> Result {
    let Some(rest) = line.strip_prefix('{') else { return writer.write_str(line) };
    let (id, span, flags) = (trace.trace_id(), trace.span_id(), trace.trace_flags());
    write!(writer, r#"{{"trace_id":"{id}","span_id":"{span}","trace_flags":"{flags:02x}",{rest}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    #[test]
    fn ids_come_first_and_what_is_no_object_stays() {
        let trace =
            SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, TraceState::NONE);
        let with = |line: &str| {
            let mut text = String::new();
            write_with(&trace, line, &mut text).expect("memory");
            text
        };
        let line: serde_json::Value = serde_json::from_str(&with("{\"level\":\"INFO\"}\n")).expect("JSON");
        assert_eq!(line["trace_id"], "00000000000000000000000000000007");
        assert_eq!(
            (line["span_id"].as_str(), line["trace_flags"].as_str()),
            (Some("0000000000000009"), Some("01"))
        );
        assert_eq!(line["level"], "INFO");
        assert_eq!(with("text\n"), "text\n");
    }
}
