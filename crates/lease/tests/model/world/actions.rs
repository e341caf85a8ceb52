//! What can happen, and when.

use gatekey_lease::{Down, Rule, Up, WallTime, may_use};
use stateright::{Model, Property};

use super::store::TOKEN;
use super::{Deletes, Event, Mutant, Stage, State, Stream, World};

/// A step of the world. Numbers are places in the state's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    TimePasses,
    Renew(usize),
    Execute(usize),
    Poll(usize),
    ReadOthers(usize),
    Reconnect(usize),
    ClosePool(usize),
    Leave(usize),
    Crash(usize),
    Restart(usize),
    Connect(usize),
    RenewHolder,
    Release,
    PushGrant(usize),
    DeliverUp(usize),
    DeliverDown(usize),
    GrantOvertakes(usize),
    StreamBreaks(usize),
    Request { ask: usize },
    ReplicaVerifies(usize),
    StoreReads(usize),
    Answer(usize),
    LoseVerification(usize),
    BeginDelete,
    CommitDelete,
    AcknowledgeCommit,
    Repeat,
    DeleteOther,
    Fork,
    Promote,
    SetBack,
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.stale {
            return;
        }
        let config = &self.config;
        if state.now < config.horizon {
            actions.push(Action::TimePasses);
        }
        for replica in 0..config.replicas {
            self.replica_actions(state, replica, actions);
        }
        self.stream_actions(state, actions);
        self.request_actions(state, actions);
        Self::delete_actions(state, actions);
        if state.left.others > 0 {
            actions.push(Action::DeleteOther);
        }
        let acknowledged = state
            .deletion
            .as_ref()
            .is_some_and(|deletion| matches!(deletion.stage, Deletes::Waiting { .. } | Deletes::Ended));
        if state.left.forks > 0 && !acknowledged && state.repeat.is_none() {
            actions.push(Action::Fork);
        }
        if config.failover && state.stores.len() == 1 {
            actions.push(Action::Promote);
        }
        if state.left.steps_back > 0 {
            actions.push(Action::SetBack);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.step(&mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S", |_, state: &State| !state.stale),
            Property::sometimes("a delete returns OK", |_, state: &State| state.deleted),
        ]
    }
}

impl Stream {
    /// Whether a Renew or its grant is on its way.
    fn asks(&self) -> bool {
        let asks = |message: &Up| matches!(message, Up::Renew { .. });
        let granted = |message: &Down| matches!(message, Down::Grant { id: 1.., .. });
        self.up.iter().any(asks) || self.down.iter().any(granted)
    }
}

impl World {
    fn replica_actions(&self, state: &State, replica: usize, actions: &mut Vec<Action>) {
        let node = &state.replicas[replica];
        let Some(machine) = &node.machine else {
            actions.push(Action::Restart(replica));
            return;
        };
        if node.op.is_some() {
            actions.push(Action::Execute(replica));
        } else if state.left.renewals[replica] > 0 && node.renewed.is_none_or(|renewed| renewed < state.now) {
            actions.push(Action::Renew(replica));
        }
        let store = &state.stores[node.store];
        if self.config.polls && machine.position().is_some_and(|applied| applied != store.head().position) {
            actions.push(Action::Poll(replica));
        }
        if self.config.removal {
            actions.push(Action::ReadOthers(replica));
        }
        let primary = state.stores.len() - 1;
        if node.store != primary {
            actions.push(Action::Reconnect(replica));
        } else if node.pool != primary {
            actions.push(Action::ClosePool(replica));
        }
        if self.config.departures {
            actions.push(Action::Leave(replica));
        }
        if state.left.crashes > 0 {
            actions.push(Action::Crash(replica));
        }
    }

