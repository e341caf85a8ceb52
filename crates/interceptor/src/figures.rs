//! Figures for the facade of the `metrics` crate, brought up to date four times a second, so that no check pays for them.

use metrics::{counter, gauge};

use crate::{Health, Stats};

pub(crate) fn publish(stats: &Stats, health: &Health) {
    let Stats {
        cached,
        verified,
        missing,
        unreadable,
        invalid,
        wrong_type,
        unverifiable,
        overloaded,
        no_rule,
        asked,
        unanswered,
    } = *stats;
    for (outcome, count) in [
        ("cached", cached),
        ("verified", verified),
        ("missing", missing),
        ("unreadable", unreadable),
        ("invalid", invalid),
        ("wrong_type", wrong_type),
        ("unverifiable", unverifiable),
        ("overloaded", overloaded),
        ("no_rule", no_rule),
    ] {
        counter!("gatekey_checks_total", "outcome" => outcome).absolute(count);
    }
    counter!("gatekey_verifications_total").absolute(asked);
    counter!("gatekey_verifications_unanswered_total").absolute(unanswered);
    gauge!("gatekey_lease_left_seconds").set(health.lease_left.unwrap_or_default().as_secs_f64());
    gauge!("gatekey_cached_tokens").set(float(health.cached_tokens));
    gauge!("gatekey_guarded_tokens").set(float(health.guarded_tokens));
    gauge!("gatekey_verifications_in_flight").set(float(health.verifying));
}

fn float(count: usize) -> f64 {
    // Far fewer than a float can tell apart.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
