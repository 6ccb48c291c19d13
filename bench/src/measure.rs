//! Time, as this thread's processor time.

use std::time::Duration;

/// Each figure is the median of so many runs.
pub const RUNS: usize = 5;

/// Time that this thread has run: unlike the clock, it does not count the machine's other work.
pub fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Seconds of processor time that a piece of work takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let started = cpu_time();
    work();
    (cpu_time() - started).as_secs_f64()
}

/// The median of each piece of work, all run in turn.
pub fn medians<const N: usize>(mut works: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..RUNS {
        for (work, times) in works.iter_mut().zip(&mut times) {
            times.push(seconds(&mut **work));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[RUNS / 2].max(1e-9)
    })
}

/// A figure of `/proc/self/status`, in MiB.
pub fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}
