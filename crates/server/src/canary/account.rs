//! What came of a round and of all rounds, and the lines of JSON that say so.

use std::time::Duration;

use gatekey_proto::v1;
use serde::{Serialize, Serializer};

use super::delays::Delays;
use super::wire;
use crate::Failure;

/// One round. Tokens are named by their ids.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "round")]
pub(super) struct Round {
    #[serde(rename = "round")]
    number: u64,
    /// The cache accepted the token, and did so until it was to be deleted.
    pub(super) cached: bool,
    /// How long the call took that went well.
    #[serde(rename = "delete_ms", serialize_with = "optional_millis")]
    delete: Option<Duration>,
    holders_confirmed: Option<i32>,
    leases_waited_out: Option<i32>,
    /// Accepts after DeleteToken returned OK.
    stale: u64,
    /// Rejections before DeleteToken was called.
    false_rejects: u64,
    /// Questions about a deleted token that nobody answered with yes or no.
    pub(super) cannot_tell: u64,
    /// Other calls that failed.
    pub(super) failed: u64,
    /// How many servers said of the deleted token that it is revoked.
    #[serde(skip)]
    pub(super) revoked: u64,
    #[serde(skip)]
    pub(super) findings: Vec<Finding>,
}

/// Something that must never be.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Finding {
    Stale {
        round: u64,
        token_id: i64,
        /// Where the revocation stands in the log.
        position: String,
        /// The endpoint, or `cache`.
        accepted_by: String,
    },
    FalseReject {
        round: u64,
        token_id: i64,
        rejected_by: String,
        verdict: &'static str,
    },
}

impl Round {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            cached: false,
            delete: None,
            holders_confirmed: None,
            leases_waited_out: None,
            stale: 0,
            false_rejects: 0,
            cannot_tell: 0,
            failed: 0,
            revoked: 0,
            findings: Vec::new(),
        }
    }

    pub(super) fn deleted(&mut self, took: Duration, receipt: &v1::DeletionReceipt) {
        self.delete = Some(took);
        self.holders_confirmed = Some(receipt.holders_confirmed);
        self.leases_waited_out = Some(receipt.leases_waited_out);
    }

    pub(super) fn stale(&mut self, token_id: i64, receipt: &v1::DeletionReceipt, accepted_by: &str) {
        self.stale += 1;
        self.findings.push(Finding::Stale {
            round: self.number,
            token_id,
            position: wire::show(receipt.revision).to_string(),
            accepted_by: accepted_by.to_owned(),
        });
    }

    pub(super) fn false_reject(&mut self, token_id: i64, rejected_by: &str, verdict: v1::Verdict) {
        self.false_rejects += 1;
        self.findings.push(Finding::FalseReject {
            round: self.number,
            token_id,
            rejected_by: rejected_by.to_owned(),
            verdict: verdict.as_str_name(),
        });
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale > 0
    }

    /// It has shown what a round is to show: from the cache and from at least one server.
    pub(super) fn succeeded(&self) -> bool {
        let wrong = self.stale + self.false_rejects;
        self.cached && self.delete.is_some() && self.revoked > 0 && wrong == 0
    }
}

/// All rounds.
#[derive(Debug, Default, Serialize)]
#[serde(tag = "event", rename = "summary")]
pub(super) struct Totals {
    rounds: u64,
    succeeded: u64,
    stale: u64,
    false_rejects: u64,
    cannot_tell: u64,
    failed: u64,
    #[serde(rename = "delete_ms", serialize_with = "percentiles")]
    deletes: Delays,
}

