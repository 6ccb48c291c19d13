//! What `scan` and `parse` have in common: zone, threads, output.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use jiff::tz::TimeZone;
use wanglou_ingest::{ReadLimits, Reader};

use crate::content;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// The time zone by this name; this machine's without one.
pub(super) fn zone(name: Option<&str>) -> anyhow::Result<TimeZone> {
    match name {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|_| {
            super::UsageError(format!(
                "`--zone {name}` is no time zone; use a name such as Asia/Shanghai or UTC"
            ))
            .into()
        }),
    }
}

/// As many threads as were asked for; else one a processor.
pub(super) fn threads(wanted: Option<NonZeroUsize>) -> NonZeroUsize {
    wanted.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// A reader that knows the built-in products.
pub(super) fn reader() -> anyhow::Result<Reader> {
    let catalog = content::catalog().context("the built-in table of products is wrong")?;
    Ok(Reader::new(catalog, ReadLimits::default()))
}

/// Creates a file to write to, before hours of work and not after.
pub(super) fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot create `{}`", path.display()))?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
}

/// A reader that hangs up (`| head`) has seen enough: no failure.
pub(super) fn unless_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Standard output, or a file.
pub(super) struct Output {
    writer: Box<dyn Write>,
    path: Option<PathBuf>,
}

impl Output {
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let writer: Box<dyn Write> = match path {
            Some(path) => Box::new(create(path)?),
            None => Box::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())),
        };
        Ok(Self { writer, path: path.map(Path::to_owned) })
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.path.is_none() && io::stdout().is_terminal()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "`{}`", path.display()),
            None => f.write_str("standard output"),
        }
    }
}
