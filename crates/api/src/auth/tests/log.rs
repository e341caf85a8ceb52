//! What the code under test logs on this thread.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Event, Metadata, Subscriber};

/// The lines of all events, each with its level and target.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Logs here until the guard is dropped.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        static ASK_EACH_TIME: Once = Once::new();
        // A callsite that another thread meets first, without a log, would be taken for uninteresting for ever if this
        // log begins just then.
        ASK_EACH_TIME.call_once(|| {
            tracing::subscriber::set_global_default(Nowhere).expect("no test sets another");
        });
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// The lines so far whose target begins so.
    pub(crate) fn of(&self, target: &str) -> String {
        let lines = self.0.lock().expect("nobody panics with it");
        let of_target = |line: &&String| line.split(' ').nth(1).is_some_and(|from| from.starts_with(target));
        lines.iter().filter(of_target).fold(String::new(), |text, line| text + line + "\n")
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        self.0.lock().expect("nobody panics with it").push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Logs nothing, and has to be asked each time.
struct Nowhere;

impl Subscriber for Nowhere {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn event(&self, _: &Event<'_>) {}

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a text takes all");
    }
}
