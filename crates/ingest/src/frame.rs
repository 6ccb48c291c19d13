//! Decodes what live sources deliver, one frame at a time.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use wanglou_model::Record;

use crate::decode::{DecodeSink, Line};
use crate::router::Router;
use crate::{Catalog, DecodeError, ReadLimits, text};

/// Decodes frames: one NDJSON line, one syslog datagram, one line of a followed file. What a frame is shows in its
/// content. Cheap to create; keeps its buffers from frame to frame.
#[derive(Debug)]
pub struct FrameDecoder {
    router: Router,
    limits: ReadLimits,
}

impl FrameDecoder {
    /// A decoder that names products by `catalog`.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let limits = ReadLimits::default();
        Self { router: Router::new(catalog, limits, ""), limits }
    }

    /// Decodes one frame into the records it holds: one as a rule, several when a frame has several lines.
    ///
    /// # Errors
    /// [`DecodeError`] when the frame is no record in any format we read; the first one where it has several lines.
    pub fn decode(&mut self, frame: &Bytes, out: &mut dyn FnMut(Record)) -> Result<(), DecodeError> {
        let mut error = None;
        self.decode_lines(std::slice::from_ref(frame), &mut |_, record| out(record), &mut |_, refused| {
            error.get_or_insert(refused);
        });
        error.map_or(Ok(()), Err)
    }

    /// Decodes lines that followed each other, joining records that span several. `out` gets the index of a record's
    /// first line, `rejected` that of a line which is no record.
    pub fn decode_lines(
        &mut self,
        lines: &[Bytes],
        out: &mut dyn FnMut(usize, Record),
        rejected: &mut dyn FnMut(usize, DecodeError),
    ) {
        self.decode_into(lines, &mut Frames { out, rejected });
    }

    /// Decodes lines that followed each other and says what became of each: a line that is not blank is in one record,
    /// rejected, or understood without giving a record.
    #[must_use]
    pub fn account(&mut self, lines: &[Bytes]) -> Accounted {
        let mut sink = Accountant { lines, accounted: Accounted::default(), parts: FxHashMap::default() };
        self.decode_into(lines, &mut sink);
        sink.accounted
    }

    fn decode_into(&mut self, lines: &[Bytes], sink: &mut dyn DecodeSink) {
        for (number, frame) in (1..).zip(lines) {
            if frame.len() > self.limits.record_bytes {
                let limit = self.limits.record_bytes as u64;
                sink.rejected(number, DecodeError::TooLarge { what: "a frame", limit });
                continue;
            }
            self.router.line(&Line { number, text: text::to_utf8(frame).trim_end(), raw: frame }, sink);
        }
        self.router.finish(sink);
    }
}

/// Whether there is nothing in a frame. Such frames count nowhere.
#[must_use]
pub fn is_blank(frame: &[u8]) -> bool {
    let rest = frame.trim_ascii();
    match rest.first() {
        None => true,
        Some(first) if first.is_ascii_graphic() => false,
        // Spaces of other scripts and encodings: what the decoders take for nothing must be nothing here too.
        Some(_) => text::to_utf8(frame).trim().is_empty(),
    }
}

/// What became of lines.
#[derive(Debug, Default)]
pub struct Accounted {
    /// The records.
    pub records: Vec<FrameRecord>,
    /// The lines that are in none, in order.
    pub rejected: Vec<RejectedFrame>,
    /// Lines that are understood and give no record: headers.
    pub headers: u64,
}

/// A record and the lines it was made of.
#[derive(Debug)]
pub struct FrameRecord {
    /// Index of its first line.
    pub frame: usize,
    /// How many lines it was made of; none beyond the first record of a line that holds several.
    pub lines: u64,
    /// The record.
    pub record: Record,
}

/// A line that is in no record.
#[derive(Clone, Debug)]
pub struct RejectedFrame {
    /// Its index.
    pub frame: usize,
    /// The kind of reason: [`DecodeError::kind`].
    pub kind: &'static str,
    /// Why, in words.
    pub reason: String,
}

struct Accountant<'a> {
    lines: &'a [Bytes],
    accounted: Accounted,
    /// Lines of what is not given out yet, by the number of its first.
    parts: FxHashMap<u64, Vec<u64>>,
}

impl Accountant<'_> {
    fn counts(&self, number: u64) -> bool {
        self.lines.get(index_of(number)).is_some_and(|line| !is_blank(line))
    }
}

