//! A folder whose files are followed as they grow.
//!
//! The folder is scanned about once a second, without inotify: that works on network file systems and in containers
//! alike, and costs little beside reading. A file is known by its [identity](identity::Identity), not by its name, so
//! that every way of rotating logs comes out right:
//!
//! - *rename and recreate*: the old file keeps its identity under its new name, or is read to its end through the
//!   handle that is still open; the new one is another file;
//! - *copy and truncate*: a file shorter than what was read of it begins a new generation of its identity;
//! - *restart*: [`Checkpoints`] say how far each identity was stored.
//!
//! A last line without its line feed waits until it is whole, or until the file has been gone for a while. Compressed
//! files are copies of what has been read and are left alone. What is not seen: lines written and truncated away
//! between two scans.

mod follow;
mod identity;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use wanglou_model::SourceId;

use super::{Checkpoints, Counters, Delivery, DropReason, stopped};
use follow::{Followed, Progress};
use identity::Inode;

/// Names of files that hold copies of rotated logs.
const COMPRESSED: [&str; 7] = [".gz", ".zst", ".bz2", ".xz", ".zip", ".7z", ".lz4"];
/// Scans without growth after which a file that was renamed or removed is let go: its writer has reopened by then.
const SCANS_AFTER_GONE: u32 = 30;

/// Settings of a watched folder.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedFolderConfig {
    /// Names the source, such as `file:nginx`.
    pub source: SourceId,
    /// The folder, with all below it. Symbolic links are not followed.
    pub path: PathBuf,
    /// Which files: patterns of paths below the folder; `*` and `?` stay within a name, `**` spans folders.
    #[serde(default = "default_include")]
    pub include: Vec<String>,
    /// Which of these not.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where to begin in files that are there at the first start and were never read.
    #[serde(default)]
    pub read_from: ReadFrom,
    /// Milliseconds between scans.
    #[serde(default = "default_scan_interval_ms")]
    pub scan_interval_ms: u64,
    /// Longest line, in bytes. A longer one is dropped and counted.
    #[serde(default = "default_max_line_bytes")]
    pub max_line_bytes: usize,
    /// Files followed at a time, each with an open handle; further ones are counted and left alone.
    #[serde(default = "default_max_files")]
    pub max_files: usize,
}

/// Where to begin in a file that was never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    /// At its first line.
    #[default]
    Beginning,
    /// At its end: only what is written from now on.
    End,
}

fn default_include() -> Vec<String> {
    vec!["**/*".into()]
}
fn default_scan_interval_ms() -> u64 {
    1_000
}
fn default_max_line_bytes() -> usize {
    // As the decoders' own limit.
    8 << 20
}
fn default_max_files() -> usize {
    // Below the usual limit of open files (1,024) by what the rest of the platform needs.
    512
}

impl WatchedFolderConfig {
    /// Settings for the folder `path`, the others at their defaults.
    #[must_use]
    pub fn new(source: SourceId, path: PathBuf) -> Self {
        Self {
            source,
            path,
            include: default_include(),
            exclude: Vec::new(),
            read_from: ReadFrom::default(),
            scan_interval_ms: default_scan_interval_ms(),
            max_line_bytes: default_max_line_bytes(),
            max_files: default_max_files(),
        }
    }
}

/// A folder and what is known of its files.
pub struct WatchedFolder {
    config: WatchedFolderConfig,
    include: Vec<glob::Pattern>,
    exclude: Vec<glob::Pattern>,
    checkpoints: Arc<dyn Checkpoints>,
    counters: Arc<Counters>,
    followed: HashMap<Inode, Followed>,
    /// Files that could not be opened, or were too many, and have been counted as such.
    refused: HashMap<PathBuf, DropReason>,
    is_first_scan: bool,
}

impl std::fmt::Debug for WatchedFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedFolder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl WatchedFolder {
    /// A folder to watch. It need not exist yet.
    ///
    /// # Errors
    /// `InvalidInput` naming the pattern that is none.
    pub fn new(config: WatchedFolderConfig, checkpoints: Arc<dyn Checkpoints>) -> io::Result<Self> {
        let compile =
            |patterns: &[String]| patterns.iter().map(|text| pattern(text)).collect::<io::Result<Vec<_>>>();
        Ok(Self {
            include: compile(&config.include)?,
            exclude: compile(&config.exclude)?,
            config,
            checkpoints,
            counters: Arc::default(),
            followed: HashMap::new(),
            refused: HashMap::new(),
            is_first_scan: true,
        })
    }

