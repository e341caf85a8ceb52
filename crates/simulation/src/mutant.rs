//! The rules that can be left out of a simulated fleet, by name.

use std::str::FromStr;

use gatekey_lease::{Rule, Rules};

/// A rule of the protocol that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// One that the machines keep.
    Machine(Rule),
    /// The head is read in the transaction that commits the row, from its snapshot.
    OneSnapshot,
    /// Grants may overtake invalidations.
    TwoQueues,
    /// Clocks may be set back.
    WallClock,
    /// An old primary goes on committing renewals after the failover.
    RenewalNotReplicated,
    /// A replica that crashed comes back with its old id.
    IdReused,
    /// The token comes from a replica's cache, and whether the answer may be cached from the store.
    TwoReads,
    /// A repeated delete only reads the tombstone, which may not be replicated, and writes nothing itself.
    RepeatReadsOnly,
}

/// Every rule that can be left out.
pub const MUTANTS: [Mutant; 33] = [
    Mutant::Machine(Rule::GrantFromSending),
    Mutant::Machine(Rule::RowBeforeHead),
    Mutant::Machine(Rule::RepeatsWait),
    Mutant::Machine(Rule::FollowersLookAgain),
    Mutant::Machine(Rule::AsOfContainsStart),
    Mutant::Machine(Rule::TaintedStaysOut),
    Mutant::Machine(Rule::TtlWithinLease),
    Mutant::Machine(Rule::SessionsFirst),
    Mutant::Machine(Rule::RowStoodStill),
    Mutant::Machine(Rule::VerifyUnderLease),
    Mutant::Machine(Rule::WaitMargin),
    Mutant::Machine(Rule::WaitFromCommit),
    Mutant::Machine(Rule::DeltaOnReturn),
    Mutant::Machine(Rule::BrokenStreamCounts),
    Mutant::Machine(Rule::HelloByPosition),
    Mutant::Machine(Rule::AckByPosition),
    Mutant::Machine(Rule::AsOfByPosition),
    Mutant::Machine(Rule::ResetTaints),
    Mutant::Machine(Rule::GrantsAnswer),
    Mutant::Machine(Rule::WaitUntilRuns),
    Mutant::Machine(Rule::NonceCompared),
    Mutant::Machine(Rule::RowTellsLease),
    Mutant::Machine(Rule::NewerStreamReplaces),
    Mutant::Machine(Rule::HelloEndsLease),
    Mutant::Machine(Rule::ReadContainsApplied),
    Mutant::Machine(Rule::ResetEndsLease),
    Mutant::OneSnapshot,
    Mutant::TwoQueues,
    Mutant::WallClock,
    Mutant::RenewalNotReplicated,
    Mutant::IdReused,
    Mutant::TwoReads,
    Mutant::RepeatReadsOnly,
];

impl Mutant {
    /// Its name, as the command line takes it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Machine(rule) => format!("{rule:?}"),
            other => format!("{other:?}"),
        }
    }

    /// The rules for the machines.
    pub(crate) const fn rules(self) -> Rules {
        match self {
            Self::Machine(rule) => Rules::without(rule),
            _ => Rules::ALL,
        }
    }
}

impl FromStr for Mutant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = MUTANTS.into_iter().find(|mutant| mutant.name() == name);
        known.ok_or_else(|| format!("not one of {}", MUTANTS.map(Self::name).join(", ")))
    }
}

/// Does not compile when the machines have a rule that is not in the list above.
const _: fn(Rule) = |rule| match rule {
    Rule::GrantFromSending
    | Rule::RowBeforeHead
    | Rule::RepeatsWait
    | Rule::FollowersLookAgain
    | Rule::AsOfContainsStart
    | Rule::TaintedStaysOut
    | Rule::TtlWithinLease
    | Rule::SessionsFirst
    | Rule::RowStoodStill
    | Rule::VerifyUnderLease
    | Rule::WaitMargin
    | Rule::WaitFromCommit
    | Rule::DeltaOnReturn
    | Rule::BrokenStreamCounts
    | Rule::HelloByPosition
    | Rule::AckByPosition
    | Rule::AsOfByPosition
    | Rule::ResetTaints
    | Rule::GrantsAnswer
    | Rule::WaitUntilRuns
    | Rule::NonceCompared
    | Rule::RowTellsLease
    | Rule::NewerStreamReplaces
    | Rule::HelloEndsLease
    | Rule::ReadContainsApplied
    | Rule::ResetEndsLease => {}
};
