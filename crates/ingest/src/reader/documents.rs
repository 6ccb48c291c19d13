//! Splits a stream of JSON into the objects that are records, in bounded memory.
//!
//! Records stand alone one after the other, in an array, or in the array of an object that wraps them: `Records` of
//! CloudTrail files, `items` of a Kubernetes `EventList`, `hits.hits` of an Elasticsearch answer. Only brackets and
//! strings are looked at here; [`crate::decode::json`] judges each object.

use std::io::{self, Read};

use crate::decode::DecodeError;
use crate::reader::lines::read_some;

/// Takes the objects of a stream.
pub(crate) trait DocumentSink {
    /// An object. Its number is its line when it stands alone, its index plus 1 in an array.
    fn document(&mut self, number: u64, bytes: &[u8]);
    /// Something that is no record.
    fn rejected(&mut self, number: u64, error: DecodeError);
    /// Whether to end here.
    fn stopped(&self) -> bool;
}

/// The objects of a stream.
pub(crate) struct Documents<R> {
    source: R,
    buffer: Vec<u8>,
    position: usize,
    end: usize,
    /// Where in `buffer` the object begins that is being read; none when it grew beyond the limit.
    mark: Option<usize>,
    limit: usize,
    line: u64,
    ended: bool,
    /// Whether an object was found that wraps records.
    wrapped: bool,
}

/// Why the splitting of a stretch ended before its end.
enum Stop {
    Io(io::Error),
    /// The stream ended within a value.
    Cut,
    /// What stands here is not JSON.
    Broken(&'static str),
    /// The sink wants no more.
    Stopped,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const BLOCK_BYTES: usize = 64 << 10;
/// The keys of an object looked at for a wrapped array.
const WRAPPER_KEYS: usize = 16;

impl<R: Read> Documents<R> {
    /// Objects of at most `limit` bytes.
    pub(crate) fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            position: 0,
            end: 0,
            mark: None,
            limit,
            line: 1,
            ended: false,
            wrapped: false,
        }
    }

    /// Gives every object to `out`. What damage there was comes back as a message (`explain` words errors of the
    /// source); reading goes on behind it where an object begins a line.
    pub(crate) fn read(
        mut self,
        out: &mut dyn DocumentSink,
        explain: &dyn Fn(&io::Error) -> String,
    ) -> Option<String> {
        let mut damage = None;
        loop {
            let line = self.line;
            let message = match self.next(out) {
                Ok(true) => continue,
                Ok(false) | Err(Stop::Stopped) => return damage,
                Err(Stop::Io(error)) => return Some(format!("{}, near line {}", explain(&error), self.line)),
                Err(Stop::Cut) => {
                    return damage.or(Some(format!("ends within the JSON value that begins on line {line}")));
                }
                Err(Stop::Broken(reason)) => format!("malformed JSON on line {}: {reason}", self.line),
            };
            damage.get_or_insert(message);
            match self.skip_to_object() {
                Ok(true) => {}
                Ok(false) | Err(_) => return damage,
            }
        }
    }

    /// Reads one value at the top; `false` at the end.
    fn next(&mut self, out: &mut dyn DocumentSink) -> Result<bool, Stop> {
        self.mark = None;
        if out.stopped() {
            return Err(Stop::Stopped);
        }
        match self.skip_space()? {
            None => Ok(false),
            Some(b'{') => self.object(out).map(|()| true),
            Some(b'[') => self.array(out).map(|()| true),
            // Record separators of RFC 7464, and commas that someone left between objects.
            Some(b'\x1e' | b',') => {
                self.position += 1;
                Ok(true)
            }
            Some(_) => Err(Stop::Broken("expected an object or an array")),
        }
    }

    /// An object at the top: a record, or one that wraps records.
    fn object(&mut self, out: &mut dyn DocumentSink) -> Result<(), Stop> {
        let number = self.line;
        self.mark = Some(self.position);
        self.position += 1;
        let mut keys = 0;
        let mut in_list = false;
        loop {
            match self.skip_space()?.ok_or(Stop::Cut)? {
                b'}' => {
                    self.position += 1;
                    self.give(number, out);
                    return Ok(());
                }
                b',' => self.position += 1,
                b'"' => {
                    let key = self.key()?;
                    in_list |= self.names_event_list();
                    keys += 1;
                    let opens = self.skip_space()?;
                    let wraps = keys <= WRAPPER_KEYS
                        && match (key, opens) {
                            (WrapperKey::Records, Some(b'[')) => keys == 1,
                            (WrapperKey::Items, Some(b'[')) => in_list,
                            (WrapperKey::Hits, Some(b'{')) => self.enter_hits()?,
                            _ => false,
                        };
                    if wraps {
                        self.wrapped = true;
                        self.mark = None;
                        self.array(out)?;
                        return self.skip_rest_of_wrapper(matches!(key, WrapperKey::Hits));
                    }
                    self.skip_value()?;
                }
                _ => return Err(Stop::Broken("expected a key")),
            }
        }
    }

