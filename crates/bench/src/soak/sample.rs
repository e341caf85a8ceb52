//! One look at the processes and at the server's figures, and how it is written down.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use procfs::process::Process as Proc;

use super::traffic::World;
use super::wide;

/// What can be looked at.
pub(super) struct Looking {
    figures: String,
    http: reqwest::Client,
    /// The server's first.
    processes: Vec<u32>,
}

/// What was seen at a moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Since the half load began.
    pub(super) seconds: f64,
    /// The server first, then the services.
    pub(super) processes: Vec<Process>,
    /// `head − applied`.
    pub(super) behind: f64,
    /// Of the server's own lease, in seconds.
    pub(super) lease_left: f64,
    pub(super) holders: f64,
    pub(super) checks: u64,
    pub(super) writes: u64,
    pub(super) failed: u64,
    pub(super) stale: u64,
}

/// What one process takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) resident_mib: f64,
    pub(super) descriptors: usize,
    pub(super) threads: i64,
    /// Of all cores, since it was started.
    pub(super) cpu_seconds: f64,
}

impl Looking {
    pub(super) fn at(figures: SocketAddr, processes: Vec<u32>) -> Self {
        Self { figures: format!("http://{figures}/metrics"), http: reqwest::Client::new(), processes }
    }

    pub(super) async fn look(&self, seconds: f64, world: &World) -> Sample {
        let answer = self.http.get(&self.figures).send().await.expect("the server runs");
        let figures = answer.text().await.expect("text");
        let figure = |name: &str| {
            let mut lines = figures.lines().filter_map(|line| line.split_once(' '));
            let (_, value) = lines.find(|(found, _)| *found == name).expect("the server has this figure");
            value.parse::<f64>().expect("a number")
        };
        let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        Sample {
            seconds,
            processes: self.processes.iter().map(|pid| Process::of(*pid)).collect(),
            behind: figure("gatekey_log_behind"),
            lease_left: figure("gatekey_lease_left_seconds"),
            holders: figure("gatekey_holders"),
            checks: count(&world.counts.checks),
            writes: count(&world.counts.writes),
            failed: count(&world.counts.failed),
            stale: count(&world.counts.stale),
        }
    }
}

impl Process {
    fn of(pid: u32) -> Self {
        let process = Proc::new(pid.cast_signed()).expect("it runs");
        let (stat, status) =
            (process.stat().expect("Linux tells it"), process.status().expect("Linux tells it"));
        Self {
            resident_mib: wide(status.vmrss.expect("it is no kernel thread")) / 1_024.0,
            descriptors: process.fd_count().expect("it is our own"),
            threads: stat.num_threads,
            cpu_seconds: wide(stat.utime + stat.stime) / wide(procfs::ticks_per_second()),
        }
    }
}

impl Sample {
    /// The CSV's first line.
    pub(super) fn columns(services: usize) -> String {
        let mut columns = vec!["seconds".to_owned()];
        let names = std::iter::once("server".to_owned())
            .chain((0..services).map(|number| format!("service_{number}")));
        for name in names {
            for column in ["resident_mib", "descriptors", "threads", "cpu_seconds"] {
                columns.push(format!("{name}_{column}"));
            }
        }
        columns.extend(
            ["log_behind", "lease_left_seconds", "holders", "checks", "writes", "failed", "stale"]
                .map(str::to_owned),
        );
        columns.join(",")
    }

    /// For whoever waits.
    pub(super) fn told(&self) -> String {
        let Self { processes, behind, lease_left, checks, writes, failed, stale, .. } = self;
        let memory: Vec<_> = processes.iter().map(|process| format!("{:.1}", process.resident_mib)).collect();
        format!(
            "{} MiB, {behind} behind, {lease_left:.1} s of the lease left, {checks} checks, {writes} writes, {failed} failed, {stale} stale",
            memory.join(" / ")
        )
    }
}

/// A line of the CSV.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.seconds)?;
        for Process { resident_mib, descriptors, threads, cpu_seconds } in &self.processes {
            write!(f, ",{resident_mib:.3},{descriptors},{threads},{cpu_seconds:.2}")?;
        }
        let Self { behind, lease_left, holders, checks, writes, failed, stale, .. } = self;
        write!(f, ",{behind},{lease_left:.3},{holders},{checks},{writes},{failed},{stale}")
    }
}
