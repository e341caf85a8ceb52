//! What happened in simulations, and how often: figures for the reader, and proof that each fault occurred.

use std::fmt;

macro_rules! counts {
    ($($name:ident: $text:literal,)*) => {
        /// Something that happens in a simulation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Count {
            $(#[doc = $text] $name,)*
        }

        /// Everything that is counted.
        pub const COUNTS: &[Count] = &[$(Count::$name,)*];

        impl Count {
            /// What is counted, in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

counts! {
    Event: "events",
    CachedAccept: "accepts from a holder's cache",
    CachedAcceptAtReplica: "accepts from a replica's cache",
    ReadAccept: "accepts after a read of the store",
    SharedAnswer: "requests that shared a flight",
    LookedAgain: "requests that waited for a flight and looked again",
    EnteredCache: "answers that entered a holder's cache",
    KeptOut: "answers that were kept out of a holder's cache",
    ReadRefused: "reads that were refused by the replica",
    KnownBad: "rejects from a cache of negatives",
    DeletedByAcks: "deletes by acknowledgements",
    DeletedByTime: "deletes by time",
    RepeatedDelete: "deletes of a token deleted already",
    DeleteLate: "deletes that were late",
    DeleteLost: "deletes that were lost in a fork",
    DeleteAbandoned: "deletes whose client went away or whose replica died",
    CommitWarned: "commits that came back with a warning",
    Renewed: "renewals committed by replicas",
    Granted: "grants received by holders",
    Invalidated: "invalidations received by holders",
    Delta: "holders that came back and got no Reset",
    Reset: "Resets received by holders",
    Forked: "forks noticed by replicas",
    NotifyLost: "wake-ups lost",
    PollFound: "polls that found new entries",
    RowRemoved: "rows removed by other replicas",
    Left: "rows removed by their owners",
    StaleStatement: "statements carried out after their connection was given up",
    LateMessage: "messages of streams that the holder had given up",
    StreamBroken: "streams broken",
    StreamAbandoned: "streams given up by their holder",
    Stalled: "links stalled one way",
    ReplicaCrashed: "replicas crashed",
    ReplicaRestarted: "replicas started again",
    ReplicaLeft: "replicas told to leave",
    Dismissed: "holders asked to go elsewhere",
    HolderCrashed: "holders crashed",
    HolderReleased: "holders that released their lease",
    HolderReset: "holders reset by hand",
    HolderMoved: "holders that moved to another stream",
    Paused: "processes paused",
    Outage: "store outages",
    ConnectionLost: "renewal connections lost",
    Isolated: "replicas cut off from the store",
    Promoted: "failovers with the old primary alive",
    ReadAtOldPrimary: "reads at an old primary",
    UnknownAtOldPrimary: "tokens that an old primary did not know",
    WriteAtOldPrimary: "writes that an old primary never acknowledged",
    HistoryForked: "forks of history",
    EntriesLost: "log entries lost in forks",
    Restored: "backups restored",
    SetBack: "clocks set back",
}

/// How often each happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; COUNTS.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; COUNTS.len()])
    }
}

impl Counts {
    pub(crate) const fn saw(&mut self, count: Count) {
        self.0[count as usize] += 1;
    }

    pub(crate) fn saw_many(&mut self, count: Count, times: usize) {
        self.0[count as usize] += times as u64;
    }

    /// How often this happened.
    #[must_use]
    pub const fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    /// Adds those of another simulation.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for count in COUNTS {
            writeln!(f, "{:>14}  {}", self.of(*count), count.text())?;
        }
        Ok(())
    }
}
