//! The rules of the protocol by name, and a way to switch one off in tests. What each says is kept where it is used.

/// A rule whose absence breaks strict revocation; `README.md` says where each is kept.
///
/// Production keeps all of them. With the feature `mutants` one can be switched off, so that the model can
/// show that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A holder counts a lease from the moment that it sent the Renew, not from the grant's arrival.
    GrantFromSending,
    /// A renewal commits the replica's row before it reads the head of the log.
    RowBeforeHead,
    /// A repeated delete waits as the first one does.
    RepeatsWait,
    /// Who waited for another's flight looks in the cache again and does not take its result.
    FollowersLookAgain,
    /// An answer enters a cache only if its snapshot contains the flight's start.
    AsOfContainsStart,
    /// An answer enters no cache if its digest was invalidated while it was under way.
    TaintedStaysOut,
    /// A grant ends no later than its replica's lease.
    TtlWithinLease,
    /// A replica confirms nothing before its sessions did.
    SessionsFirst,
    /// Another's row is removed only if its count stood still.
    RowStoodStill,
    /// A replica gives no positive answer without a lease.
    VerifyUnderLease,
    /// Leases are waited out 1.25 times.
    WaitMargin,
    /// A delete's wait is counted from the commit's acknowledgement.
    WaitFromCommit,
    /// A holder that comes back gets the revocations that it missed.
    DeltaOnReturn,
    /// A session goes on counting after its stream broke.
    BrokenStreamCounts,
    /// A Hello's position is compared by its nonce too.
    HelloByPosition,
    /// An acknowledgement's position is compared by its nonce too.
    AckByPosition,
    /// Whether an answer may be cached is decided by the nonce too.
    AsOfByPosition,
    /// A Reset taints all flights.
    ResetTaints,
    /// A grant answers a Renew.
    GrantsAnswer,
    /// A session that has not confirmed is waited for until its grants are over.
    WaitUntilRuns,
    /// A replica compares the nonce of its own position when it reads the log.
    NonceCompared,
    /// The row tells the lease that is really used.
    RowTellsLease,
    /// A Hello of an older stream does not replace a newer session of the same holder.
    NewerStreamReplaces,
    /// A holder ends its lease before it says Hello.
    HelloEndsLease,
    /// A holder ends its lease before it carries a Reset out.
    ResetEndsLease,
    /// A positive answer's snapshot contains the position at which the replica stood when it sent the read.
    ReadContainsApplied,
}

/// Which rules are kept: in production all, at no cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    #[cfg(feature = "mutants")]
    off: Option<Rule>,
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self {
        #[cfg(feature = "mutants")]
        off: None,
    };

    /// All but one.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub const fn without(rule: Rule) -> Self {
        Self { off: Some(rule) }
    }

    /// Whether this rule is kept.
    #[cfg(feature = "mutants")]
    pub(crate) fn keep(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }

    /// Whether this rule is kept.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "with the feature `mutants` it is used")]
    pub(crate) const fn keep(self, _rule: Rule) -> bool {
        true
    }
}
