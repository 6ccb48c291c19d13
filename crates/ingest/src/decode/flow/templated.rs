//! NetFlow version 9 (RFC 3954) and IPFIX (RFC 7011): sets of templates, options and data.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::bytes::{Cursor, unsigned};
use super::elements::{Kind, REVERSE, element};
use super::json::Object;
use super::templates::{Field, MOST_FIELDS, ScopeKey, Template, Templates};
use super::{Clock, FlowDecoder, FlowError, FlowReport};

/// The first id of a data set.
const FIRST_DATA_SET: u16 = 256;
/// The length that stands for "before the value" in IPFIX.
const VARIABLE: u16 = 0xFFFF;
/// Bytes of sets that may wait for their templates; the oldest go first.
const MOST_WAITING_BYTES: usize = 4 << 20;
/// Longest text or bytes written of one field.
const MOST_VALUE_BYTES: usize = 4_096;
/// Seconds from 1900, where NTP time begins, to 1970.
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// Data whose template has not come yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    sets: VecDeque<(Message, u16, Vec<u8>)>,
    bytes: usize,
}

impl Waiting {
    /// Keeps a set; how many older ones had to go for it.
    fn keep(&mut self, message: Message, id: u16, set: &[u8]) -> u64 {
        self.sets.push_back((message, id, set.to_vec()));
        self.bytes += set.len();
        let mut gone = 0;
        while self.bytes > MOST_WAITING_BYTES
            && let Some((_, _, set)) = self.sets.pop_front()
        {
            self.bytes -= set.len();
            gone += 1;
        }
        gone
    }

    /// The sets that waited for this template.
    fn ready(&mut self, key: ScopeKey, id: u16) -> Vec<(Message, Vec<u8>)> {
        let mut ready = Vec::new();
        self.sets.retain_mut(|(message, of, set)| {
            let is_ready = message.key == key && *of == id;
            if is_ready {
                ready.push((*message, std::mem::take(set)));
            }
            !is_ready
        });
        self.bytes -= ready.iter().map(|(_, set)| set.len()).sum::<usize>();
        ready
    }
}

/// What stands in a message's header.
#[derive(Clone, Copy, Debug)]
struct Message {
    key: ScopeKey,
    clock: Clock,
}

impl Message {
    fn is_ipfix(self) -> bool {
        self.key.version == 10
    }

    fn protocol(self) -> &'static str {
        if self.is_ipfix() { "ipfix" } else { "netflow9" }
    }
}

pub(super) fn decode_netflow9(
    decoder: &mut FlowDecoder,
    exporter: IpAddr,
    body: &[u8],
    out: &mut Vec<Bytes>,
) -> Result<FlowReport, FlowError> {
    let mut cursor = Cursor(body);
    let header = |cursor: &mut Cursor<'_>| {
        let _count = cursor.u16()?;
        let (uptime, seconds, _sequence, domain) =
            (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let clock = Clock { export_ms: i64::from(seconds) * 1000, uptime: Some(uptime) };
        Some(Message { key: ScopeKey { exporter, version: 9, domain }, clock })
    };
    let message = header(&mut cursor).ok_or(FlowError::Short)?;
    sets(decoder, message, cursor, out)
}

pub(super) fn decode_ipfix(
    decoder: &mut FlowDecoder,
    exporter: IpAddr,
    body: &[u8],
    out: &mut Vec<Bytes>,
) -> Result<FlowReport, FlowError> {
    let mut cursor = Cursor(body);
    let header = |cursor: &mut Cursor<'_>| {
        let length = cursor.u16()?;
        let (seconds, _sequence, domain) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let clock = Clock { export_ms: i64::from(seconds) * 1000, uptime: None };
        Some((length, Message { key: ScopeKey { exporter, version: 10, domain }, clock }))
    };
    let (length, message) = header(&mut cursor).ok_or(FlowError::Short)?;
    let sets_bytes = usize::from(length).checked_sub(16).ok_or(FlowError::Short)?;
    let cursor = Cursor(cursor.take(sets_bytes).ok_or(FlowError::Short)?);
    sets(decoder, message, cursor, out)
}