    /// After an array in a wrapper: up to the end of the object (and, for hits, the one around it).
    fn skip_rest_of_wrapper(&mut self, twice: bool) -> Result<(), Stop> {
        for _ in 0..=usize::from(twice) {
            self.mark = None;
            self.skip_open(1)?;
        }
        Ok(())
    }

    /// At the object `hits`: goes to the array `hits` in it. `false`, having gone nowhere that matters, without one.
    fn enter_hits(&mut self) -> Result<bool, Stop> {
        // The object's start is kept by `mark`, so positions are compared relative to it.
        let Some(mark) = self.mark else { return Ok(false) };
        let back = self.position - mark;
        self.position += 1;
        for _ in 0..WRAPPER_KEYS {
            match self.skip_space()?.ok_or(Stop::Cut)? {
                b',' => self.position += 1,
                b'"' => {
                    let key = self.key()?;
                    if matches!(key, WrapperKey::Hits) && self.skip_space()? == Some(b'[') {
                        return Ok(true);
                    }
                    self.skip_value()?;
                }
                _ => break,
            }
        }
        self.position = self.mark.map_or(self.position, |mark| mark + back);
        Ok(false)
    }

    /// An array whose elements are records.
    fn array(&mut self, out: &mut dyn DocumentSink) -> Result<(), Stop> {
        self.position += 1;
        let mut number = 0;
        loop {
            if out.stopped() {
                return Err(Stop::Stopped);
            }
            self.mark = None;
            match self.skip_space()?.ok_or(Stop::Cut)? {
                b']' => {
                    self.position += 1;
                    return Ok(());
                }
                b',' => self.position += 1,
                first => {
                    number += 1;
                    self.mark = Some(self.position);
                    self.skip_value()?;
                    if first == b'{' {
                        self.give(number, out);
                    } else {
                        out.rejected(number, DecodeError::malformed("JSON", "not an object"));
                    }
                }
            }
        }
    }

    fn give(&mut self, number: u64, out: &mut dyn DocumentSink) {
        match self.mark.take().and_then(|mark| self.buffer.get(mark..self.position)) {
            Some(bytes) => out.document(number, bytes),
            None => {
                out.rejected(number, DecodeError::TooLarge { what: "a record", limit: self.limit as u64 });
            }
        }
    }

    /// Reads a key and the colon after it.
    fn key(&mut self) -> Result<WrapperKey, Stop> {
        let back = self.mark.map(|mark| self.position - mark);
        self.position += 1;
        self.skip_string()?;
        let text = match (self.mark, back) {
            (Some(mark), Some(back)) => self.buffer.get(mark + back..self.position).unwrap_or_default(),
            _ => b"",
        };
        let key = match text {
            b"\"Records\"" => WrapperKey::Records,
            b"\"items\"" => WrapperKey::Items,
            b"\"hits\"" => WrapperKey::Hits,
            _ => WrapperKey::Other,
        };
        if self.skip_space()?.ok_or(Stop::Cut)? != b':' {
            return Err(Stop::Broken("expected `:` after a key"));
        }
        self.position += 1;
        Ok(key)
    }

    /// Whether what was read of the object so far says that it is a Kubernetes list of audit events.
    fn names_event_list(&self) -> bool {
        const LOOKED_AT: usize = 512;
        let read = self.mark.and_then(|mark| self.buffer.get(mark..self.position)).unwrap_or_default();
        let read = read.get(..LOOKED_AT).unwrap_or(read);
        memchr::memmem::find(read, b"audit.k8s.io").is_some()
            || memchr::memmem::find(read, b"EventList").is_some()
    }

    /// Skips one value of any kind.
    fn skip_value(&mut self) -> Result<(), Stop> {
        match self.skip_space()?.ok_or(Stop::Cut)? {
            b'{' | b'[' => {
                self.position += 1;
                self.skip_open(1)
            }
            b'"' => {
                self.position += 1;
                self.skip_string()
            }
            b'}' | b']' | b',' | b':' => Err(Stop::Broken("expected a value")),
            _ => loop {
                match self.peek()? {
                    Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') | None => return Ok(()),
                    Some(_) => self.position += 1,
                }
            },
        }
    }

