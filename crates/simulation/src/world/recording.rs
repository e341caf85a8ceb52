//! The history of a simulation, on its way to the checker; and a hash of it, to compare two runs.

use crate::history::{Answer, Check, Checker, DeleteId, Final, Nanos, Place, Report};
use crate::profile::SECOND;
use crate::random::mix;
use crate::store::{Stored, TokenNumber};

#[derive(Debug)]
pub(super) struct Recording {
    checker: Checker,
    hash: u64,
}

impl Recording {
    pub(super) fn new() -> Self {
        Self { checker: Checker::new(SECOND), hash: 0 }
    }

    fn note(&mut self, what: u64, token: TokenNumber, at: Nanos, more: u64) {
        for part in [what, u64::from(token), at, more] {
            self.hash = mix(self.hash.wrapping_mul(31) ^ part);
        }
    }

    pub(super) fn created(&mut self, token: TokenNumber, at: Nanos) {
        self.note(1, token, at, 0);
        self.checker.created(u64::from(token), at);
    }

    pub(super) fn delete_invoked(&mut self, token: TokenNumber, at: Nanos) -> DeleteId {
        self.note(2, token, at, 0);
        self.checker.delete_invoked(u64::from(token), at)
    }

    pub(super) fn delete_ended(&mut self, id: DeleteId, token: TokenNumber, at: Nanos, ok: bool) {
        self.note(3, token, at, u64::from(ok));
        if ok {
            self.checker.delete_returned(id, at);
        } else {
            self.checker.delete_failed(id, at);
        }
    }

    pub(super) fn checked(
        &mut self,
        token: TokenNumber,
        place: Place,
        (invoked, returned): (Nanos, Nanos),
        answer: Answer,
    ) {
        let number = match place {
            Place::Holder(number) => u64::from(number) << 1,
            Place::Replica(number) => u64::from(number) << 1 | 1,
        };
        self.note(4 + answer as u64, token, invoked ^ returned.rotate_left(32), number);
        self.checker.checked(Check { token: u64::from(token), place, invoked, returned, answer });
    }

    pub(super) fn outside(&mut self, token: TokenNumber) {
        self.checker.outside(u64::from(token));
    }

    pub(super) fn finish(self, mut end: impl FnMut(TokenNumber) -> Stored) -> (Report, u64) {
        let report = self.checker.finish(|token| {
            let token = TokenNumber::try_from(token).expect("it came from a number of a token");
            match end(token) {
                Stored::Absent => Final::Absent,
                Stored::Live => Final::Live,
                Stored::Revoked(_) => Final::Revoked,
            }
        });
        (report, self.hash)
    }
}
