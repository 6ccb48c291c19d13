//! The reading of one input: what it is, and what is in it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::archive::{Allowance, Packing, Unpacked};
use super::documents::{self, DocumentSink, Documents};
use super::lines::{Lines, Text};
use super::output::{Output, Progress};
use super::peeked::{Counted, Peeked, read_block};
use super::{FileReport, FileStatus, RecordSink};
use crate::decode::evtx::{self, ChunkSink};
use crate::decode::{DecodeError, DecodeSink, Line};
use crate::identify::{self, Container};
use crate::router::Router;
use crate::text::{self, Encoding, Transcoder};
use crate::{Catalog, Input, ReadLimits};

/// A ZIP file within another archive is unpacked to memory, for its directory stands at its end: so many bytes at most.
const INNER_ZIP_BYTES: u64 = 256 << 20;

/// The reading of one input.
pub(super) struct Session<'a> {
    catalog: &'a Arc<Catalog>,
    limits: ReadLimits,
    input: &'a Input,
    allowance: Rc<Allowance>,
    progress: Progress<'a>,
    reports: Vec<FileReport>,
}

/// One file within the input: the input itself, or a member of an archive.
struct Member<'s> {
    name: String,
    source: Box<dyn Read + 's>,
    /// How the source is packed, for the wording of its errors.
    packing: Packing,
    /// In how many archives it stands.
    depth: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        catalog: &'a Arc<Catalog>,
        limits: ReadLimits,
        input: &'a Input,
        sink: &'a mut dyn RecordSink,
    ) -> Self {
        let allowance = Rc::new(Allowance::new(input.bytes, limits));
        Self { catalog, limits, input, allowance, progress: Progress::new(sink), reports: Vec::new() }
    }

    pub(super) fn read(mut self) -> Vec<FileReport> {
        let name = self.input.display.clone();
        match File::open(&self.input.path) {
            Ok(file) => {
                let source = Box::new(Counted { source: file, count: self.progress.taken() });
                self.member(Member { name, source, packing: Packing::None, depth: 0 });
            }
            Err(error) => self.end(name, FileStatus::Failed(format!("cannot be opened: {error}"))),
        }
        self.progress.finish(self.input.bytes);
        self.reports
    }

    /// Reads one file, whatever it is.
    fn member(&mut self, member: Member<'_>) {
        let Member { name, source, packing, depth } = member;
        let source = Peeked::new(source);
        let container = identify::container(source.head());
        let is_archive = matches!(container, Container::Gzip | Container::Zstd | Container::Zip);
        if is_archive && depth >= self.limits.archive_depth {
            let reason = format!("archives within archives deeper than {}", self.limits.archive_depth);
            return self.end(name, FileStatus::Failed(reason));
        }
        match container {
            Container::Empty => match source.error() {
                Some(error) => self.end(name, FileStatus::Failed(packing.error(error))),
                None => self.end(name, FileStatus::Skipped("empty".to_owned())),
            },
            Container::Other(kind) => self.end(name, FileStatus::Skipped(kind.to_owned())),
            Container::Gzip => {
                let source = self.unpacked(MultiGzDecoder::new(source));
                self.member(Member { name, source, packing: Packing::Gzip, depth: depth + 1 });
            }
            Container::Zstd => match zstd::Decoder::new(source) {
                Ok(unpacker) => {
                    let source = self.unpacked(unpacker);
                    self.member(Member { name, source, packing: Packing::Zstd, depth: depth + 1 });
                }
                Err(error) => self.end(name, FileStatus::Failed(Packing::Zstd.error(&error))),
            },
            Container::Zip => self.zip(name, source, depth),
            Container::Evtx => self.evtx(&name, source, packing),
            Container::Text => self.text(&name, source, packing),
        }
    }

    fn unpacked<'s>(&self, source: impl Read + 's) -> Box<dyn Read + 's> {
        Box::new(Unpacked { source, allowance: Rc::clone(&self.allowance) })
    }

    /// A file of which nothing was read.
    fn end(&mut self, file: String, status: FileStatus) {
        self.reports.push(FileReport { file, bytes: 0, format: None, events: 0, rejected: 0, status });
    }

    fn zip(&mut self, name: String, source: Peeked<'_>, depth: usize) {
        if depth == 0 {
            return match File::open(&self.input.path) {
                Ok(file) => self.zip_members(&name, file, depth),
                Err(error) => self.end(name, FileStatus::Failed(format!("cannot be opened: {error}"))),
            };
        }
        let mut bytes = Vec::new();
        match source.take(INNER_ZIP_BYTES + 1).read_to_end(&mut bytes) {
            Err(error) => self.end(name, FileStatus::Failed(Packing::Zip.error(&error))),
            Ok(read) if read as u64 > INNER_ZIP_BYTES => {
                let reason = format!(
                    "a ZIP archive of more than {INNER_ZIP_BYTES} bytes in an archive; unpack the outer one"
                );
                self.end(name, FileStatus::Failed(reason));
            }
            Ok(_) => self.zip_members(&name, Cursor::new(bytes), depth),
        }
    }

    fn zip_members(&mut self, name: &str, source: impl Read + Seek, depth: usize) {
        let mut archive = match ZipArchive::new(source) {
            Ok(archive) => archive,
            Err(error) => {
                let reason = format!("damaged ZIP archive: {error}");
                return self.end(name.to_owned(), FileStatus::Failed(reason));
            }
        };
        if archive.is_empty() {
            return self.end(name.to_owned(), FileStatus::Skipped("an empty ZIP archive".to_owned()));
        }
        for index in 0..archive.len() {
            if self.progress.stopped() {
                return;
            }
            if index >= self.limits.archive_members {
                let reason = format!("only the first {} of {} members read", index, archive.len());
                return self.end(name.to_owned(), FileStatus::Failed(reason));
            }
            if let Some(reason) = self.allowance.exceeded() {
                return self.end(name.to_owned(), FileStatus::Failed(reason));
            }
            let file = match archive.by_index(index) {
                Ok(file) if file.is_dir() || file.is_symlink() => continue,
                Ok(file) => file,
                Err(error) => {
                    let reason = format!("cannot be unpacked: {error}");
                    self.end(format!("{name}!#{}", index + 1), FileStatus::Failed(reason));
                    continue;
                }
            };
            let member = format!("{name}!{}", text::to_utf8(file.name_raw()));
            let packed = file.compressed_size();
            let source = self.unpacked(file);
            self.member(Member { name: member, source, packing: Packing::Zip, depth: depth + 1 });
            if depth == 0 {
                self.progress.take(packed);
            }
        }
    }

    fn evtx(&mut self, name: &str, mut source: Peeked<'_>, packing: Packing) {
        let mut router = Router::new(Arc::clone(self.catalog), self.limits, name);
        let mut output = Output::new(name, &mut self.progress);
        let decoder = evtx::ChunkDecoder::default();
        let mut damage = None;
        let mut bytes = vec![0; evtx::HEADER_BYTES];
        let header = read_block(&mut source, &mut bytes);
        let in_use = evtx::chunks_in_use(&bytes);
        let mut offset = match header {
            Ok(read) => read as u64,
            Err(error) => {
                damage = Some(packing.error(&error));
                0
            }
        };
        for number in 0.. {
            if damage.is_some() || output.stopped() {
                break;
            }
            let mut bytes = vec![0; evtx::CHUNK_BYTES];
            let read = match read_block(&mut source, &mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    damage = Some(packing.error(&error));
                    break;
                }
            };
            let mut chunk = Chunk { number, offset, router: &mut router, output: &mut output, damage: None };
            if read < evtx::CHUNK_BYTES {
                // Bytes behind the last chunk that the header counts are none of the log.
                if number < in_use {
                    chunk.damaged("cut off: the file ends within it".to_owned());
                }
            } else {
                decoder.chunk(bytes, number < in_use, &mut chunk);
            }
            let found = chunk.damage;
            damage = damage.or(found);
            offset += read as u64;
        }
        self.reports.push(output.report(offset, damage, true));
    }

    fn text(&mut self, name: &str, source: Peeked<'_>, packing: Packing) {
        let source = utf8(source);
        let count = Rc::new(Cell::new(0));
        let documents = documents::begins(source.head());
        let source = Counted { source, count: Rc::clone(&count) };
        let mut router = Router::new(Arc::clone(self.catalog), self.limits, name);
        let mut output = Output::new(name, &mut self.progress);
        let damage = if documents {
            let mut objects = Objects { router: &mut router, output: &mut output };
            Documents::new(source, self.limits.record_bytes).read(&mut objects, &|error| packing.error(error))
        } else {
            read_lines(source, self.limits.line_bytes, &mut router, &mut output)
                .map(|error| packing.error(&error))
        };
        router.finish(&mut output);
        self.reports.push(output.report(count.get(), damage, false));
    }
}

