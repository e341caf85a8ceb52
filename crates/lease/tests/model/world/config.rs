//! What a model contains, how much of everything may happen, and which rule is missing.

use gatekey_lease::{Rule, Rules};

/// A lease, in the clocks' units. A wait for it is 25.
pub(crate) const LEASE: u64 = 20;

/// How a true clock counts: 10 units a step of time, so that a lease is 2 steps and a wait for it 3.
pub(crate) const TRUE_RATE: u64 = 10;

/// A rule that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// One that the machines keep.
    Machine(Rule),
    /// The head is read in the transaction that commits the row, from its snapshot.
    OneSnapshot,
    /// Grants may overtake invalidations.
    TwoQueues,
    /// The holder's clock may be set back.
    WallClock,
    /// An old primary goes on committing renewals after the failover.
    RenewalNotReplicated,
    /// A replica that crashed comes back with its old id.
    IdReused,
    /// The token comes from a replica's cache, and whether the answer may be cached from the store.
    TwoReads,
}

/// A model.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether one thing can happen")]
pub(crate) struct Config {
    /// How many replicas; 1 or 2.
    pub(crate) replicas: usize,
    /// Nobody is registered at the start, and only the holder's cache is filled. Otherwise everyone has a
    /// lease and the token cached.
    pub(crate) cold: bool,
    /// The last step of time; a cold start is at 3.
    pub(crate) horizon: u8,
    /// Clock rates: deleter, holder, replicas.
    pub(crate) rates: [u64; 4],
    /// How many renewals each replica may begin, and how many the holder may ask for, after the start.
    pub(crate) renewals: [u8; 2],
    pub(crate) grants: u8,
    /// How many replicas may crash; each may come back.
    pub(crate) crashes: u8,
    /// Replicas may leave, and the holder may release its lease.
    pub(crate) departures: bool,
    /// How many streams the holder may open after the start.
    pub(crate) streams: u8,
    /// To which replicas it may open them, and ask.
    pub(crate) targets: usize,
    /// A replica may lose a stream that the holder still takes for good.
    pub(crate) breaks: bool,
    /// Messages of a stream that the holder gave up may still arrive.
    pub(crate) late_messages: bool,
    /// How many verifications may be sent.
    pub(crate) verifications: u8,
    /// A renewal takes time: its row is committed and its head is read.
    pub(crate) slow_renewals: bool,
    /// Verifications may be lost.
    pub(crate) loss: bool,
    /// A read takes time: it is sent and it is answered.
    pub(crate) slow_reads: bool,
    /// Replicas have caches.
    pub(crate) replica_caches: bool,
    /// Replicas acknowledge; otherwise deletes wait by time only.
    pub(crate) acks: bool,
    /// Replicas look for new entries between renewals.
    pub(crate) polls: bool,
    /// Replicas remove the rows of others.
    pub(crate) removal: bool,
    /// How many deletes of the token may be begun (more than one only where history may lose one).
    pub(crate) deletes: u8,
    /// A delete's transaction takes time.
    pub(crate) slow_commits: bool,
    /// How many repeats of the delete.
    pub(crate) repeats: u8,
    /// How many deletes of another token.
    pub(crate) others: u8,
    /// How often history may lose entries whose commit was not acknowledged.
    pub(crate) forks: u8,
    /// Forks change the epoch.
    pub(crate) new_epoch: bool,
    /// A standby may be promoted while the old primary lives on.
    pub(crate) failover: bool,
    /// Entries that a replica remembers.
    pub(crate) remembered: usize,
    /// The rule that is missing.
    pub(crate) mutant: Option<Mutant>,
}

impl Config {
    /// The time-only protocol and acknowledgements with one replica that is up and one holder that has the
    /// token cached; nothing breaks.
    pub(crate) const ONE: Self = Self {
        replicas: 1,
        cold: false,
        horizon: 5,
        rates: [TRUE_RATE; 4],
        renewals: [2; 2],
        grants: 2,
        crashes: 0,
        departures: false,
        streams: 0,
        targets: 1,
        breaks: false,
        late_messages: false,
        verifications: 0,
        slow_renewals: false,
        loss: false,
        slow_reads: false,
        replica_caches: false,
        acks: true,
        polls: true,
        removal: false,
        deletes: 1,
        slow_commits: false,
        repeats: 0,
        others: 0,
        forks: 0,
        new_epoch: false,
        failover: false,
        remembered: 8,
        mutant: None,
    };

    /// Without this rule.
    pub(crate) const fn without(self, mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..self }
    }

    /// The rules for the machines.
    pub(crate) fn rules(&self) -> Rules {
        match self.mutant {
            Some(Mutant::Machine(rule)) => Rules::without(rule),
            _ => Rules::ALL,
        }
    }

    /// Whether this is missing.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether positions are compared by their numbers only when something is acknowledged.
    pub(crate) fn bare_ack(&self) -> bool {
        self.is(Mutant::Machine(Rule::AckByPosition))
    }
}