fn sets(
    decoder: &mut FlowDecoder,
    message: Message,
    mut cursor: Cursor<'_>,
    out: &mut Vec<Bytes>,
) -> Result<FlowReport, FlowError> {
    let mut report = FlowReport::default();
    // Less than a set's header is padding, and so are the zeros some exporters fill datagrams with.
    while cursor.0.len() >= 4 && cursor.0.iter().any(|byte| *byte != 0) {
        let (id, length) = (cursor.u16().ok_or(FlowError::Short)?, cursor.u16().ok_or(FlowError::Short)?);
        let body = usize::from(length).checked_sub(4).ok_or(FlowError::Short)?;
        let set = cursor.take(body).ok_or(FlowError::Short)?;
        match (id, message.is_ipfix()) {
            (0, false) | (2, true) => {
                learn(decoder, message, read_templates(message, Cursor(set)), &mut report, out);
            }
            (1, false) => learn(decoder, message, read_options_netflow9(Cursor(set)), &mut report, out),
            (3, true) => learn(decoder, message, read_options_ipfix(Cursor(set)), &mut report, out),
            (FIRST_DATA_SET.., _) if !data(&mut decoder.templates, message, id, set, out) => {
                report.sets_without_template += decoder.waiting.keep(message, id, set);
            }
            _ => {}
        }
    }
    Ok(report)
}

/// Takes note of templates and decodes what waited for them.
fn learn(
    decoder: &mut FlowDecoder,
    message: Message,
    templates: Vec<(u16, Template)>,
    report: &mut FlowReport,
    out: &mut Vec<Bytes>,
) {
    for (id, template) in templates {
        if template.fields.is_empty() {
            decoder.templates.withdraw(message.key, id);
        } else if decoder.templates.put(message.key, id, template) {
            report.has_new_templates = true;
            for (message, set) in decoder.waiting.ready(message.key, id) {
                data(&mut decoder.templates, message, id, &set, out);
            }
        }
    }
}

/// The templates of a set; a damaged one ends it.
fn read_templates(message: Message, mut cursor: Cursor<'_>) -> Vec<(u16, Template)> {
    let mut templates = Vec::new();
    while let (Some(id), Some(count)) = (cursor.u16(), cursor.u16()) {
        if id < FIRST_DATA_SET {
            break;
        }
        let Some(fields) = read_fields(&mut cursor, usize::from(count), message.is_ipfix()) else { break };
        templates.push((id, Template { fields, is_options: false }));
    }
    templates
}

fn read_options_netflow9(mut cursor: Cursor<'_>) -> Vec<(u16, Template)> {
    let mut templates = Vec::new();
    while let (Some(id), Some(scope_bytes), Some(option_bytes)) = (cursor.u16(), cursor.u16(), cursor.u16()) {
        if id < FIRST_DATA_SET {
            break;
        }
        // The elements of scopes are numbered apart in version 9 and say where, not what: only their width counts.
        let Some(scope) = read_fields(&mut cursor, usize::from(scope_bytes / 4), false) else { break };
        let Some(options) = read_fields(&mut cursor, usize::from(option_bytes / 4), false) else { break };
        let scope = scope.into_iter().map(|field| Field { element: 210, ..field });
        templates.push((id, Template { fields: scope.chain(options).collect(), is_options: true }));
    }
    templates
}

fn read_options_ipfix(mut cursor: Cursor<'_>) -> Vec<(u16, Template)> {
    let mut templates = Vec::new();
    while let (Some(id), Some(count)) = (cursor.u16(), cursor.u16()) {
        // A withdrawal has no count of scopes.
        if id < FIRST_DATA_SET || (count > 0 && cursor.u16().is_none()) {
            break;
        }
        let Some(fields) = read_fields(&mut cursor, usize::from(count), true) else { break };
        templates.push((id, Template { fields, is_options: true }));
    }
    templates
}

fn read_fields(cursor: &mut Cursor<'_>, count: usize, is_ipfix: bool) -> Option<Vec<Field>> {
    if count > MOST_FIELDS {
        return None;
    }
    (0..count)
        .map(|_| {
            let (element, length) = (cursor.u16()?, cursor.u16()?);
            let is_foreign = is_ipfix && element & 0x8000 != 0;
            let enterprise = if is_foreign { cursor.u32()? } else { 0 };
            let element = if is_foreign { element & 0x7FFF } else { element };
            Some(Field { element, enterprise, length })
        })
        .collect()
}

