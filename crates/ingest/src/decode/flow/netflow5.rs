//! NetFlow version 5, and Huawei NetStream version 5, which is the same.

use std::net::IpAddr;

use bytes::Bytes;

use super::bytes::Cursor;
use super::json::Object;
use super::{Clock, FlowError};

const RECORD_BYTES: usize = 48;

/// Decodes what follows the version number.
pub(super) fn decode(exporter: IpAddr, body: &[u8], out: &mut Vec<Bytes>) -> Result<(), FlowError> {
    let mut cursor = Cursor(body);
    let (count, clock, domain, sampling) = header(&mut cursor).ok_or(FlowError::Short)?;
    for _ in 0..count {
        let record = cursor.take(RECORD_BYTES).ok_or(FlowError::Short)?;
        let mut object = Object::exported(exporter, "netflow5", domain, clock.export_ms);
        flow(&mut object, Cursor(record), clock).ok_or(FlowError::Short)?;
        if sampling > 1 {
            object.number("samplingInterval", sampling);
        }
        out.push(object.finish());
    }
    Ok(())
}

/// Count, clock, engine and sampling interval.
fn header(cursor: &mut Cursor<'_>) -> Option<(u16, Clock, u32, u16)> {
    let count = cursor.u16()?;
    let uptime = cursor.u32()?;
    let (seconds, nanos, _sequence) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let engine = cursor.u16()?;
    // The upper two bits are the mode.
    let sampling = cursor.u16()? & 0x3FFF;
    let export_ms = i64::from(seconds) * 1000 + i64::from(nanos / 1_000_000);
    Some((count, Clock { export_ms, uptime: Some(uptime) }, u32::from(engine), sampling))
}

fn flow(object: &mut Object, mut record: Cursor<'_>, clock: Clock) -> Option<()> {
    object.text("sourceIPv4Address", &record.ipv4()?.to_string());
    object.text("destinationIPv4Address", &record.ipv4()?.to_string());
    object.text("ipNextHopIPv4Address", &record.ipv4()?.to_string());
    object.number("ingressInterface", record.u16()?);
    object.number("egressInterface", record.u16()?);
    object.number("packetDeltaCount", record.u32()?);
    object.number("octetDeltaCount", record.u32()?);
    let (first, last) = (record.u32()?, record.u32()?);
    object.time("flow.start", clock.at_uptime(first));
    object.time("flow.end", clock.at_uptime(last));
    object.number("sourceTransportPort", record.u16()?);
    object.number("destinationTransportPort", record.u16()?);
    record.u8()?;
    object.number("tcpControlBits", record.u8()?);
    object.number("protocolIdentifier", record.u8()?);
    object.number("ipClassOfService", record.u8()?);
    object.number("bgpSourceAsNumber", record.u16()?);
    object.number("bgpDestinationAsNumber", record.u16()?);
    object.number("sourceIPv4PrefixLength", record.u8()?);
    object.number("destinationIPv4PrefixLength", record.u8()?);
    Some(())
}