impl DecodeSink for Accountant<'_> {
    fn record(&mut self, number: u64, record: &mut Record) {
        let frame = index_of(number);
        let is_another = self.accounted.records.last().is_some_and(|last| last.frame == frame);
        let parts = self.parts.remove(&number).map_or(0, |parts| parts.len() as u64);
        let record = std::mem::replace(record, Record::new(record.format, Bytes::new()));
        self.accounted.records.push(FrameRecord { frame, lines: u64::from(!is_another) + parts, record });
    }

    fn rejected(&mut self, number: u64, error: DecodeError) {
        let (kind, reason) = (error.kind(), error.to_string());
        let parts = self.parts.remove(&number).unwrap_or_default();
        for number in std::iter::once(number).chain(parts) {
            if self.counts(number) {
                let (frame, reason) = (index_of(number), reason.clone());
                self.accounted.rejected.push(RejectedFrame { frame, kind, reason });
            }
        }
    }

    fn belongs(&mut self, number: u64, first: u64) {
        if !self.counts(number) {
            return;
        }
        if number == first {
            self.accounted.headers += 1;
        } else {
            self.parts.entry(first).or_default().push(number);
        }
    }
}

struct Frames<'a> {
    out: &'a mut dyn FnMut(usize, Record),
    rejected: &'a mut dyn FnMut(usize, DecodeError),
}

/// The index of the line that has this number.
fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1)
}

impl DecodeSink for Frames<'_> {
    fn record(&mut self, number: u64, record: &mut Record) {
        let owned = std::mem::replace(record, Record::new(record.format, Bytes::new()));
        (self.out)(index_of(number), owned);
    }

    fn rejected(&mut self, number: u64, error: DecodeError) {
        (self.rejected)(index_of(number), error);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(lines: &[Vec<u8>]) -> Accounted {
        let frames: Vec<Bytes> = lines.iter().map(|line| Bytes::copy_from_slice(line)).collect();
        FrameDecoder::new(Arc::new(Catalog::default())).account(&frames)
    }

    fn lines_of(accounted: &Accounted) -> u64 {
        let records: u64 = accounted.records.iter().map(|record| record.lines).sum();
        records + accounted.rejected.len() as u64 + accounted.headers
    }

    /// Lines of every format that joins lines or has headers, damaged ones, blank ones of several kinds.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2",
            "type=CWD msg=audit(1364481363.243:24287): cwd=\"/home\"",
            "type=EOE msg=audit(1364481363.243:24287):",
            "type=CWD msg=audit(1364481363.250:24288): cwd=\"/\"",
            "type=",
            "--c7036611-A--",
            "[09/Jan/2008:12:27:56 +0000] OSD4l1BEUOkAAHZ8Y3QAAAAH 209.90.77.54 64995 80.68.80.233 80",
            "--c7036611-B--",
            "GET / HTTP/1.1",
            "--c7036611-Z--",
            "#separator \\x09",
            "#fields\tts\tuid",
            "#types\ttime\tstring",
            "1.5\tC1",
            "1.5",
            "{\"a\":1}",
            "{\"a\":",
            "<34>Oct 11 22:14:15 gw su: failed",
            "plain words",
            "",
            " \t",
            "\u{3000}",
            "\u{b}",
        ]);
        prop_oneof![4 => known.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..24)]
    }

    proptest! {
        #[test]
        fn every_line_is_accounted_for(lines in prop::collection::vec(line(), 0..24)) {
            let counted = lines.iter().filter(|line| !is_blank(line)).count() as u64;
            prop_assert_eq!(lines_of(&account(&lines)), counted);
        }
    }

    #[test]
    fn lines_of_a_record_that_is_refused_are_all_refused() {
        let half = format!("Cookie: {}", "x".repeat(ReadLimits::default().record_bytes / 2));
        let lines = ["--c7036611-A--", "--c7036611-B--", &half, &half, "--c7036611-Z--"];
        let accounted = account(&lines.map(|line| line.as_bytes().to_vec()));
        let refused: Vec<_> =
            accounted.rejected.iter().map(|rejected| (rejected.frame, rejected.kind)).collect();
        assert_eq!(refused, [0, 1, 2, 3, 4].map(|frame| (frame, "too_large")));
    }
}