/// Decodes a set of data. `false` when its template is not known.
fn data(templates: &mut Templates, message: Message, id: u16, set: &[u8], out: &mut Vec<Bytes>) -> bool {
    let Some(template) = templates.get(message.key, id) else { return false };
    let mut cursor = Cursor(set);
    let mut options = Vec::new();
    while !cursor.is_empty() {
        let before = cursor.0.len();
        let Some(values) = read_values(template, &mut cursor, message.is_ipfix()) else { break };
        if cursor.0.len() == before {
            break;
        }
        if template.is_options {
            options.push(Options::of(&values));
        } else if let Some(flow) = flow(templates, message, &values) {
            out.push(flow);
        }
    }
    for option in options {
        option.keep(templates, message.key);
    }
    true
}

/// The bytes of a record's fields; none when what is left is shorter than a record (padding).
fn read_values<'a>(
    template: &Template,
    cursor: &mut Cursor<'a>,
    is_ipfix: bool,
) -> Option<Vec<(Field, &'a [u8])>> {
    template
        .fields
        .iter()
        .map(|field| {
            let length = match field.length {
                VARIABLE if is_ipfix => match cursor.u8()? {
                    255 => cursor.u16()?,
                    length => u16::from(length),
                },
                length => length,
            };
            Some((*field, cursor.take(usize::from(length))?))
        })
        .collect()
}

/// What a record of options tells that flows need.
#[derive(Default)]
struct Options {
    sampler: u64,
    interval: Option<u64>,
    /// Packets skipped between two sampled ones (RFC 5477).
    space: Option<u64>,
    application: Option<String>,
    name: Option<String>,
}

impl Options {
    fn of(values: &[(Field, &[u8])]) -> Self {
        let mut options = Self::default();
        for (field, bytes) in values.iter().filter(|(field, _)| field.enterprise == 0) {
            match field.element {
                48 | 302 => options.sampler = unsigned(bytes).unwrap_or_default(),
                34 | 50 | 305 => options.interval = unsigned(bytes),
                306 => options.space = unsigned(bytes),
                95 => options.application = Some(hex(bytes)),
                96 => options.name = Some(text(bytes).into_owned()),
                _ => {}
            }
        }
        options
    }

    fn keep(self, templates: &mut Templates, key: ScopeKey) {
        if let Some(interval) = self.interval.filter(|interval| *interval > 0) {
            // One packet, or an interval of packets, out of the interval and the space behind it.
            let one_of = self.space.map_or(interval, |space| interval.saturating_add(space) / interval);
            templates.put_sampler(key, self.sampler, one_of);
        }
        if let (Some(id), Some(name)) = (self.application, self.name.filter(|name| !name.is_empty())) {
            templates.put_application(key, id, name);
        }
    }
}

/// When a flow began and ended, in nanoseconds since 1970.
#[derive(Default)]
struct Times {
    start: Option<i128>,
    end: Option<i128>,
    observed: Option<i128>,
}

/// A flow as JSON; none for a record without any field.
fn flow(templates: &Templates, message: Message, values: &[(Field, &[u8])]) -> Option<Bytes> {
    let mut object = Object::exported(
        message.key.exporter,
        message.protocol(),
        message.key.domain,
        message.clock.export_ms,
    );
    let clock = message.clock;
    let init_ms = values.iter().find(|(field, _)| (field.element, field.enterprise) == (160, 0));
    let init_ms = init_ms.and_then(|(_, bytes)| unsigned(bytes));
    let mut times = Times::default();
    let (mut sampler, mut own_interval, mut application) = (0, None, None);
    for (field, bytes) in values {
        put(&mut object, *field, bytes);
        if field.enterprise != 0 {
            continue;
        }
        match field.element {
            48 | 302 => sampler = unsigned(bytes).unwrap_or_default(),
            34 | 305 => own_interval = unsigned(bytes).filter(|interval| *interval > 0),
            95 => application = Some(hex(bytes)),
            _ => times.note(*field, bytes, clock, init_ms),
        }
    }
    for (name, time) in [("flow.start", times.start), ("flow.end", times.end.or(times.observed))] {
        if let Some(time) = time {
            object.time(name, time);
        }
    }
    if let Some(scope) = templates.scope(message.key) {
        let interval = scope.samplers.get(&sampler).or_else(|| scope.samplers.get(&0));
        if let (None, Some(interval)) = (own_interval, interval) {
            object.number("samplingInterval", interval);
        }
        if let Some(name) = application.and_then(|id| scope.applications.get(&id)) {
            object.text("applicationName", name);
        }
    }
    (!values.is_empty()).then(|| object.finish())
}

