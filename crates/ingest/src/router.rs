//! Which decoder a line goes to.
//!
//! Each line is looked at by itself, for real files and streams mix formats; the format of the line before is tried
//! first. Formats whose records span lines keep their state here, so lines must be given in order.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use wanglou_model::{FieldMap, Format, PathId, Record, UNKNOWN_PRODUCT};

use crate::decode::{
    DecodeError, DecodeSink, Line, LineDecoder, access_log, auditd, device, modsecurity, syslog, zeek_tsv,
};
use crate::decode::{json, windows_json, zeek};
use crate::{Catalog, ReadLimits, identify};

/// Formats that a line of text can be told to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    ZeekTsv,
    ModSecurity,
    Auditd,
    AccessLog,
    Syslog,
    Device,
}

/// In the order they are tried: those with the plainest mark first, what takes nearly anything last.
const KINDS: [Kind; 7] =
    [Kind::Json, Kind::ZeekTsv, Kind::ModSecurity, Kind::Auditd, Kind::AccessLog, Kind::Syslog, Kind::Device];

/// Sends lines and JSON documents to their decoders and names the products of what comes out.
#[derive(Debug)]
pub(crate) struct Router {
    catalog: Arc<Catalog>,
    limits: ReadLimits,
    /// What the file is called, for Zeek logs that do not say which they are.
    name: String,
    last: Option<Kind>,
    auditd: auditd::Joiner,
    modsecurity: modsecurity::SerialJoiner,
    zeek_tsv: zeek_tsv::ZeekTsv,
    record: Record,
    scratch: FieldMap,
}

