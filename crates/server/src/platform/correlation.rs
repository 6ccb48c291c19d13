//! How correlation stands: what is shown of it in the metrics, the health and the overview.

use parking_lot::Mutex;
use wanglou_detect::Stats;
use wanglou_model::Timestamp;

/// What the inspecting thread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub stats: Stats,
    /// How often the windows began anew because correlation failed.
    pub resets: u64,
}

/// How correlation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub counted: Counted,
    /// The windows of before the start could not be read.
    pub lost: u64,
    /// When the windows were last saved.
    pub saved_at: Option<Timestamp>,
    /// Bytes of that.
    pub saved_bytes: u64,
    /// How often they could not be saved.
    pub save_failures: u64,
}

/// Shared by the pipeline, which knows, and those who show it.
#[derive(Debug, Default)]
pub(crate) struct Correlation {
    standing: Mutex<Standing>,
}

impl Correlation {
    /// How it stands now.
    pub(crate) fn standing(&self) -> Standing {
        *self.standing.lock()
    }

    /// The windows of before the start could not be read.
    pub(crate) fn lost(&self) {
        self.standing.lock().lost += 1;
    }

    /// The pipeline has come this far.
    pub(crate) fn counted(&self, counted: &Counted) {
        self.standing.lock().counted = *counted;
    }

    /// The windows were saved.
    pub(crate) fn saved(&self, bytes: u64, at: Timestamp) {
        let mut standing = self.standing.lock();
        (standing.saved_at, standing.saved_bytes) = (Some(at), bytes);
    }

    /// They could not be.
    pub(crate) fn save_failed(&self) {
        self.standing.lock().save_failures += 1;
    }
}
