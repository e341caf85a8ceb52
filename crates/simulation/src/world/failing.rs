//! What goes wrong with the store: outages, failovers with the old primary alive, forks of history, and backups
//! that are restored.

use super::event::Event;
use super::{World, say};
use crate::counts::Count;
use crate::profile::{MILLISECOND, SECOND};
use crate::store::{Stored, TokenNumber};

impl World {
    /// Nobody reaches the store for a while.
    pub(super) fn outage(&mut self) {
        self.counts.saw(Count::Outage);
        let longest = self.profile.longest_lease();
        let until = self.now + self.random.magnitude(10 * MILLISECOND, 2 * longest);
        self.down_until = self.down_until.max(until);
    }

    /// A standby takes over that has everything, renewals too, since replication is synchronous. The old primary
    /// lives on: it answers reads, and waits for ever with what is written.
    pub(super) fn fail_over(&mut self) {
        self.counts.saw(Count::Promoted);
        let old = self.primary();
        let mut standby = self.stores[old].clone();
        if self.random.chance(500) {
            self.epochs += 1;
            standby.set_epoch(self.epochs);
        }
        self.stores.push(standby);
        say!(self, "store {} takes over from {old}", old + 1);
        self.stale_until = self.now + self.random.below(self.profile.longest_lease());
        for replica in 0..self.nodes.len() {
            if !self.alive(replica) {
                continue;
            }
            let node = &mut self.nodes[replica];
            (node.pool, node.pool_old) = (old + 1, Some(old));
            let most = node.lease * (self.profile.loyalty + 1);
            let at = self.now + self.random.magnitude(MILLISECOND, most);
            self.schedule(at, Event::LoseConnection(replica, self.nodes[replica].process.life));
        }
        self.delete_a_few();
    }

    /// The newest entries are lost, as far as nobody was told that they were committed; everything else stays.
    pub(super) fn fork(&mut self) {
        let primary = self.primary();
        let lost = self.stores[primary].truncate(self.acknowledged);
        if self.random.chance(300) {
            self.epochs += 1;
            self.stores[primary].set_epoch(self.epochs);
        }
        say!(self, "history forks after entry {}: {lost} entries lost", self.acknowledged.get());
        self.counts.saw(Count::HistoryForked);
        self.counts.saw_many(Count::EntriesLost, lost);
        for delete in self.under_way.clone() {
            let delete = &mut self.deletes[delete];
            delete.lost |= delete.position.is_some_and(|position| position.seq > self.acknowledged);
        }
        for replica in 0..self.nodes.len() {
            if self.random.chance(200) {
                self.connection_lost(replica);
            }
        }
        for holder in 0..self.holders.len() {
            if self.holders[holder].machine.is_some() && self.random.chance(200) {
                let at = self.now + self.random.magnitude(MILLISECOND, 2 * SECOND);
                self.plan_open(holder, at);
            }
        }
        self.delete_a_few();
    }

    pub(super) fn maybe_fork_soon(&mut self) {
        if self.random.chance(500) {
            let at = self.now + self.random.magnitude(MILLISECOND, 2 * SECOND);
            self.schedule(at, Event::ForkOnce);
        }
    }

    /// The operator restores a backup, as documented: nobody reaches any store until all leases are over, and
    /// the epoch is new. What the backup does not have is outside the promises.
    pub(super) fn restore(&mut self) {
        let Some(mut backup) = self.backup.take() else {
            self.backup = Some(self.stores[self.primary()].clone());
            let at = self.now + self.random.between(SECOND, self.profile.horizon / 3);
            self.schedule(at, Event::Fault(super::Fault::Restore));
            return;
        };
        self.counts.saw(Count::Restored);
        let primary = &self.stores[self.primary()];
        let tokens = TokenNumber::try_from(primary.tokens()).expect("numbers of tokens are small");
        for token in 0..tokens {
            // A deletion that is made again after the restore has an entry of its own.
            let same = match (primary.token(token), backup.token(token)) {
                (Stored::Revoked(position), Stored::Revoked(in_backup)) => position == in_backup,
                (now, then) => now == then,
            };
            if !same {
                self.recording.outside(token);
            }
        }
        self.epochs += 1;
        backup.set_epoch(self.epochs);
        self.timeline += 1;
        self.acknowledged = backup.newest().seq;
        self.stores.push(backup);
        let wait = self.profile.longest_lease() / 4 * 5;
        self.down_until = self.down_until.max(self.now + wait);
        say!(self, "a backup is restored, and reached at {}", super::in_seconds(self.down_until));
        let primary = self.primary();
        for replica in 0..self.nodes.len() {
            self.connection_lost(replica);
            (self.nodes[replica].pool, self.nodes[replica].pool_old) = (primary, None);
        }
        for delete in self.under_way.clone() {
            let delete = &mut self.deletes[delete];
            delete.lost |= delete.position.is_some_and(|position| position.seq > self.acknowledged);
        }
    }
}
