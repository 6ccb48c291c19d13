//! What a duty analyst sees first: sums over events, findings and incidents of a time range.

use std::time::Duration;

use wanglou_lake::{Bucket, Buckets, LakeError, Query};
use wanglou_model::Timestamp;

use super::Platform;
use crate::state::{FindingSums, IncidentSums, StateError};

/// Things and rules in the top lists.
const TOP: u64 = 10;
/// Buckets of the histograms.
pub(crate) const BUCKETS: usize = 60;

/// The sums.
#[derive(Debug)]
pub(crate) struct Overview {
    pub events: Vec<Bucket>,
    /// Width of a bucket, the same for both histograms.
    pub bucket_nanos: i64,
    pub findings: FindingSums,
    pub incidents: IncidentSums,
}

/// The sums could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OverviewError {
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The event store failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl Platform {
    /// Sums up a time range, which must not be empty.
    pub(crate) async fn overview(&self, from: Timestamp, to: Timestamp) -> Result<Overview, OverviewError> {
        let bucket_nanos = bucket_nanos(from, to, BUCKETS);
        let query = Query::between(from, to);
        let events = self.lake.histogram(&query, width(bucket_nanos));
        let findings = self.state.finding_sums(from, to, bucket_nanos, TOP);
        let (events, findings, incidents) = tokio::join!(events, findings, self.state.incident_sums());
        Ok(Overview { events: events?, bucket_nanos, findings: findings?, incidents: incidents? })
    }
}

/// The width of buckets for a time range: the smallest that people find round and that gives at most so many.
pub(crate) fn bucket_nanos(from: Timestamp, to: Timestamp, buckets: usize) -> i64 {
    const NANOS_PER_SECOND: i64 = 1_000_000_000;
    const ROUND_SECONDS: [i64; 16] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200];
    const DAY_SECONDS: i64 = 86_400;
    let span = to.nanos().saturating_sub(from.nanos());
    let buckets = i64::try_from(buckets).unwrap_or(i64::MAX);
    let least = (span - 1).div_euclid(buckets.saturating_mul(NANOS_PER_SECOND)) + 1;
    let round = ROUND_SECONDS.into_iter().find(|seconds| *seconds >= least);
    round.unwrap_or_else(|| ((least - 1).div_euclid(DAY_SECONDS) + 1) * DAY_SECONDS) * NANOS_PER_SECOND
}

/// Buckets of this width.
pub(crate) fn width(bucket_nanos: i64) -> Buckets {
    Buckets::Width(Duration::from_nanos(bucket_nanos.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_round_and_not_too_many() {
        let width = |hours: i64, buckets| {
            bucket_nanos(Timestamp::from_secs(0), Timestamp::from_secs(hours * 3_600), buckets)
                / 1_000_000_000
        };
        assert_eq!(width(1, 60), 60);
        assert_eq!(width(24, 60), 1_800);
        assert_eq!(width(24 * 30, 60), 43_200);
        assert_eq!(width(24 * 365, 60), 7 * 86_400);
    }
}
