//! Streams between holders and replicas: ordered and complete for as long as they live, as TCP has it. One end may
//! take a stream for living long after the other gave it up, and what was on its way may still arrive.

use gatekey_lease::{Down, StreamId, Up};

use super::event::{Event, Party};
use super::parties::{Link, Pipe, Stream};
use super::{World, say};
use crate::counts::Count;
use crate::history::Nanos;
use crate::mutant::Mutant;
use crate::profile::{MILLISECOND, SECOND};

impl World {
    pub(super) fn link(&mut self, holder: usize, replica: usize) -> &mut Link {
        let replicas = self.nodes.len();
        &mut self.links[holder * replicas + replica]
    }

    /// A stream of a holder that is alive to a replica that is alive.
    pub(super) fn open_stream(&mut self, holder: usize, replica: usize) -> usize {
        let mut up = Pipe::default();
        if self.random.chance(self.profile.slow_streams) {
            up.stalled_until = self.now + self.random.magnitude(MILLISECOND, 2 * self.nodes[replica].lease);
        }
        self.streams.push(Stream {
            holder,
            holder_life: self.holders[holder].process.life,
            replica,
            replica_life: self.nodes[replica].process.life,
            holder_open: true,
            replica_open: true,
            hello_heard: false,
            up,
            down: Pipe::default(),
        });
        self.streams.len() - 1
    }

    pub(super) fn send_up(&mut self, stream: usize, message: Up) {
        let Stream { holder, replica, replica_life, .. } = self.streams[stream];
        let (delay, stalled) = (self.latency(), self.link(holder, replica).up_stalled_until);
        let pipe = &mut self.streams[stream].up;
        if pipe.dead {
            return;
        }
        let at = pipe.arrival(self.now.max(stalled), delay);
        let event = Event::Up { stream, message: Some(message) };
        self.schedule_to_life(Party::Replica(replica), replica_life, at, event);
    }

    pub(super) fn send_down(&mut self, id: StreamId, message: Down) {
        let Some(stream) = self.place_of(id) else { return };
        let Stream { holder, replica, holder_life, replica_open, .. } = self.streams[stream];
        let (delay, stalled) = (self.latency(), self.link(holder, replica).down_stalled_until);
        let pipe = &mut self.streams[stream].down;
        if pipe.dead || !replica_open {
            return;
        }
        let overtakes = matches!(message, Down::Grant { .. }) && self.profile.is(Mutant::TwoQueues);
        let at = if overtakes {
            self.now.max(pipe.stalled_until) + delay
        } else {
            pipe.arrival(self.now.max(stalled), delay)
        };
        let event = Event::Down { stream, message: Some(message) };
        self.schedule_to_life(Party::Holder(holder), holder_life, at, event);
    }

    fn place_of(&self, id: StreamId) -> Option<usize> {
        usize::try_from(id.0).ok().filter(|place| *place < self.streams.len())
    }

    /// The replica ends a stream, after all that it said on it.
    pub(super) fn close_down(&mut self, id: StreamId) {
        let Some(stream) = self.place_of(id) else { return };
        if !std::mem::replace(&mut self.streams[stream].replica_open, false) {
            return;
        }
        let Stream { holder, replica, holder_life, .. } = self.streams[stream];
        let (delay, stalled) = (self.latency(), self.link(holder, replica).down_stalled_until);
        let pipe = &mut self.streams[stream].down;
        if !pipe.dead {
            let at = pipe.arrival(self.now.max(stalled), delay);
            let event = Event::Down { stream, message: None };
            self.schedule_to_life(Party::Holder(holder), holder_life, at, event);
        }
    }

    /// Something on a stream reaches the replica: a message, or the end.
    pub(super) fn heard_up(&mut self, stream: usize, message: Option<Up>) {
        let Stream { holder, holder_life, replica, replica_open, holder_open, ref up, .. } =
            self.streams[stream];
        let id = StreamId(stream as u64);
        if !replica_open {
            return;
        }
        let Some(message) = message else {
            self.streams[stream].replica_open = false;
            say!(self, "replica {replica} finds stream {stream} of holder {holder} broken");
            let now = self.replica_clock(replica);
            self.drive(replica, |machine| machine.broken(now, id));
            return;
        };
        if up.cut.is_some_and(|cut| self.now > cut) {
            return;
        }
        if !holder_open || self.holders[holder].process.life != holder_life {
            self.counts.saw(Count::LateMessage);
        }
        say!(self, "replica {replica} hears of holder {holder} on stream {stream}: {message:?}");
        self.heard(replica, id, message);
    }

