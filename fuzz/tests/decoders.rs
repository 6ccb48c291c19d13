//! One target for each decoder, and for what all of them go through: nothing that comes from outside may panic, and
//! what is said of every decoder in its documentation holds for any input.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use jiff::tz::TimeZone;
use wanglou_fuzz::{mutate, seeds, test_time};
use wanglou_ingest::decode::{self, DecodeError, DecodeSink, Line, LineDecoder};
use wanglou_ingest::source::{Framed, Framer};
use wanglou_ingest::timestamp;
use wanglou_ingest::{
    Catalog, EventContext, FrameDecoder, Input, ReadLimits, Reader, RecordSink, is_blank, normalize, text,
};
use wanglou_model::{EventUid, FieldMap, Record, SourceId, TenantId, Timestamp};

/// Far below the inputs' size, so that inputs reach them.
const LIMITS: ReadLimits = ReadLimits {
    line_bytes: 4 << 10,
    record_bytes: 4 << 10,
    nesting: 32,
    fields: 256,
    archive_depth: 2,
    archive_ratio: 50,
    archive_free_bytes: 64 << 10,
    archive_bytes: 256 << 10,
    archive_members: 16,
};

static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    Arc::new(Catalog::from_yaml(include_str!("../../content/products.yaml")).expect("our own file"))
});

/// A test that runs its body over every seed as it is and then over what the engine makes of them.
macro_rules! target {
    ($name:ident, $run:expr) => {
        #[test]
        fn $name() {
            let run: fn(&[u8]) = $run;
            let seeds = seeds(stringify!($name));
            seeds.iter().for_each(|seed| run(seed));
            bolero::check!().with_test_time(test_time()).for_each(|plan: &[u8]| run(&mutate(&seeds, plan)));
        }
    };
}

target!(syslog, |input| lines(input, |line| {
    one(decode::syslog::recognises, decode::syslog::decode, line);
}));

target!(device, |input| lines(input, |line| {
    one(decode::device::recognises, decode::device::decode, line);
    _ = decode::device::pairs::shape(line);
}));

target!(access_log, |input| lines(input, |line| {
    one(decode::access_log::recognises, decode::access_log::decode, line);
}));

target!(flow, |input| {
    let mut decoder = decode::flow::FlowDecoder::default();
    let mut flows = Vec::new();
    // A template and data in one input: pieces are datagrams of one exporter.
    for datagram in input.split(|byte| *byte == b'\n').chain([input]) {
        _ = decoder.decode([192, 0, 2, 1].into(), datagram, 1_790_000_000_000, &mut flows);
    }
    for flow in &flows {
        serde_json::from_slice::<serde_json::Value>(flow).expect("a flow is JSON");
    }
});

target!(auditd, |input| joined(&mut decode::auditd::Joiner::new(LIMITS.record_bytes), input));

target!(modsecurity, |input| {
    joined(&mut decode::modsecurity::SerialJoiner::new(LIMITS.record_bytes), input);
    frames(input);
});

target!(zeek_tsv, |input| joined(&mut decode::zeek_tsv::ZeekTsv::new(LIMITS.record_bytes), input));

target!(json, |input| {
    let mut fields = FieldMap::new();
    if decode::json::decode(&text::to_utf8(input), &LIMITS, &mut fields).is_ok() {
        assert!(fields.len() <= LIMITS.fields);
        serde_json::to_string(&fields.to_json()).expect("fields are JSON");
    }
    frames(input);
});

target!(evtx, file);
target!(archive, file);

target!(timestamp, |input| lines(input, |line| {
    let arrival = Timestamp::from_secs(1_795_305_600);
    for zone in [TimeZone::UTC, TimeZone::get("Asia/Shanghai").expect("bundled")] {
        let instant = timestamp::instant(line, arrival, &zone);
        let has_year =
            line.contains("20") || line.contains("19") || line.contains("21") || line.contains("22");
        if let Some(instant) = instant.filter(|_| !has_year && timestamp::epoch(line.trim()).is_none()) {
            assert!(instant <= arrival.plus_nanos(24 * 3_600 * 1_000_000_000), "{line} is in the future");
        }
    }
}));

target!(framing, |input| {
    // Where the stream is cut changes nothing.
    let whole = cut(input, input.len().max(1));
    for piece in [1, 7] {
        assert_eq!(cut(input, piece), whole);
    }
});