    /// Skips until `depth` open brackets are closed. Whether they pair up is the decoder's to say.
    fn skip_open(&mut self, mut depth: usize) -> Result<(), Stop> {
        while depth > 0 {
            match self.peek()?.ok_or(Stop::Cut)? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'\n' => self.line += 1,
                b'"' => {
                    self.position += 1;
                    self.skip_string()?;
                    continue;
                }
                _ => {}
            }
            self.position += 1;
        }
        Ok(())
    }

    /// Within a string: skips to behind its end.
    fn skip_string(&mut self) -> Result<(), Stop> {
        loop {
            let ready = self.buffer.get(self.position..self.end).unwrap_or_default();
            match memchr::memchr3(b'"', b'\\', b'\n', ready) {
                None => {
                    self.position = self.end;
                    if !self.refill()? {
                        return Err(Stop::Cut);
                    }
                }
                Some(at) => {
                    let found = ready.get(at).copied();
                    self.position += at + 1;
                    match found {
                        Some(b'"') => return Ok(()),
                        Some(b'\\') => {
                            self.peek()?.ok_or(Stop::Cut)?;
                            self.position += 1;
                        }
                        _ => {
                            self.position -= 1;
                            return Err(Stop::Broken("a string runs past the end of its line"));
                        }
                    }
                }
            }
        }
    }

    /// Skips white space; the byte that stands there then.
    fn skip_space(&mut self) -> Result<Option<u8>, Stop> {
        loop {
            match self.peek()? {
                Some(b'\n') => {
                    self.line += 1;
                    self.position += 1;
                }
                Some(b' ' | b'\t' | b'\r') => self.position += 1,
                // A byte order mark.
                Some(0xef | 0xbb | 0xbf) if self.line == 1 && self.mark.is_none() => self.position += 1,
                other => return Ok(other),
            }
        }
    }

    /// Goes to the next line that begins with a bracket; `false` when there is none.
    fn skip_to_object(&mut self) -> Result<bool, Stop> {
        self.mark = None;
        loop {
            match self.peek()? {
                None => return Ok(false),
                Some(b'\n') => {
                    self.line += 1;
                    self.position += 1;
                    if matches!(self.peek()?, Some(b'{' | b'[')) {
                        return Ok(true);
                    }
                }
                Some(_) => self.position += 1,
            }
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.position == self.end && !self.refill()? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.position).copied())
    }

    /// Reads on; `false` at the end. Keeps what the mark holds, unless that has grown beyond the limit.
    fn refill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.mark.is_some_and(|mark| self.position - mark > self.limit) {
            self.mark = None;
        }
        let keep = self.mark.unwrap_or(self.position);
        self.buffer.copy_within(keep..self.end, 0);
        self.end -= keep;
        self.position -= keep;
        self.mark = self.mark.map(|_| 0);
        if self.buffer.len() - self.end < BLOCK_BYTES {
            self.buffer.resize((self.end + BLOCK_BYTES).next_multiple_of(BLOCK_BYTES), 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = read_some(&mut self.source, room)?;
        self.ended = read == 0;
        self.end += read;
        Ok(read > 0)
    }
}

/// Keys that may hold the array of a wrapper.
#[derive(Clone, Copy)]
enum WrapperKey {
    Records,
    Items,
    Hits,
    Other,
}

/// Whether a text that begins with `head` is to be read as JSON documents rather than line by line: it begins with an
/// array or an object that wraps records, or with a bracket while no line of it is a whole record by itself.
pub(crate) fn begins(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text {
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start().first(), Some(b'{' | b'[' | b']') | None),
        [b'{', ..] if wraps(text) => true,
        [b'{', ..] => {
            !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"{") && is_record(line))
        }
        _ => false,
    }
}

/// Whether a text begins with an object that wraps records.
fn wraps(text: &[u8]) -> bool {
    let mut documents = Documents::new(text, text.len());
    // The text may well be cut off within the object.
    let _ = documents.next(&mut Alone::default());
    documents.wrapped
}

/// Whether a line is one whole object.
fn is_record(line: &[u8]) -> bool {
    let mut alone = Alone::default();
    let line = line.trim_ascii_end();
    Documents::new(line, line.len()).read(&mut alone, &io::Error::to_string);
    alone.length == line.len()
}

/// Takes the length of the first object and no more.
#[derive(Default)]
struct Alone {
    length: usize,
}

