//! Whether something grew, failed, or was accepted that must not be.

use super::fit::{Fit, fit};
use super::sample::{Process, Sample};
use super::{Seen, wide};
use crate::table::{self, Line, median};

/// MiB an hour.
const SLOPE: f64 = 1.0;
/// From so many minutes on the slope itself has to be below that. A shorter run can't tell: one page that is touched for the first time
/// in two minutes is a slope of its own.
const LONG: u32 = 60;
/// In a shorter run, growth by so many MiB at the most counts for nothing, whatever its slope. A hundred bytes that are lost with
/// each write, or ten with each check, are more than this in two minutes.
const STEP: f64 = 2.0;
/// So many standard errors.
const SURE: f64 = 3.0;

/// A process' resident memory after warm-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Over seconds.
    pub(super) fit: Fit,
    /// From the middle of the first quarter to that of the last.
    growth: f64,
}

/// That of the server, or of a service.
pub(super) fn memory(seen: &Seen, process: usize) -> Memory {
    let points: Vec<(f64, f64)> =
        warm(seen).map(|sample| (sample.seconds, sample.processes[process].resident_mib)).collect();
    let quarter = (points.len() / 4).max(1);
    let middle = |points: &[(f64, f64)]| median(points.iter().map(|(_, memory)| *memory).collect());
    let growth = middle(&points[points.len() - quarter..]) - middle(&points[..quarter]);
    Memory { fit: fit(&points), growth }
}

impl Memory {
    /// MiB an hour, with its standard error.
    pub(super) fn an_hour(&self) -> (f64, f64) {
        (self.fit.slope * 3_600.0, self.fit.error * 3_600.0)
    }

    fn is_flat(&self, minutes: u32) -> bool {
        let (slope, error) = self.an_hour();
        if minutes >= LONG { slope < SLOPE } else { slope - SURE * error < SLOPE || self.growth <= STEP }
    }
}

fn warm(seen: &Seen) -> impl Iterator<Item = &Sample> {
    seen.samples.iter().filter(|sample| sample.seconds >= seen.warm)
}

/// What a process is called.
pub(super) fn name(process: usize) -> String {
    if process == 0 { "the server".to_owned() } else { format!("service {process}") }
}

/// Prints the table. Whether all is well.
pub(super) fn print(seen: &Seen) -> bool {
    let mut lines = Vec::new();
    for process in 0..seen.after.processes.len() {
        lines.push(slope(seen, process));
        lines.push(descriptors(seen, process));
    }
    lines.push(exactly("head − applied, at rest", seen.after.behind, "0"));
    let calls = format!("failed calls, of {} checks and {} writes", seen.after.checks, seen.after.writes);
    lines.push(exactly(&calls, wide(seen.after.failed), "0"));
    lines.push(exactly("stale accepts", wide(seen.after.stale), "0"));
    lines.push(figures(seen));
    println!("{}, {}", seen.what, seen.pace);
    for trouble in &seen.trouble {
        println!("what went wrong: {trouble}");
    }
    table::print(&lines);
    lines.iter().all(|line| line.met != Some(false))
}

fn slope(seen: &Seen, process: usize) -> Line {
    let memory = memory(seen, process);
    let (slope, error) = memory.an_hour();
    let met = memory.is_flat(seen.minutes);
    Line {
        what: format!("resident memory of {}, slope after warm-up", name(process)),
        figure: format!("{slope:+.2} ± {error:.2} MiB an hour"),
        peer: format!(
            "{:.1} MiB idle, {:.1} after full speed, {:.1} at the end; {:+.2} in the run",
            seen.idle.processes[process].resident_mib,
            seen.before.processes[process].resident_mib,
            seen.after.processes[process].resident_mib,
            memory.growth
        ),
        ratio: None,
        goal: if seen.minutes >= LONG {
            "< 1 MiB an hour"
        } else {
            "− 3 errors < 1 MiB an hour, or ≤ 2 MiB in the run"
        },
        met: Some(met),
    }
}

/// Those of a pool may have become fewer.
fn descriptors(seen: &Seen, process: usize) -> Line {
    let at = |sample: &Sample| sample.processes[process];
    let (Process { descriptors: before, .. }, after) = (at(&seen.before), at(&seen.after));
    Line {
        what: format!("descriptors of {}, at rest", name(process)),
        figure: format!("{} at the end", after.descriptors),
        peer: format!("{before} before the run; {} threads", after.threads),
        ratio: None,
        goal: "no more",
        met: Some(after.descriptors <= before),
    }
}

fn exactly(what: &str, figure: f64, goal: &'static str) -> Line {
    Line {
        what: what.to_owned(),
        figure: format!("{figure}"),
        peer: String::new(),
        ratio: None,
        goal,
        met: Some(figure == 0.0),
    }
}

/// What normal looks like.
fn figures(seen: &Seen) -> Line {
    let (first, last) = (&seen.samples[0], &seen.samples[seen.samples.len() - 1]);
    let cores: Vec<String> = (0..last.processes.len())
        .map(|process| {
            let spent = last.processes[process].cpu_seconds - first.processes[process].cpu_seconds;
            format!("{} {:.2}", name(process), spent / (last.seconds - first.seconds))
        })
        .collect();
    let least = seen.samples.iter().map(|sample| sample.lease_left).fold(f64::INFINITY, f64::min);
    let most = seen.samples.iter().map(|sample| sample.behind).fold(0.0, f64::max);
    Line {
        what: "cores in use".to_owned(),
        figure: cores.join(", "),
        peer: format!(
            "at least {least:.1} s of the lease left; head − applied at most {most}; {} holders",
            last.holders
        ),
        ratio: None,
        goal: "a figure only",
        met: None,
    }
}
