//! Replicas: their statements, their lives, and what they want done.

use std::time::Duration;

use gatekey_lease::{Down, Effect, Entry, Replica, StreamId};

use super::{Event, Mutant, Op, State, World};

impl World {
    pub(super) fn renew_replica(&self, state: &mut State, replica: usize) {
        let now = self.replica_clock(state, replica);
        state.replicas[replica].renewed = Some(state.now);
        state.left.renewals[replica] = state.left.renewals[replica].saturating_sub(1);
        self.drive(state, replica, |machine| machine.renew(now));
        // A later `t0` gives a longer lease, so a row that is committed at once is the worst case.
        let committing = matches!(state.replicas[replica].op, Some(Op::Row { .. }));
        while committing && !self.config.slow_renewals && state.replicas[replica].op.is_some() {
            let before = state.replicas[replica].op.clone();
            self.execute(state, replica);
            if state.replicas[replica].op == before {
                break;
            }
        }
    }

    /// Lets a machine handle something, and does what it wants done.
    pub(super) fn drive(
        &self,
        state: &mut State,
        replica: usize,
        handle: impl FnOnce(&mut Replica) -> Vec<Effect>,
    ) {
        if let Some(machine) = &mut state.replicas[replica].machine {
            let effects = handle(machine);
            self.carry_out(state, replica, effects, None);
        }
    }

    fn carry_out(
        &self,
        state: &mut State,
        replica: usize,
        effects: Vec<Effect>,
        mut snapshot: Option<&[Entry]>,
    ) {
        for effect in effects {
            match effect {
                Effect::CommitRow { n, lease } => self.commit_row(state, replica, n, lease),
                Effect::ReadHead => state.replicas[replica].op = Some(Op::Head),
                Effect::ReadLog { from } => {
                    let entries = match snapshot.take() {
                        Some(entries) => entries.to_vec(),
                        None => state.stores[state.replicas[replica].store].entries_from(from),
                    };
                    self.log_read(state, replica, &entries);
                }
                Effect::ClosePool | Effect::Close { .. } => {}
                Effect::Drop(digests) => state.replicas[replica].cache.drop_all(&digests),
                Effect::Clear => {
                    self.witness.saw(Event::Forked);
                    state.replicas[replica].cache.clear();
                }
                Effect::Send { stream, message } => self.send_down(state, replica, stream, message),
                Effect::Confirm { position, .. } => {
                    let (id, store) = (Self::id(state, replica), state.replicas[replica].store);
                    if self.config.acks && Self::commits(state, store) {
                        state.stores[store].confirm(id, position, self.config.bare_ack());
                    }
                }
                Effect::RemoveRow { id, n } => {
                    let store = state.replicas[replica].store;
                    if Self::commits(state, store) && state.stores[store].remove_row(id, n) {
                        let own = id == Self::id(state, replica);
                        self.witness.saw(if own { Event::Left } else { Event::RowRemoved });
                    }
                }
            }
        }
    }

    fn log_read(&self, state: &mut State, replica: usize, entries: &[Entry]) {
        let now = self.replica_clock(state, replica);
        self.drive(state, replica, |machine| machine.log_read(now, entries));
    }

    fn commit_row(&self, state: &mut State, replica: usize, n: u64, lease: Duration) {
        let store = &state.stores[state.replicas[replica].store];
        let snapshot = self.config.is(Mutant::OneSnapshot).then(|| {
            let from = state.replicas[replica].machine.as_ref().and_then(Replica::position);
            store.entries_from(from.map_or(store.head().position.seq, |position| position.seq))
        });
        state.replicas[replica].op = Some(Op::Row { n, lease, snapshot });
    }

    fn id(state: &State, replica: usize) -> gatekey_lease::ReplicaId {
        state.replicas[replica].machine.as_ref().map(Replica::id).expect("only a machine has effects")
    }

    /// Whether this store acknowledges commits: the standby has to have them, so an old primary never does.
    fn commits(state: &State, store: usize) -> bool {
        store + 1 == state.stores.len()
    }

