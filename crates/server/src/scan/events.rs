//! The normalised events of files as NDJSON, in file order whatever the number of threads.
//!
//! Threads take files in order and hand their lines over in blocks; the writer empties one file's channel after the
//! other. A thread that is ahead waits when its channel is full, so memory stays bounded.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde_json::json;
use wanglou_ingest::{Discovery, Input, Reader, RecordSink, normalize};
use wanglou_model::{Record, Timestamp};

use super::{Interrupt, Journal, Progress, Stamp};

/// Lines are handed over in blocks of about this size.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks that one file may be ahead.
const BLOCKS_AHEAD: usize = 4;

/// What to read, and how.
pub(crate) struct Parse {
    /// Reads the files.
    pub reader: Reader,
    /// The files.
    pub discovery: Discovery,
    /// How many threads read.
    pub threads: NonZeroUsize,
    /// The zone of log times that name none.
    pub zone: TimeZone,
    /// Whether each line says where its event stands.
    pub origin: bool,
    /// Whether to show how far it is.
    pub progress: Progress,
    /// When to stop early.
    pub interrupt: Interrupt,
}

/// Writes one line an event.
///
/// # Errors
/// When `out` takes no more.
pub(crate) fn write(parse: &Parse, out: &mut dyn Write) -> io::Result<Journal> {
    let inputs = &parse.discovery.inputs;
    let stamp = Stamp::new(parse.zone.clone());
    let journal = Mutex::new(Journal::default());
    let (senders, receivers): (Vec<_>, Vec<_>) = inputs
        .iter()
        .map(|_| {
            let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
            (Mutex::new(Some(sender)), receiver)
        })
        .unzip();
    let next = AtomicUsize::new(0);
    let written = thread::scope(|scope| {
        for _ in 0..parse.threads.get().min(inputs.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(input), Some(sender)) = (inputs.get(number), senders.get(number)) else {
                        break;
                    };
                    // Taken, so that the writer sees the end of the file when the worker is dropped.
                    let Some(sender) = sender.lock().take() else { break };
                    if !parse.interrupt.is_set() {
                        Lines::new(parse, &stamp, &journal, sender).read(input);
                    }
                }
            });
        }
        // Moved in: when the writing fails, the receivers go, and with them the reason for the threads to go on.
        drain(receivers, out)
    });
    parse.progress.finish();
    written?;
    let mut journal = journal.into_inner();
    journal.close(&parse.discovery);
    Ok(journal)
}

fn drain(receivers: Vec<Receiver<Vec<u8>>>, out: &mut dyn Write) -> io::Result<()> {
    for receiver in receivers {
        for block in receiver {
            out.write_all(&block)?;
        }
    }
    out.flush()
}

/// The lines of one file.
struct Lines<'p> {
    parse: &'p Parse,
    stamp: &'p Stamp,
    journal: &'p Mutex<Journal>,
    sender: SyncSender<Vec<u8>>,
    block: Vec<u8>,
    arrival: Timestamp,
    ordinal: u64,
}

impl<'p> Lines<'p> {
    fn new(
        parse: &'p Parse,
        stamp: &'p Stamp,
        journal: &'p Mutex<Journal>,
        sender: SyncSender<Vec<u8>>,
    ) -> Self {
        Self { parse, stamp, journal, sender, block: Vec::new(), arrival: Timestamp::default(), ordinal: 0 }
    }

    fn read(mut self, input: &Input) {
        self.arrival = Stamp::arrival(&input.path);
        let reports = super::read_guarded(&self.parse.reader, input, &mut self);
        // Nobody listens any more when the output is closed.
        _ = self.hand_over();
        self.journal.lock().report(reports);
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        let block = std::mem::take(&mut self.block);
        if self.sender.send(block).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl RecordSink for Lines<'_> {
    fn record(&mut self, file: &Arc<str>, number: u64, record: &Record) -> ControlFlow<()> {
        self.ordinal += 1;
        let event = normalize(record, self.stamp.context(file, number, self.ordinal, self.arrival));
        let json = event.to_json(Some(record));
        // A map of strings and numbers always serialises, and a Vec takes every byte.
        let line = if self.parse.origin {
            let origin = json!({ "file": &**file, "record": number });
            serde_json::to_writer(
                &mut self.block,
                &json!({ "origin": origin, "product": event.product.id, "event": json }),
            )
        } else {
            serde_json::to_writer(&mut self.block, &json)
        };
        if line.is_err() || self.parse.interrupt.is_set() {
            return ControlFlow::Break(());
        }
        self.block.push(b'\n');
        if self.block.len() >= BLOCK_BYTES { self.hand_over() } else { ControlFlow::Continue(()) }
    }

    fn advance(&mut self, bytes: u64) {
        self.parse.progress.advance(bytes);
    }

    fn rejected(&mut self, file: &Arc<str>, number: u64, reason: &str) {
        self.journal.lock().reject(file, number, reason);
    }
}
