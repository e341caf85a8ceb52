//! What goes wrong with processes, streams and links, and how often at most. The store's own troubles are in
//! `failing.rs`.

use super::event::{Event, Party};
use super::{World, say};
use crate::counts::Count;
use crate::mutant::Mutant;
use crate::profile::{MILLISECOND, SECOND};
use crate::store::{TokenNumber, digest};

macro_rules! faults {
    ($($name:ident: $most:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($name,)*
        }

        pub(crate) const FAULTS: &[Fault] = &[$(Fault::$name,)*];

        impl Fault {
            /// How often it comes in one simulation at most.
            pub(crate) const fn most(self) -> u64 {
                match self {
                    $(Self::$name => $most,)*
                }
            }
        }
    };
}

faults! {
    BreakStream: 40,
    StallUp: 20,
    StallDown: 20,
    CrashReplica: 10,
    Leave: 5,
    CrashHolder: 10,
    Release: 10,
    ResetHolder: 5,
    MoveHolder: 40,
    PauseReplica: 8,
    PauseHolder: 12,
    BreakConnection: 20,
    Isolate: 6,
    Outage: 4,
    Failover: 3,
    Fork: 4,
    Restore: 1,
    SetBack: 0,
}

impl World {
    /// Something goes wrong, and will again.
    pub(super) fn fault(&mut self, fault: Fault) {
        let mean = self.profile.faults.iter().find(|(other, _)| *other == fault).map(|(_, mean)| *mean);
        if let Some(mean) = mean {
            let at = self.now + self.random.between(1, 2 * mean);
            self.schedule(at, Event::Fault(fault));
        }
        let replica = self.random.index(self.nodes.len());
        let holder = self.random.index(self.holders.len());
        self.strike(fault, replica, holder);
    }

    fn strike(&mut self, fault: Fault, replica: usize, holder: usize) {
        say!(self, "fault {fault:?} (replica {replica}, holder {holder})");
        let lease = self.nodes[replica].lease;
        match fault {
            Fault::BreakStream => {
                if let Some(stream) = self.holders[holder].stream {
                    self.break_stream(stream);
                }
            }
            Fault::StallUp | Fault::StallDown => {
                self.counts.saw(Count::Stalled);
                let until = self.now + self.random.magnitude(MILLISECOND, 3 * lease);
                let stream = self.holders[holder].stream;
                let replica = stream.map_or(replica, |stream| self.streams[stream].replica);
                let link = self.link(holder, replica);
                let stalled = match fault {
                    Fault::StallUp => &mut link.up_stalled_until,
                    _ => &mut link.down_stalled_until,
                };
                *stalled = until.max(*stalled);
            }
            Fault::CrashReplica => self.crash_replica(replica),
            Fault::Leave => self.leave(replica),
            Fault::CrashHolder => {
                self.counts.saw(Count::HolderCrashed);
                self.end_holder(holder);
            }
            Fault::Release => self.release(holder),
            Fault::ResetHolder => self.reset_holder(holder),
            Fault::MoveHolder => {
                self.counts.saw(Count::HolderMoved);
                if self.holders[holder].machine.is_some() {
                    self.plan_open(holder, self.now);
                }
            }
            Fault::PauseReplica => self.pause(Party::Replica(replica), 3 * lease),
            Fault::PauseHolder => self.pause(Party::Holder(holder), 3 * lease),
            Fault::BreakConnection => self.connection_lost(replica),
            Fault::Isolate => {
                self.counts.saw(Count::Isolated);
                self.nodes[replica].isolated_until = self.now + self.random.magnitude(SECOND, 3 * lease);
                if self.random.chance(500) {
                    self.connection_lost(replica);
                }
            }
            Fault::Outage => self.outage(),
            Fault::Failover => self.fail_over(),
            Fault::Fork => self.fork(),
            Fault::Restore => self.restore(),
            Fault::SetBack => self.set_back(replica, holder, lease),
        }
    }

    fn crash_replica(&mut self, replica: usize) {
        if self.alive(replica) {
            self.counts.saw(Count::ReplicaCrashed);
            let silently = self.random.chance(500);
            self.end_replica(replica, silently);
        }
    }

    fn pause(&mut self, party: Party, most: u64) {
        let process = self.process(party);
        if process.paused {
            return;
        }
        process.paused = true;
        let life = process.life;
        self.counts.saw(Count::Paused);
        let until = self.now + self.random.magnitude(MILLISECOND, most);
        self.schedule(until, Event::Resume(party, life));
    }

    /// A clock that is not monotonic.
    fn set_back(&mut self, replica: usize, holder: usize, lease: u64) {
        if !self.profile.is(Mutant::WallClock) {
            return;
        }
        self.counts.saw(Count::SetBack);
        let by = self.random.between(lease / 2, 2 * lease);
        let party = if self.random.chance(700) { Party::Holder(holder) } else { Party::Replica(replica) };
        self.process(party).clock.set_back(by);
    }

    /// Somebody who has the token cached, if there is anybody.
    fn who_has(&mut self, token: TokenNumber) -> Option<usize> {
        let digest = digest(token);
        let begin = self.random.index(self.holders.len());
        let holders = (begin..self.holders.len()).chain(0..begin);
        holders.into_iter().find(|holder| self.holders[*holder].cache.get(&digest).is_some())
    }

    /// A token will soon be deleted: something goes wrong with a holder that has it, or with its replica.
    pub(super) fn target(&mut self, token: TokenNumber) {
        let Some(holder) = self.who_has(token) else { return };
        let stream = self.holders[holder].stream;
        let replica = stream.map_or(0, |stream| self.streams[stream].replica);
        let fault = match self.random.below(12) {
            0..4 => Fault::StallDown,
            4 | 5 => Fault::BreakStream,
            6 => Fault::PauseHolder,
            7 => Fault::PauseReplica,
            8 => Fault::Isolate,
            9 => Fault::CrashReplica,
            10 => Fault::BreakConnection,
            _ => Fault::MoveHolder,
        };
        self.strike(fault, replica, holder);
        // Two things at once are worse than one.
        if self.random.chance(300) {
            let fault = [Fault::CrashReplica, Fault::MoveHolder, Fault::StallDown, Fault::Isolate];
            let fault = fault[self.random.index(4)];
            self.strike(fault, replica, holder);
        }
    }
}
