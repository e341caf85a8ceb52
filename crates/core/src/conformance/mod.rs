//! The suite that every store must pass: what the ports promise, case by case.
//!
//! A store's tests implement [`Fixture`] and expand [`conformance_suite!`](crate::conformance_suite).
//! What is peculiar to one store (its indexes, its files, its outages) is left to that store's own
//! tests.

#![expect(clippy::missing_panics_doc, reason = "a case that fails panics: that is what it is for")]

use std::sync::Arc;

use async_trait::async_trait;
use gatekey_model::{TenantId, Timestamp};

use crate::OperatorStore;

mod bells;
mod creating;
mod dropped;
mod leasing;
mod limit;
mod listing;
mod log;
mod operating;
mod parallel;
mod requests;
mod revoking;
mod samples;
mod snapshot;
mod trimming;

pub use bells::*;
pub use creating::*;
pub use dropped::*;
pub use leasing::*;
pub use limit::*;
pub use listing::*;
pub use log::*;
pub use operating::*;
pub use parallel::*;
pub use requests::*;
pub use revoking::*;
pub use snapshot::*;
pub use trimming::*;

/// A store with a database of its own, empty but for its schema.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// The store.
    fn store(&self) -> Arc<dyn OperatorStore>;

    /// What the audit log holds of a tenant, in the order in which it was written.
    async fn audit(&self, tenant: &TenantId) -> Vec<AuditRow>;

    /// Tidies up, as well as it can. Called after the case, whatever came of it.
    async fn finish(&self) {}
}

/// An entry of the audit log, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who vouches for the subject.
    pub issuer: String,
    /// Who.
    pub subject: String,
    /// What was asked for.
    pub action: String,
    /// Which token.
    pub token_id: Option<i64>,
    /// The call's id.
    pub call_id: String,
    /// What came of it.
    pub outcome: String,
}

/// Runs a case, and tidies up whatever came of it.
pub async fn run(fixture: Arc<dyn Fixture>, case: impl Future<Output = ()> + Send + 'static) {
    let outcome = tokio::spawn(case).await;
    fixture.finish().await;
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// Expands to one test for each case. The expression makes a fresh
/// [`Fixture`](crate::conformance::Fixture) and may await; the crate needs `tokio`.
#[macro_export]
macro_rules! conformance_suite {
    ($fixture:expr) => {
        $crate::conformance_suite! { @cases $fixture =>
            a_token_is_found_as_it_was_created
            every_character_is_kept
            extremes_are_kept
            no_digest_is_used_twice
            a_refusal_is_recorded
            tenants_are_apart
            tokens_are_listed_newest_first
            pages_of_equal_times_leave_nothing_out
            expired_tokens_are_listed_and_deleted_ones_are_not
            a_revocation_leaves_a_tombstone
            a_repeated_revocation_says_where_the_first_stands
            deleting_what_isnt_there_writes_nothing
            concurrent_revocations_of_one_token_are_one
            the_limit_is_exact
            deleting_makes_room
            a_limit_of_none_is_kept
            limits_of_tenants_are_apart
            a_repeated_create_replaces
            a_request_id_is_for_one_payload
            a_request_id_is_spent_by_a_delete
            request_ids_of_others_are_apart
            a_request_id_is_forgotten_after_its_window
            a_repeat_opens_the_window_anew
            a_replacement_needs_no_room
            a_refused_create_leaves_no_trace
            concurrent_repeats_leave_one_live_token
            a_digest_is_looked_up
            a_digest_is_looked_up_in_an_epoch
            a_holders_entry_is_recognised
            the_log_begins_with_its_genesis
            the_log_is_read_from_anywhere
            the_newest_entries_are_never_trimmed
            a_log_is_trimmed_from_its_front
            what_was_trimmed_is_known_by_its_tombstone
            many_trim_at_once
            commit_order_is_log_order
            a_revocation_whose_caller_went_away_is_whole
            a_create_whose_caller_went_away_is_whole
            reads_whose_callers_went_away_disturb_nobody
            a_row_is_committed_and_counted
            a_row_outlives_its_line
            a_row_is_removed_at_its_count_only
            a_row_comes_back_without_its_confirmation
            a_removal_never_hits_a_renewed_row
            the_longest_lease_is_never_lowered
            a_confirmation_is_of_a_very_entry
            positions_are_looked_up_with_the_rows
            a_line_reads_the_head_and_the_log
            many_lines_at_once
            reads_go_on_while_they_are_renewed
            a_bell_rings_for_each_revocation
            a_bell_rings_for_each_confirmation
            every_bell_rings
            a_selection_finds_its_own
            many_are_revoked_as_one_is
            concurrent_runs_revoke_each_token_once
            a_run_is_on_record
            revoked_tokens_are_told
            an_epoch_begins
            leases_are_waited_out_without_rows
        }
    };
    (@cases $fixture:expr => $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let fixture: ::std::sync::Arc<dyn $crate::conformance::Fixture> = ::std::sync::Arc::new($fixture);
                let case = $crate::conformance::$case(::std::sync::Arc::clone(&fixture));
                $crate::conformance::run(fixture, case).await;
            }
        )*
    };
}
