//! What can happen, when, and to whom. The queue gives events in the order of time, equal times in the order in
//! which they were scheduled.

use std::cmp::Ordering;
use std::time::Duration;

use gatekey_lease::{Down, Entry, FlightId, Head, Position, Read, ReplicaId, Row, Rows, Seq, Up};

use super::faults::Fault;
use crate::history::Nanos;
use crate::store::{Stored, TokenNumber};

/// A process, by its place in the world's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    Replica(usize),
    Holder(usize),
}

/// An event and when it happens. With a process it is handled by that life of it, or by nobody.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) at: Nanos,
    pub(super) number: u64,
    pub(super) to: Option<(Party, u32)>,
    pub(super) event: Event,
}

#[derive(Debug)]
pub(super) enum Event {
    /// The world's own.
    Create(TokenNumber),
    Delete {
        token: TokenNumber,
        attempt: u8,
    },
    /// Of a token that a holder has cached that is on a stream to this replica.
    DeleteCached {
        replica: usize,
    },
    /// Something goes wrong around a token that will be deleted.
    Target(TokenNumber),
    Fault(Fault),
    /// As the fault, but only this time.
    ForkOnce,
    /// A replica notices that its renewal connection is gone.
    LoseConnection(usize, u32),
    ClientGone {
        delete: usize,
    },
    Boot(Party),
    Resume(Party, u32),
    AtStore(Statement),
    /// A replica's.
    Renew,
    Tick,
    Wake,
    Poll,
    Connect,
    Exit,
    Reply {
        conn: u64,
        reply: Reply,
    },
    PoolClosed {
        conn: u64,
    },
    Up {
        stream: usize,
        message: Option<Up>,
    },
    Verify {
        call: usize,
    },
    ReadDone {
        read: Read,
        token: TokenNumber,
        asker: Asker,
        found: Option<Found>,
    },
    DeleteArrives {
        delete: usize,
    },
    Committed {
        delete: usize,
        written: Option<Written>,
    },
    RowsDue {
        delete: usize,
    },
    RowsRead {
        delete: usize,
        rows: Option<Rows>,
    },
    DeleteTick {
        delete: usize,
    },
    Created {
        token: TokenNumber,
        timeline: u32,
    },
    /// A holder's.
    RenewLease,
    Open,
    Down {
        stream: usize,
        message: Option<Down>,
    },
    Ask {
        flight: FlightId,
        token: TokenNumber,
    },
    Answer {
        call: usize,
        answer: CallAnswer,
    },
    /// Either's.
    Check(TokenNumber),
}

/// A statement on its way to a store.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) store: usize,
    pub(super) replica: usize,
    pub(super) life: u32,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// On the renewal connection.
    Op {
        conn: u64,
        op: Op,
    },
    Read {
        read: Read,
        token: TokenNumber,
        asker: Asker,
    },
    Create {
        token: TokenNumber,
    },
    Commit {
        delete: usize,
    },
    Rows {
        delete: usize,
    },
}

/// An operation of a replica on its renewal connection.
#[derive(Debug)]
pub(super) enum Op {
    Row {
        n: u64,
        lease: Duration,
    },
    /// The row of a transaction whose snapshot was taken before.
    LateRow {
        n: u64,
        lease: Duration,
        head: Head,
        entries: Vec<Entry>,
    },
    Head,
    Log {
        from: Seq,
    },
    Confirm {
        position: Position,
        confirmed: u32,
        waited_out: u32,
    },
    Remove {
        id: ReplicaId,
        n: u64,
    },
    Rows,
}

#[derive(Debug)]
pub(super) enum Reply {
    Row { inserted: bool },
    Snapshot { inserted: bool, head: Head, entries: Vec<Entry> },
    Head(Head),
    Log(Vec<Entry>),
    Rows(Vec<Row>),
    Removed { id: ReplicaId },
    Done,
    Broken,
}

/// Who waits for a read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// Somebody who asked the replica itself.
    Direct { invoked: Nanos },
    /// A holder.
    Call(usize),
}

/// What a read found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) token: Stored,
    pub(super) contains: bool,
    /// The store was the primary.
    pub(super) primary: bool,
}

/// What a delete's transaction came back with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) position: Position,
    pub(super) max_lease: Duration,
    /// The token had been deleted before.
    pub(super) again: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum CallAnswer {
    Good { cacheable: bool },
    Bad,
    Nothing,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, as a heap wants it.
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
