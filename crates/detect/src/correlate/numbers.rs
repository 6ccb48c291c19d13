//! Numbers within a sliding window: their sum and mean, a percentile, and how common a value is.
//!
//! Sums are kept in fixed point, so that adding and taking away in any order gives the same: exact for numbers up to
//! 2^64 with 32 binary digits after the point. A window of more than [`MAX_EXACT`] events is thinned out to a sample
//! by the events' ids, as `values` does with values; every number that is compared is then an estimate.

use super::timeline::Timeline;
use crate::sigma::Aggregate;

/// Events held exactly; also the most that a sample holds.
pub(super) const MAX_EXACT: usize = 4_096;
/// Binary digits after the point.
const POINT: i32 = 32;
/// Larger numbers count as this.
const LARGEST: f64 = 18_446_744_073_709_551_616.0;

/// The numbers (or hashes of values) of one group.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) events: Timeline,
    /// In fixed point.
    pub(super) sum: i128,
    /// An event is in the sample when its id ends with so many zero bits; 0: all are.
    pub(super) level: u32,
}

impl Numbers {
    pub(super) fn insert(&mut self, entry: super::entry::Entry, sums: bool) -> bool {
        let value = entry.value;
        if entry.uid[1].trailing_zeros() < self.level || !self.events.insert(entry) {
            return false;
        }
        if sums {
            self.sum = self.sum.saturating_add(fixed(value));
        }
        while self.events.len() > MAX_EXACT && self.level < u64::BITS {
            self.level += 1;
            let level = self.level;
            self.events.retain(|uid| uid.trailing_zeros() >= level);
            if sums {
                self.sum = self.events.values().map(fixed).fold(0, i128::saturating_add);
            }
        }
        true
    }

    pub(super) fn forget_before(&mut self, time: i64, sums: bool) {
        while let Some(gone) = self.events.pop_before(time) {
            if sums {
                self.sum = self.sum.saturating_sub(fixed(gone.value));
            }
        }
        if self.events.len() == 0 {
            self.level = 0;
        }
    }

    /// What the rule asks for, as of the event with this value, and the relative standard error of an estimate.
    #[expect(clippy::cast_precision_loss, reason = "a sample has at most some thousands")]
    pub(super) fn reached(&self, aggregate: &Aggregate, value: u64) -> Option<(f64, Option<f64>)> {
        let count = self.events.len();
        if count == 0 {
            return None;
        }
        let sum = || self.sum as f64 / 2_f64.powi(POINT);
        let reached = match aggregate {
            Aggregate::Sum(_) => sum() * 2_f64.powi(self.level.cast_signed()),
            Aggregate::Average(_) => sum() / count as f64,
            Aggregate::Percentile(_, percent) => self.percentile(*percent)?,
            _ => {
                let same = self.events.values().filter(|other| *other == value).count();
                // An event that the sample passed over has its value all the same.
                100.0 * same.max(1) as f64 / count as f64
            }
        };
        Some((reached, (self.level > 0).then(|| self.error(aggregate, value))))
    }

    /// The value that so many per cent of the events do not exceed (nearest rank).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are small and positive"
    )]
    fn percentile(&self, percent: f64) -> Option<f64> {
        let mut values: Vec<f64> = self.events.values().map(f64::from_bits).collect();
        let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
        let at = rank.clamp(1, values.len()) - 1;
        let (_, value, _) = values.select_nth_unstable_by(at, f64::total_cmp);
        Some(*value)
    }

    #[expect(clippy::cast_precision_loss, reason = "a sample has at most some thousands")]
    fn error(&self, aggregate: &Aggregate, value: u64) -> f64 {
        let count = self.events.len() as f64;
        match aggregate {
            Aggregate::Sum(_) | Aggregate::Average(_) => {
                let values = || self.events.values().map(f64::from_bits);
                let mean = values().sum::<f64>() / count;
                let squares = values().map(|value| value * value).sum::<f64>() / count;
                let spread =
                    if matches!(aggregate, Aggregate::Sum(_)) { squares } else { squares - mean * mean };
                (spread.max(0.0) / count).sqrt() / mean.abs().max(f64::MIN_POSITIVE)
            }
            Aggregate::Percentile(_, percent) => {
                let share = percent / 100.0;
                (share * (1.0 - share) / count).sqrt()
            }
            _ => {
                let same = self.events.values().filter(|other| *other == value).count().max(1);
                1.0 / (same as f64).sqrt()
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped before, and a part below 2^-32 does not count")]
fn fixed(bits: u64) -> i128 {
    (f64::from_bits(bits).clamp(-LARGEST, LARGEST) * 2_f64.powi(POINT)) as i128
}
