//! The holder and its streams.

use std::collections::VecDeque;

use gatekey_lease::{Begun, Down, HolderEffect, StreamId, WallTime};

use super::store::TOKEN;
use super::{Event, State, Stream, World};

impl World {
    /// The holder opens a new stream. Of the old one nothing more reaches it.
    pub(super) fn connect(&self, state: &mut State, replica: usize) {
        state.left.streams -= 1;
        let late_messages = self.config.late_messages;
        for stream in &mut state.streams {
            stream.down.clear();
            if !late_messages {
                stream.up.clear();
            }
        }
        let incarnations: Vec<u8> = state.replicas.iter().map(|node| node.incarnation).collect();
        state.streams.retain(|stream| stream.incarnation == incarnations[stream.replica]);
        let incarnation = incarnations[replica];
        let effects = state.holder.machine.connected();
        state.streams.push(Stream {
            number: state.holder.machine.stream(),
            replica,
            incarnation,
            up: VecDeque::new(),
            down: VecDeque::new(),
        });
        state.holder.renewed = None;
        self.carry_out_holder(state, effects);
    }

    fn carry_out_holder(&self, state: &mut State, effects: Vec<HolderEffect>) {
        let current = state.holder.machine.stream();
        for effect in effects {
            match effect {
                HolderEffect::Lease(_) => {}
                HolderEffect::Drop(digests) => {
                    if digests.contains(&TOKEN) && state.holder.cache.get(&TOKEN).is_some() {
                        self.witness.saw(Event::HolderDropped);
                    }
                    state.holder.cache.drop_all(&digests);
                }
                HolderEffect::Clear => state.holder.cache.clear(),
                HolderEffect::Send(message) => {
                    let incarnations: Vec<u8> = state.replicas.iter().map(|node| node.incarnation).collect();
                    let stream = state.streams.iter_mut().find(|stream| stream.number == current);
                    if let Some(stream) = stream
                        && stream.incarnation == incarnations[stream.replica]
                        && state.replicas[stream.replica].machine.is_some()
                    {
                        stream.up.push_back(message);
                    }
                }
            }
        }
    }

    pub(super) fn renew_holder(&self, state: &mut State) {
        state.holder.renewed = Some(state.now);
        state.left.grants = state.left.grants.saturating_sub(1);
        let now = self.holder_clock(state);
        let effects = state.holder.machine.renew(now);
        self.carry_out_holder(state, effects);
    }

    pub(super) fn release(&self, state: &mut State) {
        state.left.releases -= 1;
        self.witness.saw(Event::Released);
        let effects = state.holder.machine.release();
        self.carry_out_holder(state, effects);
    }

    pub(super) fn deliver_up(&self, state: &mut State, place: usize) {
        let now = self.replica_clock(state, state.streams[place].replica);
        let stream = &mut state.streams[place];
        let (id, replica) = (StreamId(stream.number), stream.replica);
        if let Some(message) = stream.up.pop_front() {
            self.drive(state, replica, |machine| machine.receive(now, id, message));
        }
    }

    /// The first message arrives, or the first grant before it.
    pub(super) fn deliver_down(&self, state: &mut State, place: usize, overtakes: bool) {
        let down = &mut state.streams[place].down;
        let grant = |message: &Down| matches!(message, Down::Grant { .. });
        let first = if overtakes { down.iter().position(grant) } else { Some(0) };
        if let Some(message) = first.and_then(|first| down.remove(first)) {
            let now = self.holder_clock(state);
            let effects = state.holder.machine.receive(now, message);
            self.carry_out_holder(state, effects);
        }
    }

    /// The replica notices that the holder gave up a stream.
    pub(super) fn stream_breaks(&self, state: &mut State, place: usize) {
        let stream = state.streams.remove(place);
        let now = self.replica_clock(state, stream.replica);
        if stream.incarnation == state.replicas[stream.replica].incarnation {
            self.drive(state, stream.replica, |machine| machine.broken(now, StreamId(stream.number)));
        }
    }

    pub(super) fn push_grant(&self, state: &mut State, place: usize) {
        let stream = &state.streams[place];
        let pushed = |message: &Down| matches!(message, Down::Grant { id: 0, .. });
        if stream.down.iter().any(pushed) {
            return;
        }
        let (id, replica) = (StreamId(stream.number), stream.replica);
        let now = self.replica_clock(state, replica);
        self.drive(state, replica, |machine| machine.push_grant(now, id));
    }

    /// The holder begins with the token in its cache.
    pub(super) fn warm_holder(&self, state: &mut State) {
        let now = self.holder_clock(state);
        let holder = &mut state.holder;
        if let Begun::Lead(flight) = holder.machine.miss(now, TOKEN) {
            holder.machine.send(flight);
            if let Some(permit) = holder.machine.answered(flight, true) {
                holder.cache.insert(permit, TOKEN, WallTime(1), ());
            }
        }
    }
}