fn lines(input: &[u8], mut run: impl FnMut(&str)) {
    text::to_utf8(input).lines().for_each(&mut run);
}

fn one(recognises: fn(&str) -> bool, decode: fn(&str, &mut FieldMap) -> Result<(), DecodeError>, line: &str) {
    let mut fields = FieldMap::new();
    let decoded = decode(line, &mut fields);
    if recognises(line) {
        assert!(decoded.is_ok(), "recognised, but not read: {line}");
    }
    check_fields(&fields);
}

fn check_fields(fields: &FieldMap) {
    serde_json::to_string(&fields.to_json()).expect("fields are JSON");
}

struct Sink {
    last: u64,
}

impl DecodeSink for Sink {
    fn record(&mut self, number: u64, record: &mut Record) {
        assert!((1..=self.last).contains(&number), "a record of a line that was not given");
        assert!(!record.raw.is_empty() && !record.fields.is_empty());
        event(record);
    }
    fn rejected(&mut self, number: u64, error: DecodeError) {
        assert!((1..=self.last).contains(&number));
        assert!(!error.to_string().is_empty());
    }
}

/// Feeds a decoder that joins lines.
fn joined(decoder: &mut dyn LineDecoder, input: &[u8]) {
    let mut sink = Sink { last: 0 };
    for (number, raw) in (1..).zip(input.split(|byte| *byte == b'\n')) {
        sink.last = number;
        let raw = Bytes::copy_from_slice(raw);
        decoder.line(&Line { number, text: &text::to_utf8(&raw), raw: &raw }, &mut sink);
    }
    decoder.finish(&mut sink);
}

/// Goes the way of live frames, to the event and its JSON.
fn frames(input: &[u8]) {
    let frames: Vec<Bytes> = input.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice).collect();
    let mut decoder = FrameDecoder::new(Arc::clone(&CATALOG));
    decoder.decode_lines(
        &frames,
        &mut |index, record| {
            assert!(index < frames.len());
            event(&record);
        },
        &mut |index, _| assert!(index < frames.len()),
    );
    let accounted = decoder.account(&frames);
    let counted = frames.iter().filter(|frame| !is_blank(frame)).count() as u64;
    let in_records: u64 = accounted.records.iter().map(|record| record.lines).sum();
    assert_eq!(
        in_records + accounted.rejected.len() as u64 + accounted.headers,
        counted,
        "a line is unaccounted for"
    );
}

/// The OCSF view of any record is whole and is JSON.
fn event(record: &Record) {
    let context = EventContext {
        uid: EventUid::from_u128(1),
        source: SourceId::new("fuzz"),
        arrival: Timestamp::from_secs(1_795_305_600),
        tenant: TenantId::default(),
        zone: TimeZone::UTC,
    };
    let event = normalize(record, context);
    let json = event.to_json(Some(record));
    for required in ["class_uid", "activity_id", "type_uid", "severity_id", "time", "metadata"] {
        assert!(json.contains_key(required), "an event without {required}");
    }
    serde_json::to_string(&json).expect("events are JSON");
}

struct Files;

impl RecordSink for Files {
    fn record(&mut self, _file: &Arc<str>, _number: u64, record: &Record) -> ControlFlow<()> {
        event(record);
        ControlFlow::Continue(())
    }
}

/// Goes the way of `wanglou scan`: a file whose kind is found from its bytes.
fn file(input: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), input).expect("a temporary file");
    let input = Input { path: file.path().to_owned(), display: "input".into(), bytes: input.len() as u64 };
    let reports = Reader::new(Arc::clone(&CATALOG), LIMITS).read(&input, &mut Files);
    assert!(!reports.is_empty(), "every file is reported");
}

/// The frames of a stream that comes in pieces.
fn cut(stream: &[u8], piece: usize) -> Vec<Bytes> {
    const MAX_FRAME: usize = 256;
    let mut framer = Framer::new(MAX_FRAME);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for part in stream.chunks(piece) {
        buffer.extend_from_slice(part);
        while let Some(framed) = framer.next(&mut buffer) {
            frames.push(match framed {
                Framed::Frame(frame) => frame,
                Framed::TooLong => Bytes::from_static(b"too long"),
            });
        }
    }
    frames.extend(framer.finish(&mut buffer).unwrap_or_else(Some));
    assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME + 16));
    frames
}
