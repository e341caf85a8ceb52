//! Deletes and their repeats.

use gatekey_lease::{Deletion, Moment, Next};

use super::store::{OTHER, TOKEN};
use super::{Deletes, Deleting, Event, State, World};

impl World {
    fn begin(&self, state: &State) -> Deletion {
        let deadline = Moment::from_nanos(u64::MAX);
        Deletion::begin(self.deleter_clock(state), deadline, self.config.rules())
    }

    pub(super) fn begin_delete(&self, state: &mut State) {
        state.left.deletes -= 1;
        state.deletion = Some(Deleting { machine: self.begin(state), stage: Deletes::Begun });
        if !self.config.slow_commits {
            Self::commit_delete(state);
            self.acknowledge_commit(state);
        }
    }

    /// The transaction commits: everyone who reads from now on sees it.
    pub(super) fn commit_delete(state: &mut State) {
        state.nonces += 1;
        let nonce = state.nonces;
        let primary = state.stores.last_mut().expect("there is a store");
        let (position, max_lease) = match primary.tombstone() {
            Some(tombstone) => tombstone,
            None => primary.revoke(TOKEN, nonce),
        };
        if let Some(deletion) = &mut state.deletion {
            deletion.stage = Deletes::Committed { position, max_lease };
        }
    }

    /// The deleter hears of it.
    pub(super) fn acknowledge_commit(&self, state: &mut State) {
        let now = self.deleter_clock(state);
        let Some(deletion) = &mut state.deletion else { return };
        let Deletes::Committed { position, max_lease } = deletion.stage else { return };
        deletion.stage = Deletes::Waiting { position };
        let next = deletion.machine.committed(now, position, max_lease);
        self.ends(state, &next, Event::DeletedByTime);
    }

    /// The deleter reads the rows, as often as they change, and looks at the clock.
    pub(super) fn read_rows(&self, state: &mut State) {
        let now = self.deleter_clock(state);
        let Some(deletion) = &mut state.deletion else { return };
        let Deletes::Waiting { position } = deletion.stage else { return };
        let rows = state.stores[state.stores.len() - 1].rows_for(position);
        let next = deletion.machine.rows(now, &rows);
        let by_time = matches!(next, Next::Return(receipt) if receipt.leases_waited_out > 0);
        self.ends(state, &next, if by_time { Event::DeletedByTime } else { Event::DeletedByAcks });
    }

    fn ends(&self, state: &mut State, next: &Next, event: Event) {
        if let Next::Return(_) = next {
            self.witness.saw(event);
            state.deleted = true;
        }
        if let (Next::Return(_) | Next::Lost, Some(deletion)) = (next, &mut state.deletion) {
            deletion.stage = Deletes::Ended;
            // What it waited for makes no difference any more.
            deletion.machine = Deletion::begin(Moment::NEVER, Moment::NEVER, self.config.rules());
        }
    }

    /// Somebody deletes the token again.
    pub(super) fn repeat(&self, state: &mut State) {
        let now = self.deleter_clock(state);
        let Some((position, max_lease)) = state.stores[state.stores.len() - 1].tombstone() else { return };
        state.left.repeats -= 1;
        let mut machine = self.begin(state);
        let next = machine.seen(now, position, max_lease);
        state.repeat = Some(machine);
        self.repeat_ends(state, &next);
    }

    pub(super) fn read_rows_again(&self, state: &mut State) {
        let now = self.deleter_clock(state);
        let primary = &state.stores[state.stores.len() - 1];
        let Some((position, _)) = primary.tombstone() else { return };
        let rows = primary.rows_for(position);
        let Some(machine) = &mut state.repeat else { return };
        let next = machine.rows(now, &rows);
        self.repeat_ends(state, &next);
    }

    fn repeat_ends(&self, state: &mut State, next: &Next) {
        if let Next::Return(_) = next {
            self.witness.saw(Event::RepeatReturned);
            state.deleted = true;
            state.repeat = None;
        }
    }

    /// Another token is deleted, by somebody who does not matter here.
    pub(super) fn delete_other(state: &mut State) {
        state.left.others -= 1;
        state.nonces += 1;
        let nonce = state.nonces;
        state.stores.last_mut().expect("there is a store").revoke(OTHER, nonce);
    }
}
