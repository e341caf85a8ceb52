//! Puts into each line of the log what it is about: the call, if it was written for one, as `call.id` and `call.path`; and in
//! JSON the ids of the current trace, under the names that OpenTelemetry has for logs: `trace_id`, `span_id` and `trace_flags`.

use std::fmt::{self, Write};

use gatekey_core::LogContext;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

/// Lines that say it, made of those of another format.
pub(crate) struct Lines<F> {
    /// JSON lines say it at their beginning, lines for people at their end.
    pub(crate) kind: LogFormat,
    pub(crate) rest: F,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
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
    ) -> fmt::Result {
        let call = LogContext::current();
        let trace = if self.kind == LogFormat::Json { current_trace() } else { None };
        if trace.is_none() && call.is_none() {
            return self.rest.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.rest.format_event(context, Writer::new(&mut line), event)?;
        match self.kind {
            LogFormat::Json => write_json(trace.as_ref(), call.as_ref(), &line, &mut writer),
            LogFormat::Text => write_text(call.as_ref(), &line, &mut writer),
        }
    }
}

/// That of the innermost span.
fn current_trace() -> Option<SpanContext> {
    Context::map_current(|context| {
        context.has_active_span().then(|| context.span().span_context().clone()).filter(SpanContext::is_valid)
    })
}

fn write_json(
    trace: Option<&SpanContext>,
    call: Option<&LogContext>,
    line: &str,
    writer: &mut impl Write,
) -> fmt::Result {
    let Some(rest) = line.strip_prefix('{') else { return writer.write_str(line) };
    writer.write_char('{')?;
    if let Some(trace) = trace {
        let (id, span, flags) = (trace.trace_id(), trace.span_id(), trace.trace_flags());
        write!(writer, r#""trace_id":"{id}","span_id":"{span}","trace_flags":"{flags:02x}","#)?;
    }
    if let Some(LogContext { call_id, path }) = call {
        // Both are made of a few kinds of characters, none of which JSON escapes.
        write!(writer, r#""call.id":"{call_id}","call.path":"{path}","#)?;
    }
    writer.write_str(rest)
}

fn write_text(call: Option<&LogContext>, line: &str, writer: &mut impl Write) -> fmt::Result {
    let Some(LogContext { call_id, path }) = call else { return writer.write_str(line) };
    writeln!(writer, "{} call.id={call_id} call.path={path}", line.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    fn trace() -> SpanContext {
        SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, TraceState::NONE)
    }

    fn call() -> LogContext {
        LogContext { call_id: "67e5:a.b".into(), path: "/api/v3/tokens/7".into() }
    }

    fn json(trace: Option<&SpanContext>, call: Option<&LogContext>, line: &str) -> String {
        let mut text = String::new();
        write_json(trace, call, line, &mut text).expect("memory");
        text
    }

    #[test]
    fn ids_come_first_and_what_is_no_object_stays() {
        let (trace, call) = (trace(), call());
        for (trace, call) in
            [(Some(&trace), Some(&call)), (Some(&trace), None), (None, Some(&call)), (None, None)]
        {
            let text = json(trace, call, "{\"level\":\"INFO\"}\n");
            let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let said = |name: &str| line.get(name).and_then(|value| value.as_str());
            assert_eq!(said("trace_id"), trace.map(|_| "00000000000000000000000000000007"));
            assert_eq!(said("span_id"), trace.map(|_| "0000000000000009"));
            assert_eq!(said("trace_flags"), trace.map(|_| "01"));
            assert_eq!(said("call.id"), call.map(|_| "67e5:a.b"));
            assert_eq!(said("call.path"), call.map(|_| "/api/v3/tokens/7"));
            assert_eq!(said("level"), Some("INFO"));
        }
        assert_eq!(json(Some(&trace), Some(&call), "text\n"), "text\n");
    }

    #[test]
    fn in_text_the_call_comes_last() {
        let mut text = String::new();
        write_text(Some(&call()), "INFO token deleted\n", &mut text).expect("memory");
        assert_eq!(text, "INFO token deleted call.id=67e5:a.b call.path=/api/v3/tokens/7\n");
    }
}
