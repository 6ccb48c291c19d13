//! sFlow version 5: sampled packets, of which the headers are read. Counter samples are no flows and are passed over.

use std::net::IpAddr;

use bytes::Bytes;

use super::FlowError;
use super::bytes::Cursor;
use super::json::Object;

/// Samples of one datagram, and records of one sample: far above what fits.
const MOST: u32 = 1024;

const ETHERNET: u32 = 1;
const IPV4: u32 = 11;
const IPV6: u32 = 12;

/// Decodes what follows the version number.
pub(super) fn decode(body: &[u8], arrival_ms: i64, out: &mut Vec<Bytes>) -> Result<(), FlowError> {
    let mut cursor = Cursor(body);
    let (agent, sub_agent, count) = header(&mut cursor).ok_or(FlowError::Short)?;
    for _ in 0..count.min(MOST) {
        let (kind, sample) = part(&mut cursor).ok_or(FlowError::Short)?;
        let is_expanded = match kind {
            1 => false,
            3 => true,
            _ => continue,
        };
        let object = Object::exported(agent, "sflow5", sub_agent, arrival_ms);
        if let Some(flow) = sampled(object, Cursor(sample), is_expanded).ok_or(FlowError::Short)? {
            out.push(flow.finish());
        }
    }
    Ok(())
}

fn header(cursor: &mut Cursor<'_>) -> Option<(IpAddr, u32, u32)> {
    let agent = match cursor.u32()? {
        1 => IpAddr::V4(cursor.ipv4()?),
        2 => IpAddr::V6(cursor.ipv6()?),
        _ => return None,
    };
    let sub_agent = cursor.u32()?;
    let (_sequence, _uptime) = (cursor.u32()?, cursor.u32()?);
    Some((agent, sub_agent, cursor.u32()?))
}

/// A sample or record: its format and its bytes.
fn part<'a>(cursor: &mut Cursor<'a>) -> Option<(u32, &'a [u8])> {
    let kind = cursor.u32()?;
    let len = usize::try_from(cursor.u32()?).ok()?;
    Some((kind, cursor.take(len)?))
}

/// A flow sample; `Some(None)` when no record of it tells of addresses.
fn sampled(mut object: Object, mut sample: Cursor<'_>, is_expanded: bool) -> Option<Option<Object>> {
    sample.take(if is_expanded { 12 } else { 8 })?;
    let rate = sample.u32()?;
    let (_pool, _drops) = (sample.u32()?, sample.u32()?);
    let mut interface = || {
        if is_expanded {
            sample.u32()?;
        }
        sample.u32()
    };
    let (input, output) = (interface()?, interface()?);
    let mut is_told = false;
    for _ in 0..sample.u32()?.min(MOST) {
        let (kind, record) = part(&mut sample)?;
        if !is_told {
            is_told = match kind {
                1 => packet(&mut object, Cursor(record)).is_some(),
                3 => addresses(&mut object, Cursor(record), false).is_some(),
                4 => addresses(&mut object, Cursor(record), true).is_some(),
                _ => false,
            };
        }
    }
    if !is_told {
        return Some(None);
    }
    object.number("ingressInterface", input);
    object.number("egressInterface", output);
    object.number("packetDeltaCount", 1);
    if rate > 1 {
        object.number("samplingInterval", rate);
    }
    Some(Some(object))
}

/// Sampled IPv4 or IPv6 data without the packet.
fn addresses(object: &mut Object, mut record: Cursor<'_>, is_v6: bool) -> Option<()> {
    let (length, protocol) = (record.u32()?, record.u32()?);
    let (source, destination): (IpAddr, IpAddr) = if is_v6 {
        (record.ipv6()?.into(), record.ipv6()?.into())
    } else {
        (record.ipv4()?.into(), record.ipv4()?.into())
    };
    let (source_port, destination_port, flags) = (record.u32()?, record.u32()?, record.u32()?);
    put_addresses(object, source, destination);
    object.number("octetDeltaCount", length);
    object.number("protocolIdentifier", protocol);
    object.number("sourceTransportPort", source_port);
    object.number("destinationTransportPort", destination_port);
    object.number("tcpControlBits", flags);
    Some(())
}

fn put_addresses(object: &mut Object, source: IpAddr, destination: IpAddr) {
    let (from, to) = match source {
        IpAddr::V4(_) => ("sourceIPv4Address", "destinationIPv4Address"),
        IpAddr::V6(_) => ("sourceIPv6Address", "destinationIPv6Address"),
    };
    object.text(from, &source.to_string());
    object.text(to, &destination.to_string());
}

/// The first bytes of a packet. Nothing is written before its addresses are known.
fn packet(object: &mut Object, mut record: Cursor<'_>) -> Option<()> {
    let (protocol, frame_length, _stripped) = (record.u32()?, record.u32()?, record.u32()?);
    let len = usize::try_from(record.u32()?).ok()?;
    let mut bytes = Cursor(record.take(len)?);
    let mut vlan = None;
    let is_v6 = match protocol {
        ETHERNET => {
            bytes.take(12)?;
            let mut kind = bytes.u16()?;
            while matches!(kind, 0x8100 | 0x88A8) {
                vlan = Some(bytes.u16()? & 0x0FFF);
                kind = bytes.u16()?;
            }
            match kind {
                0x0800 => false,
                0x86DD => true,
                _ => return None,
            }
        }
        IPV4 => false,
        IPV6 => true,
        _ => return None,
    };
    let transport = if is_v6 { ipv6(object, &mut bytes)? } else { ipv4(object, &mut bytes)? };
    object.number("octetDeltaCount", frame_length);
    object.number("protocolIdentifier", transport);
    if let Some(vlan) = vlan {
        object.number("vlanId", vlan);
    }
    ports(object, transport, bytes);
    Some(())
}

fn ipv4(object: &mut Object, bytes: &mut Cursor<'_>) -> Option<u8> {
    let mut fixed = Cursor(bytes.take(20)?);
    let header_bytes = usize::from(fixed.u8()? & 0x0F) * 4;
    fixed.take(8)?;
    let protocol = fixed.u8()?;
    fixed.take(2)?;
    put_addresses(object, fixed.ipv4()?.into(), fixed.ipv4()?.into());
    // Options may be cut off with the rest of the packet.
    _ = bytes.take(header_bytes.saturating_sub(20));
    Some(protocol)
}

fn ipv6(object: &mut Object, bytes: &mut Cursor<'_>) -> Option<u8> {
    let mut fixed = Cursor(bytes.take(40)?);
    fixed.take(6)?;
    let protocol = fixed.u8()?;
    fixed.take(1)?;
    put_addresses(object, fixed.ipv6()?.into(), fixed.ipv6()?.into());
    Some(protocol)
}

/// Ports and flags, if the sampled bytes reach that far.
fn ports(object: &mut Object, transport: u8, mut bytes: Cursor<'_>) {
    if !matches!(transport, 6 | 17 | 132) {
        return;
    }
    let (Some(source), Some(destination)) = (bytes.u16(), bytes.u16()) else { return };
    object.number("sourceTransportPort", source);
    object.number("destinationTransportPort", destination);
    if transport == 6
        && bytes.take(9).is_some()
        && let Some(flags) = bytes.u8()
    {
        object.number("tcpControlBits", flags);
    }
}