    /// The store carries out a statement, and the replica hears of it.
    pub(super) fn execute(&self, state: &mut State, replica: usize) {
        let now = self.replica_clock(state, replica);
        let store = state.replicas[replica].store;
        match state.replicas[replica].op.take() {
            None => {}
            Some(Op::Head) => {
                let head = state.stores[store].head();
                self.drive(state, replica, |machine| machine.head_read(now, head));
            }
            Some(op @ Op::Row { .. })
                if !Self::commits(state, store) && !self.config.is(Mutant::RenewalNotReplicated) =>
            {
                state.replicas[replica].op = Some(op);
            }
            Some(Op::Row { n, lease, snapshot }) => {
                let id = Self::id(state, replica);
                let inserted = state.stores[store].commit_row(id, n, lease);
                self.drive(state, replica, |machine| machine.row_committed(inserted));
                if let Some(entries) = snapshot {
                    self.head_of_snapshot(state, replica, &entries);
                }
            }
        }
    }

    /// The head comes from the transaction that committed the row.
    fn head_of_snapshot(&self, state: &mut State, replica: usize, entries: &[Entry]) {
        let now = self.replica_clock(state, replica);
        let mut head = state.stores[state.replicas[replica].store].head();
        head.position = entries.last().expect("a log is never empty").position;
        let node = &mut state.replicas[replica];
        node.op = None;
        if let Some(machine) = &mut node.machine {
            let effects = machine.head_read(now, head);
            self.carry_out(state, replica, effects, Some(entries));
        }
    }

    pub(super) fn poll(&self, state: &mut State, replica: usize) {
        self.drive(state, replica, Replica::wake);
    }

    pub(super) fn tick_replica(&self, state: &mut State, replica: usize) {
        let now = self.replica_clock(state, replica);
        self.drive(state, replica, |machine| machine.tick(now));
    }

    pub(super) fn read_others(&self, state: &mut State, replica: usize) {
        let now = self.replica_clock(state, replica);
        let rows = state.stores[state.replicas[replica].store].rows();
        self.drive(state, replica, |machine| machine.rows_read(now, &rows));
    }

    /// The renewal connection is remade, to the new primary.
    pub(super) fn reconnect(&self, state: &mut State, replica: usize) {
        let primary = state.stores.len() - 1;
        let node = &mut state.replicas[replica];
        node.store = primary;
        node.op = None;
        node.renewed = None;
        self.drive(state, replica, Replica::reconnected);
    }

    pub(super) fn close_pool(state: &mut State, replica: usize) {
        let primary = state.stores.len() - 1;
        let node = &mut state.replicas[replica];
        node.pool = primary;
        if let Some(machine) = &mut node.machine {
            machine.pool_closed();
        }
    }

    pub(super) fn leave(&self, state: &mut State, replica: usize) {
        let now = self.replica_clock(state, replica);
        self.drive(state, replica, |machine| machine.leave(now));
    }

    pub(super) fn crash(state: &mut State, replica: usize) {
        state.left.crashes -= 1;
        let node = &mut state.replicas[replica];
        node.machine = None;
        node.op = None;
        node.renewed = None;
        node.cache.clear();
        node.incarnation += 1;
        for stream in &mut state.streams {
            if stream.replica == replica {
                stream.up.clear();
            }
        }
        let (gone, kept) = std::mem::take(&mut state.verifications).into_iter().partition(|verification| {
            verification.replica == replica && !matches!(verification.stage, super::Stage::Answered { .. })
        });
        state.verifications = kept;
        let gone: Vec<super::Verification> = gone;
        for verification in gone {
            state.holder.machine.ended(verification.flight);
        }
    }

    pub(super) fn restart(&self, state: &mut State, replica: usize) {
        self.witness.saw(Event::Restarted);
        self.boot(state, replica);
    }

    pub(super) fn promote(&self, state: &mut State) {
        self.witness.saw(Event::Promoted);
        let standby = state.stores[0].clone();
        state.stores.push(standby);
    }

    pub(super) fn fork(&self, state: &mut State) {
        state.left.forks -= 1;
        let new_epoch = self.config.new_epoch;
        let primary = state.stores.last_mut().expect("there is a store");
        primary.fork(new_epoch);
        if primary.tombstone().is_none() {
            state.deletion = None;
        }
    }

    fn send_down(&self, state: &mut State, replica: usize, id: StreamId, message: Down) {
        match message {
            Down::Reset { .. } => self.witness.saw(Event::ResetSent),
            Down::Invalidate { .. } => self.witness.saw(Event::InvalidationSent),
            Down::Grant { .. } | Down::Leave => {}
        }
        let current = state.holder.machine.stream();
        let incarnation = state.replicas[replica].incarnation;
        let stream = state.streams.iter_mut().find(|stream| {
            StreamId(stream.number) == id && stream.replica == replica && stream.incarnation == incarnation
        });
        if let Some(stream) = stream
            && stream.number == current
        {
            stream.down.push_back(message);
        }
    }
}
