//! The faults there are, and how one is drawn.

use std::time::Duration;

use fastrand::Rng;

use crate::{Disturb, Link};

/// How long a short fault lasts at most, in milliseconds.
const SHORT: u64 = 300;

/// A fault, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: What,
    pub(super) lasts: Duration,
}

/// What is done. Numbers are those of a fleet's replicas and holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It is killed, and started anew afterwards.
    KillReplica(usize),
    /// It is stopped, and woken afterwards.
    StopReplica(usize),
    /// It ends gracefully, and is started anew.
    RollReplica(usize),
    /// It ends as a crash does, and another takes its place.
    CrashHolder(usize),
    /// It is stopped, and woken afterwards.
    StopHolder(usize),
    /// A holder's link to one replica.
    HolderLink(usize, usize, Link),
    /// A holder's links to all replicas.
    HolderLinks(usize, Link),
    /// All holders' links to a replica.
    ReplicaLinks(usize, Link),
    /// A replica's link to its callers.
    CallerLink(usize, Link),
    /// A replica's link to the store.
    StoreLink(usize, Link),
    /// All replicas' links to the store.
    StoreLinks(Link),
    /// Nobody is notified.
    SuppressNotify,
    /// Every session at the store is ended.
    EndSessions,
    /// The store crashes and recovers.
    RestartStore,
    /// No COMMIT returns, and the waiting deletes are disturbed.
    HoldCommits(Disturb),
    /// A caller goes away in mid-wait, because a holder is stopped.
    CallerGone(usize),
}

/// How many there are to choose from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) replicas: usize,
    pub(super) holders: usize,
    /// The first of the holders have processes of their own.
    pub(super) processes: usize,
    pub(super) lease: Duration,
}

impl Fault {
    pub(super) fn draw(random: &mut Rng, choice: &Choice) -> Self {
        let replica = random.usize(..choice.replicas);
        let holder = random.usize(..choice.holders);
        let process = random.usize(..choice.processes);
        let link = draw_link(random);
        let disturb = if random.bool() { Disturb::Cancel } else { Disturb::Terminate };
        let what = match random.u8(..100) {
            0..5 => What::KillReplica(replica),
            5..15 => What::StopReplica(replica),
            15..17 => What::RollReplica(replica),
            17..25 => What::CrashHolder(holder),
            25..37 => What::StopHolder(process),
            37..44 => What::HolderLink(holder, replica, link),
            44..56 => What::HolderLinks(holder, link),
            56..64 => What::ReplicaLinks(replica, link),
            64..72 => What::CallerLink(replica, link),
            72..82 => What::StoreLink(replica, link),
            82..86 => What::StoreLinks(link),
            86..88 => What::SuppressNotify,
            88..92 => What::EndSessions,
            92..93 => What::RestartStore,
            93..95 => What::HoldCommits(disturb),
            _ => What::CallerGone(process),
        };
        Self { what, lasts: draw_length(random, choice.lease) }
    }

    /// A short one of the same kind.
    pub(super) fn shortened(self) -> Self {
        Self { lasts: self.lasts.min(Duration::from_millis(SHORT)), ..self }
    }

    /// Whether others go on meanwhile.
    pub(super) fn is_long(&self) -> bool {
        let takes_a_lease = matches!(self.what, What::RollReplica(_) | What::CallerGone(_));
        self.lasts > Duration::from_millis(SHORT) || takes_a_lease
    }
}

impl What {
    /// By which it is counted.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::KillReplica(_) => "a replica killed",
            Self::StopReplica(_) => "a replica stopped",
            Self::RollReplica(_) => "a replica rolled",
            Self::CrashHolder(_) => "a holder crashed",
            Self::StopHolder(_) => "a holder stopped",
            Self::HolderLink(..) => "a holder's link broken",
            Self::HolderLinks(..) => "a holder's links broken",
            Self::ReplicaLinks(..) => "a replica's links to holders broken",
            Self::CallerLink(..) => "a replica's link to callers broken",
            Self::StoreLink(..) => "a replica's link to the store broken",
            Self::StoreLinks(_) => "the links to the store broken",
            Self::SuppressNotify => "notifications suppressed",
            Self::EndSessions => "sessions ended",
            Self::RestartStore => "the store restarted",
            Self::HoldCommits(Disturb::Cancel) => "a held commit cancelled",
            Self::HoldCommits(Disturb::Terminate) => "a held commit's backend ended",
            Self::CallerGone(_) => "a delete's caller gone",
        }
    }
}

fn draw_link(random: &mut Rng) -> Link {
    match random.u8(..5) {
        0 => Link::CUT,
        1 => Link::STALLED,
        2 => Link::DEAF,
        3 => Link::MUTE,
        _ => Link::slow(Duration::from_millis(random.u64(1..100))),
    }
}

/// Mostly short; one in twelve lasts up to three leases, and then as likely as not exactly so long.
fn draw_length(random: &mut Rng, lease: Duration) -> Duration {
    if random.u8(..12) > 0 {
        return Duration::from_millis(random.u64(10..SHORT));
    }
    if random.bool() { 3 * lease } else { lease.mul_f64(3.0 * random.f64()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CHOICE: Choice = Choice { replicas: 3, holders: 50, processes: 2, lease: Duration::from_secs(2) };

    #[test]
    fn a_seed_draws_the_same_faults_again_and_two_thousand_are_of_every_kind() {
        let draw = |seed| {
            let mut random = Rng::with_seed(seed);
            (0..2_000).map(|_| Fault::draw(&mut random, &CHOICE)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let kinds: BTreeSet<&str> = draw(1).iter().map(|fault| fault.what.kind()).collect();
        assert_eq!(kinds.len(), 17);
        assert!(draw(1).iter().any(|fault| fault.lasts == 3 * CHOICE.lease));
    }
}
