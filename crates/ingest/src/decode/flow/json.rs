//! One flow as a JSON object.

use std::fmt::{Display, Write};
use std::net::IpAddr;

use bytes::Bytes;
use jiff::Timestamp;

/// Writes the members of an object one by one.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    /// One that says who exported the flow.
    pub(super) fn exported(exporter: IpAddr, protocol: &str, domain: u32, time_ms: i64) -> Self {
        let mut object = Self(String::with_capacity(640));
        object.0.push('{');
        object.text("exporter.address", &exporter.to_canonical().to_string());
        object.text("exporter.protocol", protocol);
        object.number("exporter.domain", domain);
        object.time("exporter.time", i128::from(time_ms) * 1_000_000);
        object
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.quoted(name);
        self.0.push(':');
    }

    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                c if u32::from(c) < 0x20 => _ = write!(self.0, "\\u{:04x}", u32::from(c)),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    pub(super) fn number(&mut self, name: &str, number: impl Display) {
        self.name(name);
        _ = write!(self.0, "{number}");
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    /// An instant, if it is one that a calendar knows.
    pub(super) fn time(&mut self, name: &str, nanos: i128) {
        if let Ok(time) = Timestamp::from_nanosecond(nanos) {
            self.text(name, &time.to_string());
        }
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.0.push('}');
        Bytes::from(self.0)
    }
}