    fn stream_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.left.streams > 0 {
            actions.extend((0..self.config.targets).map(Action::Connect));
        }
        let current = state.holder.machine.stream();
        let asked = state.streams.iter().filter(|stream| stream.number == current).any(Stream::asks);
        let asks = current > 0 && state.left.grants > 0 && !asked;
        if asks && state.holder.renewed.is_none_or(|renewed| renewed < state.now) {
            actions.push(Action::RenewHolder);
        }
        if state.left.releases > 0 {
            actions.push(Action::Release);
        }
        for (place, stream) in state.streams.iter().enumerate() {
            if !stream.up.is_empty() {
                actions.push(Action::DeliverUp(place));
            }
            if !stream.down.is_empty() {
                actions.push(Action::DeliverDown(place));
            }
            let grant = |message: &Down| matches!(message, Down::Grant { .. });
            if self.config.is(Mutant::TwoQueues) && stream.down.iter().skip(1).any(grant) {
                actions.push(Action::GrantOvertakes(place));
            }
            if stream.number < current || self.config.breaks {
                actions.push(Action::StreamBreaks(place));
            }
            if stream.number == current && self.config.is(Mutant::Machine(Rule::GrantsAnswer)) {
                actions.push(Action::PushGrant(place));
            }
        }
    }

    /// Whether the holder would accept the token from its cache.
    pub(super) fn hit(&self, state: &State) -> bool {
        let now = self.holder_clock(state);
        let cached = state.holder.cache.get(&TOKEN);
        let lease = state.holder.machine.lease_until();
        cached.is_some_and(|(expires, ())| may_use(lease, now, expires, WallTime(0)))
    }

    fn request_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.hit(state) {
            actions.push(Action::Request { ask: 0 });
        } else if state.left.verifications > 0 || !state.verifications.is_empty() {
            actions.extend((0..self.config.targets).map(|ask| Action::Request { ask }));
        }
        for (place, verification) in state.verifications.iter().enumerate() {
            actions.push(match verification.stage {
                Stage::Asked => Action::ReplicaVerifies(place),
                Stage::Reading(_) => Action::StoreReads(place),
                Stage::Answered { .. } => Action::Answer(place),
            });
            if self.config.loss {
                actions.push(Action::LoseVerification(place));
            }
        }
    }

    fn delete_actions(state: &State, actions: &mut Vec<Action>) {
        match state.deletion.as_ref().map(|deletion| &deletion.stage) {
            None if state.left.deletes > 0 => actions.push(Action::BeginDelete),
            None | Some(Deletes::Waiting { .. } | Deletes::Ended) => {}
            Some(Deletes::Begun) => actions.push(Action::CommitDelete),
            Some(Deletes::Committed { .. }) => actions.push(Action::AcknowledgeCommit),
        }
        let primary = &state.stores[state.stores.len() - 1];
        if state.repeat.is_none() && state.left.repeats > 0 && primary.tombstone().is_some() {
            actions.push(Action::Repeat);
        }
    }

    fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::TimePasses => self.time_passes(state),
            Action::Renew(replica) => self.renew_replica(state, replica),
            Action::Execute(replica) => self.execute(state, replica),
            Action::Poll(replica) => self.poll(state, replica),
            Action::ReadOthers(replica) => self.read_others(state, replica),
            Action::Reconnect(replica) => self.reconnect(state, replica),
            Action::ClosePool(replica) => Self::close_pool(state, replica),
            Action::Leave(replica) => self.leave(state, replica),
            Action::Crash(replica) => Self::crash(state, replica),
            Action::Restart(replica) => self.restart(state, replica),
            Action::Connect(replica) => self.connect(state, replica),
            Action::RenewHolder => self.renew_holder(state),
            Action::Release => self.release(state),
            Action::PushGrant(stream) => self.push_grant(state, stream),
            Action::DeliverUp(stream) => self.deliver_up(state, stream),
            Action::DeliverDown(stream) => self.deliver_down(state, stream, false),
            Action::GrantOvertakes(stream) => self.deliver_down(state, stream, true),
            Action::StreamBreaks(stream) => self.stream_breaks(state, stream),
            Action::Request { ask } => self.request(state, ask),
            Action::ReplicaVerifies(place) => self.replica_verifies(state, place),
            Action::StoreReads(place) => self.store_reads(state, place),
            Action::Answer(place) => self.answer(state, place),
            Action::LoseVerification(place) => Self::lose(state, place),
            Action::BeginDelete => self.begin_delete(state),
            Action::CommitDelete => Self::commit_delete(state),
            Action::AcknowledgeCommit => self.acknowledge_commit(state),
            Action::Repeat => self.repeat(state),
            Action::DeleteOther => Self::delete_other(state),
            Action::Fork => self.fork(state),
            Action::Promote => self.promote(state),
            Action::SetBack => {
                state.left.steps_back -= 1;
                state.holder.set_back += super::LEASE;
            }
        }
        self.hurry(state);
    }

    fn time_passes(&self, state: &mut State) {
        state.now += 1;
        if state.holder.machine.lease_until() <= self.holder_clock(state) {
            self.witness.saw(Event::LeaseOver);
        }
        for replica in 0..self.config.replicas {
            self.tick_replica(state, replica);
        }
    }

    /// Does at once what can only bring a delete's OK forward: that it may come later need not be explored,
    /// since an accept that is stale after a late OK is stale after an early one.
    fn hurry(&self, state: &mut State) {
        for place in 0..state.streams.len() {
            while matches!(state.streams[place].up.front(), Some(Up::Ack { .. })) {
                self.deliver_up(state, place);
            }
        }
        self.read_rows(state);
        self.read_rows_again(state);
    }
}
