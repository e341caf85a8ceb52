//! This machine: descriptors, and the clock by which leases go.

use super::finding::Findings;
use crate::{Failure, descriptors};

/// As many connections as a server takes on both ports, and some for the store and its files.
const DESCRIPTORS: u64 = 10_240 + 1_024 + 64;

pub(super) fn look(findings: &mut Findings) -> Result<(), Failure> {
    // A start raises the soft limit to it.
    let limit = descriptors::most();
    if limit < DESCRIPTORS {
        findings.warn(
            "descriptors",
            &format!(
                "{limit} open files at the most: a server takes up to 11,264 connections, and those beyond the limit wait; \
                 raise the hard limit (LimitNOFILE, ulimit -Hn)"
            ),
        )?;
    } else {
        findings.ok("descriptors", "as many open files as a server has connections at the most")?;
    }
    let before = gatekey_core::boottime();
    let after = gatekey_core::boottime();
    if after < before || before.nanos() == 0 {
        return findings.fail("lease clock", "CLOCK_BOOTTIME does not go on: leases can't be timed");
    }
    if cfg!(target_os = "linux") {
        return findings.ok("lease clock", "CLOCK_BOOTTIME goes on, also while the machine is suspended");
    }
    findings.warn(
        "lease clock",
        "leases go by a clock that may stop while the machine is suspended: run it on Linux",
    )
}
