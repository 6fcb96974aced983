//! Reading the instruments: elapsed time, percentiles, processor time and memory as the operating system counts them.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use watchbell_domain::port::Clock;

use super::Error;
use crate::clock::SystemClock;

/// What `/proc/PID/stat` counts in: fixed at 100 a second on the platforms that Linux runs us on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Fields of `/proc/PID/stat` behind the closing parenthesis of the name: utime, stime, cutime, cstime.
const STAT_TIMES: std::ops::Range<usize> = 11..15;

/// Nanoseconds since one moment that all parts of a run share. Never 0, which says "not yet".
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch(SystemClock);

impl Watch {
    pub(super) fn start() -> Self {
        Self(SystemClock::start())
    }

    pub(super) fn nanos(self) -> u64 {
        u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &self.0
    }
}

/// Seconds of nanoseconds.
pub(super) fn seconds(nanos: u64) -> f64 {
    precise(nanos) / 1e9
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a figure for people needs no units")]
pub(super) const fn precise(count: u64) -> f64 {
    count as f64
}

/// `part` of `whole`, 0 when there is no whole.
pub(super) fn per(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A distribution of waits in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of waits in nanoseconds, in any order. Nothing measured: all zero.
    pub(super) fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let at = |percent: usize| millis(percentile(&nanos, percent));
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }

    /// Each figure longer by a wait that comes on top.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            p50: self.p50 + other.p50,
            p90: self.p90 + other.p90,
            p99: self.p99 + other.p99,
            max: self.max + other.max,
        }
    }
}

/// The smallest value that so many percent do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn millis(nanos: u64) -> f64 {
    precise(nanos) / 1e6
}

/// Processor time of one thread, which any thread may read while it lives.
#[derive(Debug, Clone)]
pub(super) struct ThreadCpu(PathBuf);

impl ThreadCpu {
    /// The calling thread's.
    pub(super) fn of_this_thread() -> Result<Self, Error> {
        let name = fs::read_link("/proc/thread-self").map_err(|error| Error::Proc("/proc/thread-self", error))?;
        Ok(Self(PathBuf::from("/proc").join(name)))
    }

    /// User and system time so far.
    pub(super) fn seconds(&self) -> Result<f64, Error> {
        // Nanoseconds, where the kernel keeps them.
        if let Ok(text) = fs::read_to_string(self.0.join("schedstat"))
            && let Some(nanos) = text.split(' ').next().and_then(|field| field.parse().ok())
        {
            return Ok(seconds(nanos));
        }
        let text =
            fs::read_to_string(self.0.join("stat")).map_err(|error| Error::Proc("the stat of a thread", error))?;
        Ok(ticks(&text) / TICKS_PER_SECOND)
    }
}

/// User and system time of a process and of the children it has waited for.
pub(super) fn process_cpu_seconds(pid: u32) -> Result<f64, Error> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"));
    Ok(ticks(&text.map_err(|error| Error::Proc("the stat of the server", error))?) / TICKS_PER_SECOND)
}

/// The name of a process may hold anything, spaces and parentheses too: fields count from behind the last one.
fn ticks(stat: &str) -> f64 {
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let times = fields.split(' ').skip(STAT_TIMES.start).take(STAT_TIMES.len());
    times.filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Resident memory of a process, in MB (10^6 bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    pub(super) now_mb: f64,
    pub(super) peak_mb: f64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Result<Self, Error> {
        let text = fs::read_to_string(format!("/proc/{pid}/status"));
        Ok(Self::read(&text.map_err(|error| Error::Proc("the status of the server", error))?))
    }

    fn read(status: &str) -> Self {
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
        };
        Self { now_mb: kib("VmRSS") * 1024.0 / 1e6, peak_mb: kib("VmHWM") * 1024.0 / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).rev().map(|ms| ms * 1_000_000).collect();
        assert_eq!(Spread::of(hundred), Spread { p50: 50.0, p90: 90.0, p99: 99.0, max: 100.0 });
        let three = Spread::of(vec![3_000_000, 1_000_000, 2_000_000]);
        assert_eq!(three, Spread { p50: 2.0, p90: 3.0, p99: 3.0, max: 3.0 });
        assert_eq!(Spread::of(vec![500_000]), Spread { p50: 0.5, p90: 0.5, p99: 0.5, max: 0.5 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }

    #[test]
    fn waits_add_up() {
        let one = Spread { p50: 1.0, p90: 2.0, p99: 3.0, max: 4.0 };
        assert_eq!(one.plus(one), Spread { p50: 2.0, p90: 4.0, p99: 6.0, max: 8.0 });
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(per(3.0, 2.0), 1.5);
        assert_eq!(per(3.0, 0.0), 0.0);
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 1 2 3 4 150 50 7 3 20 0 4 0 100";
        assert_eq!(ticks(stat), 210.0);
        assert_eq!(ticks("nonsense"), 0.0);
    }

    #[test]
    fn memory_is_read_in_megabytes() {
        let status = "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t   40000 kB\nVmRSS:\t   20000 kB\n";
        assert_eq!(Memory::read(status), Memory { now_mb: 20.48, peak_mb: 40.96 });
    }

    #[test]
    fn a_thread_that_works_uses_processor_time() {
        let cpu = ThreadCpu::of_this_thread().unwrap();
        let before = cpu.seconds().unwrap();
        let mut sum = 0_u64;
        while cpu.seconds().unwrap() <= before {
            sum = (0..1_000_000).fold(sum, |sum, number| sum.rotate_left(7) ^ number);
        }
        std::hint::black_box(sum);
    }
}
