//! Takes events away when they have been kept long enough, except the evidence of open incidents.

use std::sync::Arc;
use std::time::Duration;

use wanglou_lake::{Retention, Retired};
use wanglou_model::Timestamp;

use super::Platform;
use crate::state::Act;

/// How often it is looked for what is past its time.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Runs as long as the platform does.
pub(super) async fn keep(platform: Arc<Platform>, retention: Retention) {
    let mut rounds = tokio::time::interval(LOOK_EVERY);
    loop {
        rounds.tick().await;
        if let Err(error) = retire(&platform, &retention, Timestamp::now()).await {
            tracing::error!(error = format!("{error:#}"), "events past their retention stay for now");
        }
    }
}

/// One round. What is taken away is written into the audit log.
async fn retire(platform: &Platform, retention: &Retention, now: Timestamp) -> anyhow::Result<()> {
    if !platform.lake.is_anything_past(retention, now) {
        return Ok(());
    }
    let held = platform.state.held_events().await?;
    let Retired { files, events, held } = platform.lake.retire(retention, now, &held).await?;
    if events > 0 {
        let outcome =
            format!("{events} events of {files} files went, {held} stay as evidence of open incidents");
        let act = Act { who: "system", origin: "", act: "events.retire", object: "lake", outcome: &outcome };
        platform.state.audit(act, now).await?;
    }
    Ok(())
}
