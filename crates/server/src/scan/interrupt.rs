//! Ctrl-C: the first one ends the reading and keeps what was found, the second one ends the process.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that was interrupted (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Whether to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that Ctrl-C and SIGTERM set.
    ///
    /// # Errors
    /// When the system refuses to hand signals out.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = runtime.block_on(async {
            std::io::Result::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
        })?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = signals.0.recv() => {}
                        _ = signals.1.recv() => {}
                    }
                    if flag.0.swap(true, Ordering::Relaxed) {
                        process::exit(INTERRUPTED);
                    }
                    eprintln!("\nstopping: what was found so far is kept; once more stops at once");
                }
            });
        })?;
        Ok(interrupt)
    }

    /// Whether somebody wants it to stop.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
