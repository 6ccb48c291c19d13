//! Flow records: NetFlow version 5 and 9, IPFIX, sFlow version 5, Huawei NetStream version 5 and 9.
//!
//! A datagram of version 9 or IPFIX means nothing without the templates its exporter sent before, so these are decoded
//! where they arrive, not later from the log: out comes one JSON object a flow, with IPFIX's names for the fields and
//! absolute times, and that is what is logged. Templates are held by exporter and observation domain, bounded in
//! number, and can be kept over a restart ([`FlowDecoder::templates`]). Data that come before their template wait, up
//! to a bound.

mod bytes;
mod elements;
mod json;
mod netflow5;
mod sflow;
mod templated;
mod templates;

use std::net::IpAddr;

use ::bytes::Bytes;

use templated::Waiting;
pub use templates::Templates;

/// Why a datagram, or a part of it, gave no flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// It ends in the middle.
    #[error("the datagram ends in the middle of a record")]
    Short,
    /// It begins as no protocol that is read here.
    #[error("neither NetFlow 5, NetFlow 9, IPFIX nor sFlow 5 (version {0})")]
    Version(u16),
}

/// What came of a datagram beside the flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowReport {
    /// Whether templates are known now that were not before.
    pub has_new_templates: bool,
    /// Sets of data given up for lack of a template; how many flows were in them nobody knows.
    pub sets_without_template: u64,
}

/// When a datagram was sent, by its sender's clock.
#[derive(Clone, Copy, Debug)]
struct Clock {
    export_ms: i64,
    /// Milliseconds since the exporter's start, where the protocol tells.
    uptime: Option<u32>,
}

impl Clock {
    /// The instant, in nanoseconds since 1970, at which the exporter had been up for so many milliseconds. The counter
    /// wraps after 50 days: what would lie in the future was before the wrap.
    fn at_uptime(self, uptime: u32) -> i128 {
        let now = self.uptime.unwrap_or(uptime);
        let behind = now.wrapping_sub(uptime);
        // A flow may end a little after the datagram's own reading of the clock.
        let behind =
            if behind > u32::MAX - 60_000 { -i64::from(u32::MAX - behind) - 1 } else { i64::from(behind) };
        i128::from(self.export_ms - behind) * 1_000_000
    }
}

/// Decodes the datagrams of any number of exporters.
#[derive(Debug, Default)]
pub struct FlowDecoder {
    templates: Templates,
    waiting: Waiting,
}

impl FlowDecoder {
    /// One that knows these templates.
    #[must_use]
    pub fn new(templates: Templates) -> Self {
        Self { templates, waiting: Waiting::default() }
    }

    /// What it knows, to be kept over a restart.
    #[must_use]
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// Decodes one datagram; its flows go to `out`, also those before an error.
    ///
    /// # Errors
    /// [`FlowError`] when the datagram, or what follows in it, cannot be read.
    pub fn decode(
        &mut self,
        exporter: IpAddr,
        datagram: &[u8],
        arrival_ms: i64,
        out: &mut Vec<Bytes>,
    ) -> Result<FlowReport, FlowError> {
        let mut cursor = bytes::Cursor(datagram);
        let version = cursor.u16().ok_or(FlowError::Short)?;
        match version {
            5 => netflow5::decode(exporter, cursor.0, out).map(|()| FlowReport::default()),
            9 => templated::decode_netflow9(self, exporter, cursor.0, out),
            10 => templated::decode_ipfix(self, exporter, cursor.0, out),
            0 if cursor.u16() == Some(5) => {
                sflow::decode(cursor.0, arrival_ms, out).map(|()| FlowReport::default())
            }
            other => Err(FlowError::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_wraps_and_may_run_a_little_ahead() {
        let clock = |uptime| Clock { export_ms: 1_000_000, uptime: Some(uptime) };
        assert_eq!(clock(500).at_uptime(400), 999_900 * 1_000_000);
        assert_eq!(clock(500).at_uptime(u32::MAX - 499), 999_000 * 1_000_000);
        assert_eq!(clock(500).at_uptime(700), 1_000_200 * 1_000_000);
    }
}