impl Times {
    fn note(&mut self, field: Field, bytes: &[u8], clock: Clock, init_ms: Option<u64>) {
        let Some(number) = unsigned(bytes) else { return };
        let by_uptime = |uptime: u64| {
            let uptime = u32::try_from(uptime).ok()?;
            match (init_ms, clock.uptime) {
                (Some(init), _) => Some((i128::from(init) + i128::from(uptime)) * 1_000_000),
                (None, Some(_)) => Some(clock.at_uptime(uptime)),
                // IPFIX without the time of the start: the counter alone says nothing.
                (None, None) => None,
            }
        };
        let before_export = |micros: u64| i128::from(clock.export_ms) * 1_000_000 - i128::from(micros) * 1000;
        let time = match field.element {
            21 | 22 => by_uptime(number),
            158 | 159 => Some(before_export(number)),
            _ => element(field.element).and_then(|(_, kind)| instant(kind, number)),
        };
        match field.element {
            22 | 150 | 152 | 154 | 156 | 158 => self.start = self.start.or(time),
            21 | 151 | 153 | 155 | 157 | 159 => self.end = self.end.or(time),
            322..=325 => self.observed = self.observed.or(time),
            _ => {}
        }
    }
}

/// Nanoseconds since 1970.
fn instant(kind: Kind, number: u64) -> Option<i128> {
    let number = i128::from(number);
    match kind {
        Kind::Seconds => Some(number * 1_000_000_000),
        Kind::Millis => Some(number * 1_000_000),
        Kind::Micros | Kind::Nanos => {
            let (seconds, mut fraction) = (number >> 32, number & 0xFFFF_FFFF);
            if kind == Kind::Micros {
                fraction &= !0x7FF;
            }
            Some((seconds - i128::from(NTP_TO_UNIX)) * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32))
        }
        _ => None,
    }
}

/// Writes one field under the registry's name, or under its number.
fn put(object: &mut Object, field: Field, bytes: &[u8]) {
    let known = element(field.element);
    match (field.enterprise, known) {
        (0, Some((name, kind))) => put_value(object, name, kind, bytes),
        (0, None) => put_unknown(object, &format!("element{}", field.element), bytes),
        (REVERSE, Some((name, kind))) => {
            let mut reversed = String::from("reverse");
            reversed.extend(name.chars().take(1).map(|c| c.to_ascii_uppercase()));
            reversed.extend(name.chars().skip(1));
            put_value(object, &reversed, kind, bytes);
        }
        (enterprise, _) => {
            put_unknown(object, &format!("enterprise{enterprise}.element{}", field.element), bytes);
        }
    }
}

fn put_value(object: &mut Object, name: &str, kind: Kind, bytes: &[u8]) {
    match kind {
        Kind::Unsigned => match unsigned(bytes) {
            Some(number) => object.number(name, number),
            None => put_unknown(object, name, bytes),
        },
        Kind::Ipv4 => match <[u8; 4]>::try_from(bytes) {
            Ok(octets) => object.text(name, &Ipv4Addr::from(octets).to_string()),
            Err(_) => put_unknown(object, name, bytes),
        },
        Kind::Ipv6 => match <[u8; 16]>::try_from(bytes) {
            Ok(octets) => object.text(name, &Ipv6Addr::from(octets).to_string()),
            Err(_) => put_unknown(object, name, bytes),
        },
        Kind::Mac => {
            let octets: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            object.text(name, &octets.join(":"));
        }
        Kind::Text => object.text(name, &text(bytes)),
        Kind::Seconds | Kind::Millis | Kind::Micros | Kind::Nanos => {
            match unsigned(bytes).and_then(|number| instant(kind, number)) {
                Some(time) => object.time(name, time),
                None => put_unknown(object, name, bytes),
            }
        }
        Kind::Octets => object.text(name, &hex(bytes)),
    }
}

fn put_unknown(object: &mut Object, name: &str, bytes: &[u8]) {
    match unsigned(bytes) {
        Some(number) => object.number(name, number),
        None => match std::str::from_utf8(bytes) {
            Ok(shown) if is_readable(shown) => object.text(name, &text(bytes)),
            _ => object.text(name, &hex(bytes)),
        },
    }
}

fn is_readable(shown: &str) -> bool {
    let shown = shown.trim_end_matches('\0');
    !shown.is_empty() && !shown.contains(|c: char| c.is_control())
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()).min(MOST_VALUE_BYTES);
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(MOST_VALUE_BYTES).fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}