    /// Something on a stream reaches the holder.
    pub(super) fn heard_down(&mut self, stream: usize, message: Option<Down>) {
        let Stream { holder, replica, ref down, .. } = self.streams[stream];
        if self.holders[holder].stream != Some(stream) {
            return;
        }
        let Some(message) = message else {
            say!(self, "holder {holder} finds stream {stream} broken");
            self.streams[stream].holder_open = false;
            self.holders[holder].stream = None;
            let most = if self.random.chance(200) { self.nodes[replica].lease } else { SECOND };
            let at = self.now + self.random.magnitude(10 * MILLISECOND, most);
            self.plan_open(holder, at);
            return;
        };
        if down.cut.is_some_and(|cut| self.now > cut) {
            return;
        }
        let after_hello = !std::mem::replace(&mut self.streams[stream].hello_heard, true);
        self.note_down(&message, after_hello);
        say!(self, "holder {holder} hears on stream {stream}: {message:?}");
        self.told(holder, message);
    }

    /// The holder gives up its stream.
    pub(super) fn abandon(&mut self, holder: usize) {
        let Some(stream) = self.holders[holder].stream.take() else { return };
        say!(self, "holder {holder} gives up stream {stream}");
        self.counts.saw(Count::StreamAbandoned);
        self.streams[stream].holder_open = false;
        let replica = self.streams[stream].replica;
        if self.random.chance(300) {
            let at = self.now + self.random.magnitude(MILLISECOND, 2 * self.nodes[replica].lease);
            self.end_up(stream, at);
        } else {
            let at = self.soon();
            self.end_up(stream, at);
        }
    }

    /// The replica is to find the stream broken, after what is on its way.
    fn end_up(&mut self, stream: usize, at: Nanos) {
        let Stream { holder, replica, replica_life, .. } = self.streams[stream];
        let stalled = self.link(holder, replica).up_stalled_until;
        let pipe = &mut self.streams[stream].up;
        let at = pipe.arrival(at.max(stalled), 0);
        pipe.dead = true;
        self.schedule_to_life(Party::Replica(replica), replica_life, at, Event::Up { stream, message: None });
    }

    /// The stream breaks: each end notices in its own time, the holder perhaps only from the silence.
    pub(super) fn break_stream(&mut self, stream: usize) {
        say!(self, "stream {stream} breaks");
        self.counts.saw(Count::StreamBroken);
        let Stream { holder, holder_life, replica, .. } = self.streams[stream];
        let most = 2 * self.nodes[replica].lease;
        let (cut_up, cut_down) = (self.random.chance(500), self.random.chance(500));
        let end = &mut self.streams[stream];
        end.up.cut = end.up.cut.or(cut_up.then_some(self.now));
        end.down.cut = end.down.cut.or(cut_down.then_some(self.now));
        end.down.dead = true;
        let at = self.now + self.random.magnitude(MILLISECOND, most);
        self.end_up(stream, at);
        if self.random.chance(600) {
            let most = if self.random.chance(300) { most } else { SECOND };
            let at = self.now + self.random.magnitude(MILLISECOND, most);
            let event = Event::Down { stream, message: None };
            self.schedule_to_life(Party::Holder(holder), holder_life, at, event);
        }
    }

    /// The replica's process is gone. Whoever had a stream to it hears of that, or does not.
    pub(super) fn streams_of_dead_replica(&mut self, replica: usize, silently: bool) {
        for stream in 0..self.streams.len() {
            let Stream { holder, holder_life, replica: other, replica_open, .. } = self.streams[stream];
            if other != replica || !replica_open {
                continue;
            }
            self.streams[stream].replica_open = false;
            self.streams[stream].down.dead = true;
            if !silently {
                let at = self.soon();
                let event = Event::Down { stream, message: None };
                self.schedule_to_life(Party::Holder(holder), holder_life, at, event);
            }
        }
    }

    /// The holder's process is gone.
    pub(super) fn streams_of_dead_holder(&mut self, holder: usize) {
        if let Some(stream) = self.holders[holder].stream.take() {
            self.streams[stream].holder_open = false;
            let replica = self.streams[stream].replica;
            let most = if self.random.chance(500) { 2 * self.nodes[replica].lease } else { SECOND };
            let at = self.now + self.random.magnitude(MILLISECOND, most);
            self.end_up(stream, at);
        }
    }
}

impl Pipe {
    /// When something arrives that is sent now: after all before it.
    fn arrival(&mut self, from: Nanos, delay: Nanos) -> Nanos {
        let at = (from.max(self.stalled_until) + delay).max(self.last + 1);
        self.last = at;
        at
    }
}