    /// Its counters, which live on after it.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Follows the folder until `shutdown` turns true or nobody takes what it delivers.
    ///
    /// # Errors
    /// When a scan panics; files and folders that cannot be read are counted and tried again.
    pub async fn run(
        mut self,
        out: mpsc::Sender<Delivery>,
        mut shutdown: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let interval = Duration::from_millis(self.config.scan_interval_ms.max(1));
        while !*shutdown.borrow() && !out.is_closed() {
            let (sender, stop) = (out.clone(), shutdown.clone());
            let scan = tokio::task::spawn_blocking(move || {
                let more =
                    self.scan(&mut |delivery| sender.blocking_send(delivery).is_ok() && !*stop.borrow());
                (self, more)
            });
            let more;
            (self, more) = scan.await.map_err(io::Error::other)?;
            if more {
                continue;
            }
            tokio::select! {
                () = stopped(&mut shutdown) => {}
                () = out.closed() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
        Ok(())
    }

    /// Looks at every file once and reads a share of each that has grown. `true` when files have more to read.
    /// `deliver` answers whether to go on.
    fn scan(&mut self, deliver: &mut dyn FnMut(Delivery) -> bool) -> bool {
        for followed in self.followed.values_mut() {
            followed.is_listed = false;
        }
        for path in self.list() {
            if let Err(error) = self.meet(&path) {
                self.refuse(path, DropReason::Unreadable, &error);
            }
        }
        self.is_first_scan = false;
        let mut more = false;
        let mut gone = Vec::new();
        for (inode, followed) in &mut self.followed {
            match followed.read(&self.config, &self.counters, self.checkpoints.as_ref(), deliver) {
                Ok(Progress::More) => more = true,
                Ok(Progress::AtEnd) => {}
                Ok(Progress::Stopped) => return false,
                Err(error) => {
                    tracing::warn!(path = %followed.path.display(), %error, "cannot read a watched file");
                    gone.push(*inode);
                    continue;
                }
            }
            if followed.scans_gone >= SCANS_AFTER_GONE {
                followed.finish(&self.config, &self.counters, deliver);
                gone.push(*inode);
            }
        }
        for inode in gone {
            self.followed.remove(&inode);
        }
        more
    }

    /// The files that the patterns name, in order.
    fn list(&self) -> Vec<PathBuf> {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        let matches = |patterns: &[glob::Pattern], name: &Path| {
            patterns.iter().any(|pattern| pattern.matches_path_with(name, options))
        };
        walkdir::WalkDir::new(&self.config.path)
            .sort_by_file_name()
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .filter(|entry| {
                let name = entry.path().strip_prefix(&self.config.path).unwrap_or(entry.path());
                let is_compressed =
                    name.to_str().is_some_and(|name| COMPRESSED.iter().any(|suffix| name.ends_with(suffix)));
                !is_compressed && matches(&self.include, name) && !matches(&self.exclude, name)
            })
            .map(walkdir::DirEntry::into_path)
            .collect()
    }

    /// Takes note of a listed file: one already followed, perhaps under another name, or a new one.
    fn meet(&mut self, path: &Path) -> io::Result<()> {
        let inode = Inode::of(&std::fs::symlink_metadata(path)?);
        if let Some(followed) = self.followed.get_mut(&inode) {
            path.clone_into(&mut followed.path);
            followed.is_listed = true;
            return Ok(());
        }
        if self.followed.len() >= self.config.max_files {
            let error = io::Error::other(format!("more than {} files", self.config.max_files));
            self.refuse(path.to_owned(), DropReason::TooManyFiles, &error);
            return Ok(());
        }
        let read_from = if self.is_first_scan { self.config.read_from } else { ReadFrom::Beginning };
        let followed = Followed::open(path, inode, read_from)?;
        self.followed.insert(inode, followed);
        self.refused.remove(path);
        Ok(())
    }

    /// Counts a file that is not read, once.
    fn refuse(&mut self, path: PathBuf, reason: DropReason, error: &io::Error) {
        if error.kind() == io::ErrorKind::NotFound || self.refused.get(&path) == Some(&reason) {
            return;
        }
        tracing::warn!(source = %self.config.source, path = %path.display(), %error, "file is not followed");
        self.counters.add_dropped(reason, 1);
        self.refused.insert(path, reason);
    }
}

fn pattern(text: &str) -> io::Result<glob::Pattern> {
    glob::Pattern::new(text).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{text}` is not a file pattern: {error}"))
    })
}