#[derive(Serialize)]
struct DeleteMs {
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Totals {
    /// A round came to its end.
    pub(super) fn round(&mut self, round: &Round) {
        self.rounds += 1;
        self.succeeded += u64::from(round.succeeded());
        self.part(round);
    }

    /// A round was cut off, or was none: what it found counts all the same.
    pub(super) fn part(&mut self, round: &Round) {
        self.stale += round.stale;
        self.false_rejects += round.false_rejects;
        self.cannot_tell += round.cannot_tell;
        self.failed += round.failed;
        if let Some(delete) = round.delete {
            self.deletes.record(delete);
        }
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether all is well.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let problem = if self.stale > 0 {
            "a token was accepted after its delete had returned: revocation is not strict here"
        } else if self.false_rejects > 0 {
            "a good token was rejected"
        } else if self.succeeded == 0 {
            "no round succeeded: nothing is shown"
        } else {
            return Ok(());
        };
        Err(Failure::Run(problem.to_owned()))
    }
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn optional_millis<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(millis).serialize(serializer)
}

fn percentiles<S: Serializer>(deletes: &Delays, serializer: S) -> Result<S::Ok, S::Error> {
    let percentile = |percent| deletes.percentile(percent).map(millis);
    let max = deletes.max().map(millis);
    DeleteMs { p50: percentile(50), p99: percentile(99), max }.serialize(serializer)
}

/// To a hundredth.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLACE: v1::Position = v1::Position { seq: 5, nonce: 1 };

    fn receipt() -> v1::DeletionReceipt {
        v1::DeletionReceipt { revision: Some(PLACE), holders_confirmed: 1, ..Default::default() }
    }

    fn good(number: u64) -> Round {
        let mut round = Round { cached: true, revoked: 2, ..Round::new(number) };
        round.deleted(Duration::from_micros(3_204), &receipt());
        round
    }

    #[test]
    fn a_round_is_one_flat_line() {
        let line = serde_json::to_string(&good(1)).expect("JSON");
        let expected = r#"{"event":"round","round":1,"cached":true,"delete_ms":3.2,"holders_confirmed":1,"leases_waited_out":0,"stale":0,"false_rejects":0,"cannot_tell":0,"failed":0}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_stale_is_named_by_id_and_position() {
        let mut round = good(2);
        round.stale(17, &receipt(), "cache");
        assert!(round.is_stale() && !round.succeeded());
        let line = serde_json::to_value(&round.findings[0]).expect("JSON");
        let expected = json!({
            "event": "stale", "round": 2, "token_id": 17, "position": "5@0000000000000001",
            "accepted_by": "cache",
        });
        assert_eq!(line, expected);
        let mut round = good(3);
        round.false_reject(18, "http://a", v1::Verdict::Unknown);
        assert!(!round.succeeded());
        let line = serde_json::to_value(&round.findings[0]).expect("JSON");
        let expected = json!({
            "event": "false_reject", "round": 3, "token_id": 18, "rejected_by": "http://a",
            "verdict": "VERDICT_UNKNOWN",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_round_succeeds_only_if_cache_delete_and_a_server_took_part() {
        assert!(good(1).succeeded());
        assert!(!Round { cached: false, ..good(1) }.succeeded());
        assert!(!Round { revoked: 0, ..good(1) }.succeeded());
        assert!(!Round { delete: None, ..good(1) }.succeeded());
        assert!(Round { cannot_tell: 1, failed: 1, ..good(1) }.succeeded(), "another server answered");
    }

    #[test]
    fn the_summary_adds_up() {
        let mut totals = Totals::default();
        totals.round(&good(1));
        totals.round(&Round { failed: 2, ..Round::new(2) });
        totals.part(&Round { cannot_tell: 1, ..Round::new(3) });
        let expected = json!({
            "event": "summary", "rounds": 2, "succeeded": 1, "stale": 0, "false_rejects": 0, "cannot_tell": 1,
            "failed": 2, "delete_ms": { "p50": 3.2, "p99": 3.2, "max": 3.2 },
        });
        assert_eq!(serde_json::to_value(&totals).expect("JSON"), expected);
        assert!(totals.verdict().is_ok());
    }

    #[test]
    fn the_verdict_is_of_the_worst() {
        let said = |totals: &Totals| totals.verdict().expect_err("not well").to_string();
        let mut totals = Totals::default();
        assert!(said(&totals).starts_with("no round"));
        totals.round(&good(1));
        let mut round = good(2);
        round.false_reject(1, "http://a", v1::Verdict::Revoked);
        totals.round(&round);
        assert!(said(&totals).starts_with("a good token"));
        let mut round = Round::new(3);
        round.stale(1, &receipt(), "cache");
        totals.part(&round);
        assert!(said(&totals).starts_with("a token was accepted"));
    }
}
