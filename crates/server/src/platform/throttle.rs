//! Holds back those who guess passwords: so many failures within a time, by address and by address and name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures of one address for one name.
const MAX_FAILURES_BY_NAME: u32 = 5;
/// Failures of one address, whatever the name.
const MAX_FAILURES_BY_ADDRESS: u32 = 20;
/// After this time failures are forgotten.
const WINDOW: Duration = Duration::from_secs(300);
/// Entries kept; when full, old ones go first, then all (an attacker with this many addresses is not stopped here).
const MAX_ENTRIES: usize = 20_000;

/// Whose failures: an address, or an address with a name.
type Key = (IpAddr, Option<String>);

/// Counts failures.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<Key, (u32, Instant)>>,
}

impl Throttle {
    /// How long this address must wait before it may try this name; `None` when it may try now.
    pub(crate) fn wait(&self, address: IpAddr, name: &str, now: Instant) -> Option<Duration> {
        let failures = self.failures.lock();
        [(Some(name.to_owned()), MAX_FAILURES_BY_NAME), (None, MAX_FAILURES_BY_ADDRESS)]
            .into_iter()
            .filter_map(|(name, limit)| {
                let (count, since) = failures.get(&(address, name))?;
                let left = WINDOW.checked_sub(now.duration_since(*since))?;
                (*count >= limit).then_some(left)
            })
            .max()
    }

    /// Counts a failure.
    pub(crate) fn fail(&self, address: IpAddr, name: &str, now: Instant) {
        let mut failures = self.failures.lock();
        if failures.len() >= MAX_ENTRIES {
            failures.retain(|_, (_, since)| now.duration_since(*since) < WINDOW);
            if failures.len() >= MAX_ENTRIES {
                failures.clear();
            }
        }
        for name in [Some(name.to_owned()), None] {
            let (count, since) = failures.entry((address, name)).or_insert((0, now));
            if now.duration_since(*since) >= WINDOW {
                (*count, *since) = (0, now);
            }
            *count += 1;
        }
    }

    /// Forgets the failures for a name: its owner is in.
    pub(crate) fn succeed(&self, address: IpAddr, name: &str) {
        self.failures.lock().remove(&(address, Some(name.to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_guess_waits_and_others_do_not() {
        let throttle = Throttle::default();
        let (guesser, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let now = Instant::now();
        for _ in 0..MAX_FAILURES_BY_NAME {
            assert_eq!(throttle.wait(guesser, "root", now), None);
            throttle.fail(guesser, "root", now);
        }
        assert!(throttle.wait(guesser, "root", now).is_some());
        assert_eq!(throttle.wait(guesser, "admin", now), None);
        assert_eq!(throttle.wait(other, "root", now), None);
        assert_eq!(throttle.wait(guesser, "root", now + WINDOW + Duration::from_secs(1)), None);
        for n in 0..MAX_FAILURES_BY_ADDRESS {
            throttle.fail(guesser, &n.to_string(), now);
        }
        assert!(throttle.wait(guesser, "anybody", now).is_some());
    }
}
