//! What packed files may expand to, and reading within that.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::ReadLimits;

/// What is left of an archive's allowance, everything packed in it counted together.
#[derive(Debug)]
pub(super) struct Allowance {
    packed: u64,
    expanded: Cell<u64>,
    limits: ReadLimits,
}

impl Allowance {
    /// For an archive of `packed` bytes.
    pub(super) fn new(packed: u64, limits: ReadLimits) -> Self {
        Self { packed, expanded: Cell::new(0), limits }
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let expanded = self.expanded.get().saturating_add(bytes as u64);
        self.expanded.set(expanded);
        match self.exceeded() {
            Some(reason) => Err(io::Error::new(io::ErrorKind::QuotaExceeded, reason)),
            None => Ok(()),
        }
    }

    /// Why nothing more may be unpacked, once that is so.
    pub(super) fn exceeded(&self) -> Option<String> {
        let (expanded, limits) = (self.expanded.get(), &self.limits);
        if expanded > limits.archive_bytes {
            return Some(format!(
                "expands to more than {} bytes, the limit for one archive",
                limits.archive_bytes
            ));
        }
        let allowed = self.packed.saturating_mul(limits.archive_ratio).max(limits.archive_free_bytes);
        (expanded > allowed).then(|| {
            format!(
                "expands to more than {} times its {} bytes: this looks like a zip bomb, unpack it by hand if it is not",
                limits.archive_ratio, self.packed
            )
        })
    }
}

/// Unpacked bytes, counted against an allowance.
pub(super) struct Unpacked<R> {
    pub(super) source: R,
    pub(super) allowance: Rc<Allowance>,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.allowance.spend(read)?;
        Ok(read)
    }
}

/// How a file is packed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
    Zip,
}

impl Packing {
    /// What an error on reading such a file means to people.
    pub(super) fn error(self, error: &io::Error) -> String {
        let kind = match self {
            Self::None => return format!("cannot be read on: {error}"),
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zip => "ZIP",
        };
        match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("truncated: the {kind} data ends before its end mark"),
            io::ErrorKind::QuotaExceeded => error.to_string(),
            _ => format!("damaged {kind} data: {error}"),
        }
    }
}
