//! Flow records: Network Activity, its activity Traffic.
//!
//! A flow has one direction; IPFIX's biflows, firewalls' records with both sides and the like fill `bytes_in` too. The
//! counters are the exporter's; what sampling left out is not made up, the interval stays beside them.

use std::sync::LazyLock;

use wanglou_model::{PathId, Value, ocsf};

use super::mapping::{Mapper, Table, To, integer};
use super::paths;

/// `activity_id` of Network Activity.
const TRAFFIC: u32 = 6;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("sourceIPv4Address", To::Ip("src_endpoint")),
        ("sourceIPv6Address", To::Ip("src_endpoint")),
        ("sourceTransportPort", To::Int("src_endpoint.port")),
        ("udpSourcePort", To::Int("src_endpoint.port")),
        ("tcpSourcePort", To::Int("src_endpoint.port")),
        ("sourceMacAddress", To::Text("src_endpoint.mac")),
        ("bgpSourceAsNumber", To::Int("src_endpoint.autonomous_system.number")),
        ("postNATSourceIPv4Address", To::Ip("src_endpoint.proxy_endpoint")),
        ("postNATSourceIPv6Address", To::Ip("src_endpoint.proxy_endpoint")),
        ("postNAPTSourceTransportPort", To::Int("src_endpoint.proxy_endpoint.port")),
        ("destinationIPv4Address", To::Ip("dst_endpoint")),
        ("destinationIPv6Address", To::Ip("dst_endpoint")),
        ("destinationTransportPort", To::Int("dst_endpoint.port")),
        ("udpDestinationPort", To::Int("dst_endpoint.port")),
        ("tcpDestinationPort", To::Int("dst_endpoint.port")),
        ("destinationMacAddress", To::Text("dst_endpoint.mac")),
        ("bgpDestinationAsNumber", To::Int("dst_endpoint.autonomous_system.number")),
        ("postNATDestinationIPv4Address", To::Ip("dst_endpoint.proxy_endpoint")),
        ("postNATDestinationIPv6Address", To::Ip("dst_endpoint.proxy_endpoint")),
        ("postNAPTDestinationTransportPort", To::Int("dst_endpoint.proxy_endpoint.port")),
        ("protocolIdentifier", To::Int("connection_info.protocol_num")),
        ("tcpControlBits", To::Int("connection_info.tcp_flags")),
        ("flow.start", To::Time("start_time")),
        ("flow.end", To::Time("end_time")),
        ("flowDurationMilliseconds", To::Int("duration")),
        ("applicationName", To::Text("app_name")),
        ("userName", To::Text("actor.user.name")),
        ("exporter.address", To::Ip("metadata.reporter")),
        ("exporter.protocol", To::Text("metadata.log_name")),
        ("exporter.time", To::Time("metadata.logged_time")),
    ])
});

paths! {
    end = "flow.end";
    start = "flow.start";
    exported = "exporter.time";
    protocol = "protocolIdentifier";
    protocol_name = "connection_info.protocol_name";
    bytes = "traffic.bytes";
    bytes_out = "traffic.bytes_out";
    bytes_in = "traffic.bytes_in";
    packets = "traffic.packets";
    packets_out = "traffic.packets_out";
    packets_in = "traffic.packets_in";
    flow_direction = "flowDirection";
    direction_id = "connection_info.direction_id";
}

/// Fields that count one direction, the best first.
struct Counts {
    sent: Vec<PathId>,
    answered: Vec<PathId>,
}

impl Counts {
    fn of(sent: &[&str], answered: &[&str]) -> Self {
        let reserve = |names: &[&str]| names.iter().map(|name| PathId::reserve(name)).collect();
        Self { sent: reserve(sent), answered: reserve(answered) }
    }
}

static BYTES: LazyLock<Counts> = LazyLock::new(|| {
    Counts::of(
        &["octetDeltaCount", "octetTotalCount", "initiatorOctets", "postOctetDeltaCount"],
        &["responderOctets", "reverseOctetDeltaCount", "reverseOctetTotalCount"],
    )
});
static PACKETS: LazyLock<Counts> = LazyLock::new(|| {
    Counts::of(
        &["packetDeltaCount", "packetTotalCount", "initiatorPackets", "postPacketDeltaCount"],
        &["responderPackets", "reversePacketDeltaCount", "reversePacketTotalCount"],
    )
});

/// Maps a flow.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    mapper.class(ocsf::NETWORK_ACTIVITY, TRAFFIC);
    let paths = &*PATHS;
    _ = mapper.time(paths.end) || mapper.time(paths.start) || mapper.time(paths.exported);
    mapper.apply(&TABLE);
    count(mapper, &BYTES, [paths.bytes, paths.bytes_out, paths.bytes_in]);
    count(mapper, &PACKETS, [paths.packets, paths.packets_out, paths.packets_in]);
    if let Some(name) = mapper.record.fields.get(paths.protocol).and_then(integer).and_then(protocol_name) {
        mapper.put(paths.protocol_name, name);
    }
    // 0 is ingress and 1 egress at the interface, which says nothing of inside and outside.
    mapper.used(paths.flow_direction);
    mapper.default(paths.direction_id, 0_i64);
}

fn count(mapper: &mut Mapper<'_>, counts: &Counts, [all, sent, answered]: [PathId; 3]) {
    let mut first = |names: &[PathId]| {
        // An exporter may fill one of two counters and leave the other at zero.
        let given =
            |path: &&PathId| mapper.record.fields.get(**path).and_then(integer).is_some_and(|n| n > 0);
        let name = names.iter().find(given).or_else(|| {
            names.iter().find(|path| mapper.record.fields.get(**path).and_then(integer).is_some())
        })?;
        mapper.take(*name).and_then(|value: Value<'_>| integer(value))
    };
    let (there, back) = (first(&counts.sent), first(&counts.answered));
    for (path, number) in [(sent, there), (answered, back)] {
        if let Some(number) = number {
            mapper.put(path, number);
        }
    }
    if there.is_some() || back.is_some() {
        mapper.put(all, there.unwrap_or_default().saturating_add(back.unwrap_or_default()));
    }
}

/// What IANA calls the protocol.
fn protocol_name(number: i64) -> Option<&'static str> {
    Some(match number {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        89 => "ospf",
        132 => "sctp",
        _ => return None,
    })
}