/// The source in UTF-8, where it must be transcoded as a whole: lines in GB18030 end like those in UTF-8 and are
/// transcoded one by one, JSON documents have brackets that might be halves of characters.
fn utf8(source: Peeked<'_>) -> Peeked<'_> {
    let encoding = match Encoding::of(source.head()) {
        Some(Encoding::Gb18030) if !documents::begins(source.head()) => Encoding::Utf8,
        encoding => encoding.unwrap_or(Encoding::Utf8),
    };
    match Transcoder::new(source, encoding) {
        Ok(transcoder) => Peeked::new(Box::new(transcoder)),
        Err(source) => source,
    }
}

fn read_lines(
    source: impl Read,
    limit: usize,
    router: &mut Router,
    output: &mut Output<'_, '_>,
) -> Option<io::Error> {
    let mut lines = Lines::new(source, limit);
    while !output.stopped() && !output.is_no_log() {
        match lines.next() {
            Ok(Some((number, Text::Whole(bytes)))) => {
                let raw = Bytes::copy_from_slice(bytes);
                router.line(&Line { number, text: &text::to_utf8(bytes), raw: &raw }, output);
            }
            Ok(Some((number, Text::TooLong))) => {
                output.rejected(number, DecodeError::TooLarge { what: "a line", limit: limit as u64 });
            }
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
    None
}

/// JSON documents on their way to the decoder.
struct Objects<'r, 'o, 's, 'a> {
    router: &'r mut Router,
    output: &'o mut Output<'s, 'a>,
}

impl DocumentSink for Objects<'_, '_, '_, '_> {
    fn document(&mut self, number: u64, bytes: &[u8]) {
        let raw = Bytes::copy_from_slice(bytes);
        self.router.document(number, &text::to_utf8(bytes), &raw, self.output);
    }

    fn rejected(&mut self, number: u64, error: DecodeError) {
        self.output.rejected(number, error);
    }

    fn stopped(&self) -> bool {
        self.output.stopped()
    }
}

/// One chunk of an EVTX file.
struct Chunk<'r, 's, 'a> {
    number: u64,
    offset: u64,
    router: &'r mut Router,
    output: &'r mut Output<'s, 'a>,
    damage: Option<String>,
}

impl ChunkSink for Chunk<'_, '_, '_> {
    fn record(&mut self, id: u64, json: Vec<u8>) {
        let raw = Bytes::from(json);
        self.router.document(id, &text::to_utf8(&raw), &raw, self.output);
    }

    fn damaged(&mut self, reason: String) {
        let place = format!("chunk {} at offset {:#x}: {reason}", self.number, self.offset);
        self.output.rejected(0, DecodeError::malformed("EVTX", place.clone()));
        self.damage.get_or_insert(place);
    }
}
