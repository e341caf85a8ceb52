//! What happened anywhere in an exploration: a model in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Something worth to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    HitAccepted,
    AnswerAccepted,
    AnswerFromReplicaCache,
    AnswerCached,
    AnswerKeptOut,
    ReadRefused,
    DeletedByAcks,
    DeletedByTime,
    RepeatReturned,
    HolderDropped,
    InvalidationSent,
    ResetSent,
    RowRemoved,
    Left,
    Released,
    Restarted,
    Forked,
    Promoted,
    LeaseOver,
}

/// How often each event happened.
#[derive(Debug, Default)]
pub(crate) struct Witness(Mutex<BTreeMap<Event, u64>>);

impl Witness {
    pub(crate) fn saw(&self, event: Event) {
        *self.0.lock().expect("no thread panics while it counts").entry(event).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<Event, u64> {
        self.0.lock().expect("no thread panics while it counts").clone()
    }
}
