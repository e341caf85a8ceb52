//! All sessions of a replica: who is told what, in which order, and who is still awaited. Each stream's messages
//! form one queue, for invalidations, grants and resets alike; keeping that order is the transport's part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Effect;
use super::session::{Place, Session};
use crate::log::{Entry, Tail};
use crate::message::invalidations;
use crate::{Down, Epoch, Hello, HolderId, Moment, Position, Rule, Rules, Seq, StreamId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sessions {
    rules: Rules,
    streams: BTreeMap<StreamId, Session>,
    by_holder: BTreeMap<HolderId, StreamId>,
    index: Index,
    /// Sessions that are not [`Place::Told`].
    unsettled: BTreeSet<StreamId>,
    /// Since the replica's last confirmation.
    confirmed: u32,
    waited_out: u32,
}

impl Sessions {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            streams: BTreeMap::new(),
            by_holder: BTreeMap::new(),
            index: Index::default(),
            unsettled: BTreeSet::new(),
            confirmed: 0,
            waited_out: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// A stream opens. It replaces the old session of the same holder, which ended its lease before it said
    /// Hello; but a Hello that was delayed on its way does not replace the session of a later stream.
    pub(super) fn hello(&mut self, stream: StreamId, hello: Hello, n: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.streams.contains_key(&stream) {
            return vec![Effect::Close { stream }]; // Only the first message of a stream is a Hello.
        }
        if let Some(old) = self.by_holder.get(&hello.holder).copied() {
            let newer = self.streams.get(&old).is_some_and(|old| old.number >= hello.number);
            if newer && self.rules.keep(Rule::NewerStreamReplaces) {
                return vec![Effect::Close { stream }];
            }
            self.remove(old);
            effects.push(Effect::Close { stream: old });
        }
        let place = match hello.position {
            Some(position) => Place::Ahead { position, epoch: hello.epoch, n },
            None => Place::ToReset,
        };
        self.streams.insert(stream, Session::new(hello.holder, hello.number, place, self.rules));
        self.by_holder.insert(hello.holder, stream);
        self.unsettled.insert(stream);
        effects
    }

    /// The replica has read the log: who waited to be told where it stands is told now. `renewal` is the
    /// number of the renewal that has just come to its end.
    pub(super) fn settle(
        &mut self,
        now: Moment,
        tail: &Tail,
        epoch: Option<Epoch>,
        renewal: Option<u64>,
    ) -> Vec<Effect> {
        let Some((applied, epoch)) = tail.newest().zip(epoch) else { return Vec::new() };
        let mut effects = Vec::new();
        for stream in self.unsettled.clone() {
            let Some(session) = self.streams.get(&stream) else { continue };
            let delta = match session.place {
                Place::Told => continue,
                Place::ToReset => None,
                // What it holds may never have been, though the log is the same.
                Place::Ahead { epoch: of_holder, .. } if of_holder != epoch => None,
                // Not held *yet*: neither an ack nor a fork. It is a fork if a renewal that began after
                // the Hello does not find it either.
                Place::Ahead { position, n, .. } if applied.seq < position.seq => {
                    if renewal.is_none_or(|renewal| renewal <= n) {
                        continue;
                    }
                    None
                }
                Place::Ahead { position, .. } => self.delta(tail, position),
            };
            self.unsettled.remove(&stream);
            let messages = delta.unwrap_or_else(|| vec![self.reset(now, stream, applied, epoch)]);
            if let Some(session) = self.streams.get_mut(&stream) {
                session.place = Place::Told;
                if session.open {
                    effects.extend(messages.into_iter().map(|message| Effect::Send { stream, message }));
                }
            }
        }
        effects
    }

    /// What a holder at this position has missed; or `None` if that can't be told.
    fn delta(&self, tail: &Tail, position: Position) -> Option<Vec<Down>> {
        let known = if self.rules.keep(Rule::HelloByPosition) {
            tail.holds(position)
        } else {
            tail.holds_number(position)
        };
        let missed = self.rules.keep(Rule::DeltaOnReturn).then(|| tail.after(position.seq));
        known.then(|| invalidations(&missed.into_iter().flatten().copied().collect::<Vec<Entry>>()))
    }

    fn reset(&mut self, now: Moment, stream: StreamId, position: Position, epoch: Epoch) -> Down {
        let mut id = 0;
        self.change(stream, |session| {
            session.resets += 1;
            id = session.resets;
            session.reset_queued(now, position.seq);
        });
        Down::Reset { id, position, epoch }
    }

    /// Entries were applied: every session is told, and waited for as far as it has grants.
    pub(super) fn invalidate(&mut self, now: Moment, new: &[Entry]) -> Vec<Effect> {
        let mut effects = Vec::new();
        let (Some(first), Some(last)) = (new.first(), new.last()) else { return effects };
        let messages = invalidations(new);
        for (stream, session) in &mut self.streams {
            if session.place != Place::Told {
                continue; // It has no grant, and is told when it is settled.
            }
            self.index.remove(*stream, session);
            session.queued(now, first.position.seq, last.position.seq);
            self.index.insert(*stream, session);
            if session.open {
                let send = |message: &Down| Effect::Send { stream: *stream, message: message.clone() };
                effects.extend(messages.iter().map(send));
            }
        }
        effects
    }

    /// A Renew came, and the replica's own lease has this much left. A grant answers it, or nothing does.
    ///
    /// Invariant (2), *a grant ends no later than its replica's lease*, is kept by the caller's `left`.
    pub(super) fn renew(
        &mut self,
        now: Moment,
        stream: StreamId,
        (id, reset): (u64, u64),
        left: Duration,
    ) -> Option<Effect> {
        let session = self.streams.get_mut(&stream)?;
        if !session.open || session.place != Place::Told || session.resets != reset || left.is_zero() {
            return None;
        }
        session.granted(now, left);
        Some(Effect::Send { stream, message: Down::Grant { id, ttl: left } })
    }

    /// A holder confirms. Void unless it repeats the last Reset and names an entry that the replica holds.
    pub(super) fn ack(&mut self, stream: StreamId, position: Position, reset: u64, tail: &Tail) {
        let known = tail.holds(position) || !self.rules.keep(Rule::AckByPosition);
        let current = self.streams.get(&stream).is_some_and(|session| session.resets == reset);
        if known && current && self.change(stream, |session| session.acked(position.seq)) == Some(true) {
            self.confirmed += 1;
        }
    }

    /// A stream broke. The holder may go on using what it was granted, so its session counts until that is over.
    pub(super) fn broken(&mut self, now: Moment, stream: StreamId) {
        if !self.rules.keep(Rule::BrokenStreamCounts) {
            self.remove(stream);
        }
        self.change(stream, |session| session.open = false);
        self.tick_one(now, stream);
    }

    /// A holder has ended its lease itself.
    pub(super) fn release(&mut self, stream: StreamId) {
        self.remove(stream);
    }

    /// History forked: nobody stands anywhere, and nothing older than the fork can be confirmed.
    pub(super) fn forked(&mut self, now: Moment) {
        for (stream, session) in &mut self.streams {
            self.index.remove(*stream, session);
            session.place = Place::ToReset;
            session.reset_queued(now, Seq::GENESIS);
            self.unsettled.insert(*stream);
            self.index.insert(*stream, session);
        }
    }

    /// Ends what is over by now.
    pub(super) fn tick(&mut self, now: Moment) {
        while let Some((due, stream)) = self.index.timers.first().copied() {
            if now < due {
                return;
            }
            self.tick_one(now, stream);
        }
    }

    fn tick_one(&mut self, now: Moment, stream: StreamId) {
        if self.change(stream, |session| session.tick(now)) == Some(true) {
            self.waited_out += 1;
        }
        if self.streams.get(&stream).is_some_and(|session| !session.open && session.over(now)) {
            self.remove(stream);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_tick(&self) -> Option<Moment> {
        self.index.timers.first().map(|(due, _)| *due)
    }

    /// The first number that some session has not confirmed.
    pub(super) fn first_unconfirmed(&self) -> Option<Seq> {
        if !self.rules.keep(Rule::SessionsFirst) {
            return None;
        }
        self.index.unconfirmed.first().map(|(seq, _)| *seq)
    }

    /// How many holders confirmed and how many were waited out since this was asked last.
    pub(super) fn take_counts(&mut self) -> (u32, u32) {
        (std::mem::take(&mut self.confirmed), std::mem::take(&mut self.waited_out))
    }

    /// Whether no grant of any session can be in use.
    pub(super) fn all_over(&self, now: Moment) -> bool {
        self.streams.values().all(|session| session.over(now))
    }

    /// The streams that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = StreamId> {
        self.streams.iter().filter(|(_, session)| session.open).map(|(stream, _)| *stream)
    }

    /// The last Reset on this stream.
    #[cfg(feature = "mutants")]
    pub(super) fn resets(&self, stream: StreamId) -> u64 {
        self.streams.get(&stream).map_or(0, |session| session.resets)
    }

    /// Changes a session, and keeps the index.
    fn change<T>(&mut self, stream: StreamId, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let session = self.streams.get_mut(&stream)?;
        self.index.remove(stream, session);
        let result = change(session);
        self.index.insert(stream, session);
        Some(result)
    }

    fn remove(&mut self, stream: StreamId) {
        let Some(session) = self.streams.remove(&stream) else { return };
        self.index.remove(stream, &session);
        if self.by_holder.get(&session.holder) == Some(&stream) {
            self.by_holder.remove(&session.holder);
        }
        self.unsettled.remove(&stream);
    }
}

/// Finds, among thousands of sessions, who is least far and who is due first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Index {
    /// The first number that a session has not confirmed.
    unconfirmed: BTreeSet<(Seq, StreamId)>,
    /// When time alone changes a session.
    timers: BTreeSet<(Moment, StreamId)>,
}

impl Index {
    fn insert(&mut self, stream: StreamId, session: &Session) {
        self.unconfirmed.extend(session.first_unconfirmed().map(|first| (first, stream)));
        self.timers.extend(session.next_tick().map(|due| (due, stream)));
    }

    fn remove(&mut self, stream: StreamId, session: &Session) {
        if let Some(first) = session.first_unconfirmed() {
            self.unconfirmed.remove(&(first, stream));
        }
        if let Some(due) = session.next_tick() {
            self.timers.remove(&(due, stream));
        }
    }
}