impl DocumentSink for Alone {
    fn document(&mut self, _: u64, bytes: &[u8]) {
        self.length = bytes.len();
    }
    fn rejected(&mut self, _: u64, _: DecodeError) {}
    fn stopped(&self) -> bool {
        self.length > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct All(Vec<(u64, String)>);
    impl DocumentSink for All {
        fn document(&mut self, number: u64, bytes: &[u8]) {
            self.0.push((number, String::from_utf8_lossy(bytes).into_owned()));
        }
        fn rejected(&mut self, number: u64, error: DecodeError) {
            self.0.push((number, error.to_string()));
        }
        fn stopped(&self) -> bool {
            false
        }
    }

    fn split(text: &str, limit: usize) -> (Vec<(u64, String)>, Option<String>) {
        // One byte at a time, so that every place is a buffer's end once.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut buffer[..1])
            }
        }
        let mut slow = All::default();
        let damage = Documents::new(Slow(text.as_bytes()), limit).read(&mut slow, &io::Error::to_string);
        let mut fast = All::default();
        assert_eq!(Documents::new(text.as_bytes(), limit).read(&mut fast, &io::Error::to_string), damage);
        if limit > 100 {
            assert_eq!(slow.0, fast.0);
        }
        (slow.0, damage)
    }

    fn documents(text: &str) -> Vec<(u64, String)> {
        let (all, damage) = split(text, 1 << 20);
        assert_eq!(damage, None, "{text}");
        all
    }

    #[test]
    fn finds_records_in_every_wrapping() {
        let a = (1, r#"{"a":"}\"]"}"#.to_owned());
        let b = (2, r#"{"b":[1,{"c":2}]}"#.to_owned());
        let both = format!("{},{}", a.1, b.1);
        let wanted = [a.clone(), b.clone()];
        assert_eq!(documents(&format!("\u{feff} [{both}]\n")), wanted);
        assert_eq!(documents(&format!("{}\n{}\n", a.1, b.1)), wanted);
        assert_eq!(documents(&format!(r#"{{"Records": [{both}], "x": {{}}}}"#)), wanted);
        assert_eq!(
            documents(&format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{both}]}}"#)),
            wanted
        );
        assert_eq!(
            documents(&format!(r#"{{"took":1,"hits":{{"total":2,"hits":[{both}]}},"aggregations":{{}}}}"#)),
            wanted
        );
        let order = r#"{"order": 1, "items": [{"sku": 7}], "hits": {"n": [1]}, "Records": [{}]}"#;
        assert_eq!(documents(order), [(1, order.to_owned())]);
        assert_eq!(documents("{\n \"a\": 1\n}\n{\n}"), [(1, "{\n \"a\": 1\n}".into()), (4, "{\n}".into())]);
        assert_eq!(documents(""), []);
    }

    #[test]
    fn what_is_too_large_or_no_object_is_rejected_and_the_rest_goes_on() {
        let (all, damage) = split(&format!(r#"[{{"a":"{}"}},1,{{"b":1}}]"#, "x".repeat(80)), 50);
        assert_eq!(damage, None);
        let numbers: Vec<_> =
            all.iter().map(|(number, text)| (*number, text.contains("limit of 50"))).collect();
        assert_eq!(numbers, [(1, true), (2, false), (3, false)]);
        assert_eq!(all[2].1, r#"{"b":1}"#);
    }

    #[test]
    fn damage_is_named_and_reading_goes_on_behind_it() {
        let (all, damage) = split("{\"a\":1}\n{\"b\":\"x\n{\"c\":2}\n", 1 << 20);
        assert_eq!(all.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
        assert!(damage.unwrap().contains("line 2"));
        let (all, damage) = split("[{\"a\":1},\n{\"b\":", 1 << 20);
        assert_eq!(all.len(), 1);
        assert_eq!(damage.unwrap(), "ends within the JSON value that begins on line 1");
    }

    #[test]
    fn line_by_line_or_as_documents() {
        assert!(begins(b"[\n {\"a\""));
        assert!(begins(b"{\n \"a\": 1\n}"));
        assert!(begins(b"{\"Records\":[{\"a\":1}]}\n"));
        assert!(begins(b"{\"took\":1,\"hits\":{\"hits\":[\n{\"_source\":{\"a\":1}}\n"));
        assert!(!begins(b"{\"a\":1}\n{\"a\":"));
        assert!(!begins(b"{\"cut\":\n{\"a\":1}\n"));
        assert!(!begins(b"[Sun Nov 22 10:00:00 2026] [error] x"));
    }
}
