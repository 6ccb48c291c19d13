//! The rules in use, and how they change while the platform runs.
//!
//! A new set is compiled beside the old one and handed to the inspecting thread, which takes it between two batches:
//! no event is missed or judged twice, and the windows of correlations that did not change go on. A set that cannot be
//! read, or of which nothing loads, changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use wanglou_detect::Engine;
use wanglou_model::Timestamp;

use crate::rulebook::{RuleSources, Rulebook};

/// How often the rule folders are looked at. A change counts once it has stood still for one such span.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Folders nest less deeply; a loop of links ends here.
const MAX_DEPTH: usize = 32;

/// The rules of the running platform.
pub(crate) struct Rules {
    /// Beside the built-in rules.
    sources: RuleSources,
    current: RwLock<Arc<Rulebook>>,
    /// Compiled, and not yet taken by the inspecting thread.
    pending: Mutex<Option<Arc<Engine>>>,
    /// One reload at a time.
    turn: tokio::sync::Mutex<()>,
    last: RwLock<Reloaded>,
}

/// What came of the last time the rules were read.
#[derive(Clone, Debug)]
pub(crate) struct Reloaded {
    pub at: Timestamp,
    /// `start`, `SIGHUP`, `api` or `files`.
    pub trigger: &'static str,
    /// Why the set before is still in use; `None` when the new one is.
    pub refused: Option<String>,
}

impl Rules {
    /// Reads the rules for the first time.
    ///
    /// # Errors
    /// When the built-in content is wrong, or a pipeline or placeholder file.
    pub(crate) fn start(sources: RuleSources) -> anyhow::Result<Self> {
        let rulebook = Rulebook::load_with_built_in(&sources)?;
        rulebook.complain();
        Ok(Self {
            sources,
            current: RwLock::new(Arc::new(rulebook)),
            pending: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
            last: RwLock::new(Reloaded { at: Timestamp::now(), trigger: "start", refused: None }),
        })
    }

    /// The set in use.
    pub(crate) fn current(&self) -> Arc<Rulebook> {
        Arc::clone(&self.current.read())
    }

    /// What came of the last reading.
    pub(crate) fn last(&self) -> Reloaded {
        self.last.read().clone()
    }

    /// The engine that the inspecting thread should go on with, once.
    pub(crate) fn take_pending(&self) -> Option<Arc<Engine>> {
        self.pending.lock().take()
    }

    /// Reads the rules again and puts them in use if that went well.
    pub(crate) async fn reload(&self, trigger: &'static str) -> Reloaded {
        let _turn = self.turn.lock().await;
        let sources = self.sources.clone();
        let read = tokio::task::spawn_blocking(move || Rulebook::load_with_built_in(&sources)).await;
        let refused = match read {
            Err(_panic) => Some("compiling the rules failed; please report it".to_owned()),
            Ok(Err(error)) => Some(format!("{error:#}")),
            Ok(Ok(rulebook)) => match rulebook.unusable() {
                Some(reason) => Some(reason),
                None => {
                    rulebook.complain();
                    *self.pending.lock() = Some(Arc::clone(&rulebook.engine));
                    *self.current.write() = Arc::new(rulebook);
                    None
                }
            },
        };
        match &refused {
            None => tracing::info!(trigger, rules = self.current().loaded, "the rules were read again"),
            Some(reason) => tracing::warn!(trigger, reason, "the rules stay as they were"),
        }
        let reloaded = Reloaded { at: Timestamp::now(), trigger, refused };
        *self.last.write() = reloaded.clone();
        reloaded
    }

    /// Watches the rule folders and reads them again when they have changed and stand still.
    pub(crate) async fn watch(self: Arc<Self>) {
        if self.watched().next().is_none() {
            return;
        }
        let mut known = self.fingerprint().await;
        let mut before = known.clone();
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let now = self.fingerprint().await;
            if now != known && now == before {
                known = now.clone();
                self.reload("files").await;
            }
            before = now;
        }
    }

    /// The files and folders that rules come from.
    fn watched(&self) -> impl Iterator<Item = &PathBuf> {
        let RuleSources { paths, processing } = &self.sources;
        paths.iter().chain(&processing.pipeline).chain(&processing.placeholders)
    }

    async fn fingerprint(&self) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
        let paths: Vec<PathBuf> = self.watched().cloned().collect();
        let look = move || {
            let mut found = Vec::new();
            paths.iter().for_each(|path| list(path, 0, &mut found));
            found.sort();
            found
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

/// The files below a path with size and time of change.
fn list(path: &Path, depth: usize, found: &mut Vec<(PathBuf, u64, Option<SystemTime>)>) {
    let Ok(about) = fs::metadata(path) else { return };
    if !about.is_dir() {
        found.push((path.to_owned(), about.len(), about.modified().ok()));
    } else if depth < MAX_DEPTH
        && let Ok(entries) = fs::read_dir(path)
    {
        entries.filter_map(Result::ok).for_each(|entry| list(&entry.path(), depth + 1, found));
    }
}
