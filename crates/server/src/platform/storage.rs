//! Watches that the disk does not fill: below a reserve nothing more is taken in, so that what has been taken can still
//! be stored; above it, taking in goes on by itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::room::Room;

/// How often the disk is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The reserve where none is configured: this part of the disk (one in so many), at most this much.
const RESERVE_PART: u64 = 20;
const LARGEST_RESERVE: u64 = 1 << 30;

/// Whether there is room on the disk.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    is_full: AtomicBool,
}

impl Storage {
    /// Whether nothing is taken in for want of room on the disk.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// Watches until aborted. `reserve` in bytes; a twentieth of the disk, at most 1 GiB, where none is given.
    pub(crate) async fn watch(self: Arc<Self>, dir: PathBuf, reserve: Option<u64>, room: Arc<Room>) {
        let mut rounds = tokio::time::interval(EVERY);
        loop {
            rounds.tick().await;
            match rustix::fs::statvfs(&dir) {
                Ok(disk) => {
                    let (free, size) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
                    let reserve = reserve.unwrap_or_else(|| (size / RESERVE_PART).min(LARGEST_RESERVE));
                    self.note(free, reserve, &room);
                }
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "cannot ask the disk for its free space");
                }
            }
        }
    }

    fn note(&self, free: u64, reserve: u64, room: &Room) {
        let was_full = self.is_full();
        // A little more to go on than to stop, so as not to flutter.
        let is_full = free < if was_full { reserve + reserve / 4 } else { reserve };
        if is_full == was_full {
            return;
        }
        self.is_full.store(is_full, Ordering::Release);
        room.shut(is_full);
        if is_full {
            tracing::error!(
                free,
                reserve,
                "the disk is full: nothing more is acknowledged until there is room"
            );
        } else {
            tracing::info!(free, reserve, "there is room on the disk again: taking in goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use wanglou_model::SourceId;

    use super::*;

    #[test]
    fn the_reserve_stops_and_a_little_more_lets_go_on() {
        let (storage, room, source) = (Storage::default(), Room::new(10, HashSet::new()), SourceId::new("a"));
        for (free, is_full) in [(100, false), (79, true), (99, true), (100, false), (80, false)] {
            storage.note(free, 80, &room);
            assert_eq!(
                (storage.is_full(), room.try_enter(&source, 1).is_err()),
                (is_full, is_full),
                "{free}"
            );
        }
    }
}
