//! Where live telemetry comes from: sockets and watched folders.
//!
//! A source turns bytes into frames and hands them on in [`Delivery`]s through a bounded channel; it decodes nothing.
//! When the channel is full it waits: TCP senders feel that in their window, files lie where they are, and UDP
//! datagrams pile up in the kernel's buffer until it drops them, which [`Counters`] show. Every source ends when its
//! `shutdown` turns true or the channel's other end is gone, after it has handed on what it holds.

mod connection;
mod counters;
mod datagrams;
mod flow_udp;
mod framing;
mod kernel_drops;
mod syslog_tcp;
mod syslog_udp;
mod unix_lines;
mod watched_folder;

use bytes::Bytes;
use tokio::sync::watch;
use wanglou_model::SourceId;

pub use counters::{Counters, DropReason};
pub use flow_udp::{FlowUdp, FlowUdpConfig};
pub use framing::{Framed, Framer};
pub use syslog_tcp::{SyslogTcp, SyslogTcpConfig};
pub use syslog_udp::{SyslogUdp, SyslogUdpConfig};
pub use unix_lines::{UnixLines, UnixLinesConfig};
pub use watched_folder::{ReadFrom, WatchedFolder, WatchedFolderConfig};

/// Frames that arrived together and are acknowledged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The source they came through.
    pub source: SourceId,
    /// Datagrams, or lines without their line feed. A file's empty lines are among them, so that offsets add up.
    pub frames: Vec<Bytes>,
    /// Where they stood, when they came from a file.
    pub file: Option<FilePosition>,
}

/// A run of lines in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// What the file is, whatever it is called now: it survives a rename and differs after a truncation.
    pub identity: String,
    /// What it was called when it was read.
    pub path: String,
    /// Offset of the first line, in bytes.
    pub start: u64,
    /// Offset after the last line and its line feed.
    pub end: u64,
}

/// Remembers how far files have been read: whoever stores the deliveries durably.
pub trait Checkpoints: Send + Sync {
    /// The offset after the last line of a file that is stored; `None` for a file never read.
    fn offset(&self, source: &SourceId, identity: &str) -> Option<u64>;
}

/// Waits until `shutdown` turns true, or until nobody is left to turn it.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    _ = shutdown.wait_for(|stop| *stop).await;
}
