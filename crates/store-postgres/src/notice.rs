//! Commits, and listens for a warning while it does.
//!
//! If the wait for a synchronous standby is cancelled, Postgres reports success and a warning: the
//! write is here and nowhere else, and lost in a failover. sqlx hands notices to `tracing` only, so
//! that is where they are caught, for this one commit.

use std::cell::RefCell;
use std::fmt;
use std::sync::LazyLock;

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::fault::Fault;
use crate::statements::Transaction;

tokio::task_local! {
    static HEARD: RefCell<Option<String>>;
}

/// One for the process: making a dispatcher is costly.
static LISTENER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Listener));

/// Commits. A commit with a warning is none that a caller may rely on.
pub(crate) async fn commit(transaction: Transaction<'_>) -> Result<(), Fault> {
    let commit = async {
        let committed = transaction.commit().with_subscriber(LISTENER.clone()).await;
        (committed, HEARD.with(RefCell::take))
    };
    let (committed, warning) = HEARD.scope(RefCell::default(), commit).await;
    committed?;
    warning.map_or(Ok(()), |warning| Err(Fault::CommitWarning(warning)))
}

/// Hears sqlx's notices of warnings, and nothing else.
struct Listener;

impl Listener {
    fn hears(metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::postgres::notice" && *metadata.level() <= Level::WARN
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::hears(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::hears(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        if Self::hears(event.metadata()) {
            let mut text = Text(String::new());
            event.record(&mut text);
            // Outside of a commit there is nobody to tell.
            let _ = HEARD.try_with(|heard| heard.replace(Some(text.0)));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The text of an event.
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
