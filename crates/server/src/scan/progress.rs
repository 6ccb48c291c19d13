//! How far it is, for somebody who waits at a terminal.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second.
const REDRAWS: u8 = 8;
/// Rate and remaining time; the bar is shown on standard error.
const TEMPLATE: &str =
    "{bar:32.cyan/dim} {percent:>3}%  {bytes} of {total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}";

/// A progress bar on a terminal; nothing where standard error is none.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    found: AtomicU64,
}

impl Progress {
    /// For so many bytes of input.
    pub(crate) fn of(bytes: u64) -> Self {
        let bar = if stderr().is_terminal() {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
            let style =
                ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(Some(bytes), target).with_style(style.progress_chars("━━─"))
        } else {
            ProgressBar::hidden()
        };
        Self { bar, found: AtomicU64::new(0) }
    }

    /// So many more bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// One more finding.
    pub(crate) fn found(&self) {
        let found = self.found.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{found} findings"));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
