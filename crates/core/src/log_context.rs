//! Which call a line of the log is about.
//!
//! A task-local, and no span of `tracing`: a span is made, filled and closed for each call, though nearly none of them writes a
//! line. That cost VerifyToken a tenth of its throughput (ADR 0030).

use std::sync::Arc;

use tokio::task::futures::TaskLocalFuture;
use tracing::Instrument;
use tracing::instrument::Instrumented;

tokio::task_local! {
    static CURRENT: Option<LogContext>;
}

/// What each line of the log says that is written for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogContext {
    /// The call's id.
    pub call_id: Arc<str>,
    /// Its path, as logs may show it.
    pub path: Arc<str>,
}

/// Work that is done for a call, or for none.
pub type ForCall<F> = TaskLocalFuture<Option<LogContext>, F>;

impl LogContext {
    /// That of the call for which this task works.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok().flatten()
    }

    /// Does something for the call.
    pub fn within<T>(&self, act: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Some(self.clone()), act)
    }

    /// Work for the call.
    pub fn follow<F: Future>(self, work: F) -> ForCall<F> {
        CURRENT.scope(Some(self), work)
    }
}

/// Work for the current call, and in the current span, that is to be a task of its own.
pub fn in_current_call<F: Future>(work: F) -> ForCall<Instrumented<F>> {
    CURRENT.scope(LogContext::current(), work.in_current_span())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> LogContext {
        LogContext { call_id: "7".into(), path: "/a".into() }
    }

    #[tokio::test]
    async fn a_task_of_its_own_goes_on_for_the_call_and_others_do_not() {
        assert_eq!(LogContext::current(), None);
        let both = context().follow(async {
            let alone = tokio::spawn(async { LogContext::current() });
            let carried = tokio::spawn(in_current_call(async { LogContext::current() }));
            (alone.await.expect("no panic"), carried.await.expect("no panic"))
        });
        assert_eq!(both.await, (None, Some(context())));
        assert_eq!(LogContext::current(), None);
        assert_eq!(context().within(LogContext::current), Some(context()));
        assert_eq!(in_current_call(async { LogContext::current() }).await, None);
    }
}