impl Router {
    pub(crate) fn new(catalog: Arc<Catalog>, limits: ReadLimits, name: &str) -> Self {
        Self {
            catalog,
            limits,
            name: name.to_owned(),
            last: None,
            auditd: auditd::Joiner::new(limits.record_bytes),
            modsecurity: modsecurity::SerialJoiner::new(limits.record_bytes),
            zeek_tsv: zeek_tsv::ZeekTsv::new(limits.record_bytes),
            record: Record::new(Format::Json, Bytes::new()),
            scratch: FieldMap::new(),
        }
    }

    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        let Some(kind) = self.kind(line.text) else {
            if !line.text.trim().is_empty() {
                out.rejected(line.number, DecodeError::unrecognised(line.text));
            }
            return;
        };
        self.last = Some(kind);
        match kind {
            Kind::Json => self.document(line.number, line.text, line.raw, out),
            Kind::Auditd => self.auditd.line(line, &mut Named { catalog: &self.catalog, out }),
            Kind::ModSecurity => self.modsecurity.line(line, &mut Named { catalog: &self.catalog, out }),
            Kind::ZeekTsv => self.zeek_tsv.line(line, &mut Named { catalog: &self.catalog, out }),
            Kind::AccessLog => self.single(Format::AccessLog, access_log::decode, line, out),
            Kind::Syslog => self.single(Format::Syslog, syslog::decode, line, out),
            Kind::Device => self.device(line, out),
        }
    }

    /// Takes one JSON object, as `number`.
    pub(crate) fn document(&mut self, number: u64, text: &str, raw: &Bytes, out: &mut dyn DecodeSink) {
        self.clear();
        if let Err(error) = json::decode(text, &self.limits, &mut self.record.fields) {
            return out.rejected(number, error);
        }
        self.flattened(number, text, raw, out);
    }

    /// Gives out the JSON object whose fields are in `self.record`, once it has its format's own paths.
    fn flattened(&mut self, number: u64, text: &str, raw: &Bytes, out: &mut dyn DecodeSink) {
        let record = &mut self.record;
        record.format = identify::json_format(&record.fields);
        match record.format {
            Format::Evtx | Format::Winlogbeat => {
                windows_json::unify(record.format, &mut record.fields, &mut self.scratch);
            }
            Format::Zeek => zeek::name_log(&mut record.fields, &self.name),
            Format::ModSecurity => {
                self.scratch.clear();
                if modsecurity::from_json(&record.fields, &mut self.scratch) {
                    std::mem::swap(&mut record.fields, &mut self.scratch);
                } else {
                    record.format = Format::Json;
                }
            }
            _ => {}
        }
        record.raw = raw.clone();
        if record.format == Format::Json {
            self.catalog.parsers().apply(text, text, record);
        }
        Named { catalog: &self.catalog, out }.record(number, record);
    }

    fn clear(&mut self) {
        self.record.fields.clear();
        self.record.product = Arc::clone(&UNKNOWN_PRODUCT);
    }

    fn single(
        &mut self,
        format: Format,
        decode: fn(&str, &mut FieldMap) -> Result<(), DecodeError>,
        line: &Line<'_>,
        out: &mut dyn DecodeSink,
    ) {
        self.clear();
        if let Err(error) = decode(line.text, &mut self.record.fields) {
            return out.rejected(line.number, error);
        }
        self.record.format = format;
        self.record.raw = line.raw.clone();
        if matches!(format, Format::Syslog | Format::Device) {
            self.by_parser(line.text);
        }
        Named { catalog: &self.catalog, out }.record(line.number, &mut self.record);
    }

    /// A line without a header: structure or not, a declarative parser may know it.
    fn device(&mut self, line: &Line<'_>, out: &mut dyn DecodeSink) {
        let known = self.catalog.parsers().recognises(line.text);
        let decode = if known { device::decode_known } else { device::decode };
        self.single(Format::Device, decode, line, out);
    }

    /// Lets the declarative parser that knows the line read its message.
    fn by_parser(&mut self, text: &str) {
        static MESSAGE: LazyLock<PathId> = LazyLock::new(|| PathId::reserve("syslog.message"));
        let message = self.record.fields.text(*MESSAGE).map(ToOwned::to_owned);
        self.catalog.parsers().apply(text, message.as_deref().unwrap_or(text), &mut self.record);
    }

    /// Says that no more lines come.
    pub(crate) fn finish(&mut self, out: &mut dyn DecodeSink) {
        let mut out = Named { catalog: &self.catalog, out };
        self.auditd.finish(&mut out);
        self.modsecurity.finish(&mut out);
        self.zeek_tsv.finish(&mut out);
    }

    fn kind(&self, text: &str) -> Option<Kind> {
        if let Some(last) = self.last
            && self.continues(last, text)
        {
            return Some(last);
        }
        let last_first = self
            .last
            .into_iter()
            .filter(|kind| *kind != Kind::Device)
            .chain(KINDS.into_iter().filter(|kind| Some(*kind) != self.last || *kind == Kind::Device));
        last_first.into_iter().find(|kind| self.recognises(*kind, text))
    }

    /// Whether a line belongs to what came before it though it does not show it.
    fn continues(&self, kind: Kind, text: &str) -> bool {
        match kind {
            Kind::ModSecurity => self.modsecurity.continues(text),
            Kind::ZeekTsv => self.zeek_tsv.continues(text),
            _ => false,
        }
    }

    fn recognises(&self, kind: Kind, text: &str) -> bool {
        match kind {
            Kind::Json => text.trim_ascii_start().starts_with('{'),
            Kind::ZeekTsv => zeek_tsv::recognises(text),
            Kind::ModSecurity => modsecurity::recognises(text),
            Kind::Auditd => auditd::recognises(text),
            Kind::AccessLog => access_log::recognises(text),
            Kind::Syslog => syslog::recognises(text),
            Kind::Device => device::recognises(text) || self.catalog.parsers().recognises(text),
        }
    }
}

/// Names the product of what passes.
struct Named<'a> {
    catalog: &'a Catalog,
    out: &'a mut dyn DecodeSink,
}

impl DecodeSink for Named<'_> {
    fn record(&mut self, number: u64, record: &mut Record) {
        if Arc::ptr_eq(&record.product, &UNKNOWN_PRODUCT) {
            record.product = self.catalog.recognise(record);
        }
        self.out.record(number, record);
    }

    fn rejected(&mut self, number: u64, error: DecodeError) {
        self.out.rejected(number, error);
    }

    fn belongs(&mut self, number: u64, first: u64) {
        self.out.belongs(number, first);
    }
}
