//! Flows: against the values another decoder read from the same datagrams, over restarts, and from a real exporter.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use wanglou_ingest::decode::flow::{FlowDecoder, FlowError};
use wanglou_ingest::source::{DropReason, FlowUdp, FlowUdpConfig};
use wanglou_ingest::{Catalog, EventContext, FrameDecoder, normalize};
use wanglou_model::{Event, EventUid, PathId, SourceId, TenantId, Timestamp};
use wanglou_testkit::corpus;

const EXPORTER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn event(frame: &Bytes) -> Event {
    let catalog = Catalog::from_yaml(include_str!("../../../content/products.yaml")).unwrap();
    let mut event = None;
    FrameDecoder::new(Arc::new(catalog))
        .decode(frame, &mut |record| {
            let context = EventContext {
                uid: EventUid::from_u128(1),
                source: SourceId::new("flow"),
                arrival: Timestamp::from_secs(1_790_000_000),
                tenant: TenantId::default(),
                zone: TimeZone::UTC,
            };
            event = Some(normalize(&record, context));
        })
        .unwrap();
    event.unwrap()
}

fn attribute(event: &Event, name: &str) -> Option<String> {
    event.attributes.get(PathId::reserve(name)).map(|value| value.to_text().into_owned())
}

/// A field in the other decoder's spelling: `sourceIPv4Address` is its `source_ipv4_address`.
fn spelled(name: &str) -> String {
    let mut spelled = String::new();
    let mut was_lower = false;
    for c in name.replace("IPv4", "Ipv4").replace("IPv6", "Ipv6").chars() {
        if c.is_ascii_uppercase() && was_lower {
            spelled.push('_');
        }
        was_lower = !c.is_ascii_uppercase();
        spelled.push(c.to_ascii_lowercase());
    }
    spelled
}

/// Addresses, ports, times, counters and protocol of one flow: (field, wanted, got).
fn compared(golden: &Json, frame: &Bytes) -> Vec<(String, String, Option<String>)> {
    let fields = &golden["Fields"];
    let event = event(frame);
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let mut rows = Vec::new();
    let pairs = [
        ("source.ip", "src_endpoint.ip"),
        ("source.port", "src_endpoint.port"),
        ("destination.ip", "dst_endpoint.ip"),
        ("destination.port", "dst_endpoint.port"),
        ("network.iana_number", "connection_info.protocol_num"),
        ("source.bytes", "traffic.bytes_out"),
        ("source.packets", "traffic.packets_out"),
        ("destination.bytes", "traffic.bytes_in"),
        ("destination.packets", "traffic.packets_in"),
    ];
    for (theirs, ours) in pairs {
        let (object, member) = theirs.split_once('.').unwrap();
        if let Some(wanted) = fields[object].get(member) {
            rows.push((theirs.to_owned(), text(wanted), attribute(&event, ours)));
        }
    }
    for (theirs, ours) in [("start", "start_time"), ("end", "end_time")] {
        if let Some(wanted) = fields["event"].get(theirs).and_then(Json::as_str) {
            let wanted: jiff::Timestamp = wanted.parse().unwrap();
            let wanted = wanted.as_millisecond().to_string();
            rows.push((format!("event.{theirs}"), wanted, attribute(&event, ours)));
        }
    }
    // The registry's own fields, as far as they are addresses, ports, times and counters.
    let ours: serde_json::Map<String, Json> = serde_json::from_slice(frame).unwrap();
    let counts = ["address", "port", "count", "octets", "seconds", "time", "prefix", "length", "number"];
    for (name, got) in ours.iter().filter(|(name, _)| !name.contains('.') && !name.starts_with("element")) {
        let theirs = spelled(name);
        let Some(wanted) = fields["netflow"].get(&theirs) else { continue };
        if theirs != "padding_octets" && counts.iter().any(|end| theirs.ends_with(end)) {
            let instant = |text: String| {
                text.parse::<jiff::Timestamp>().map_or(text, |time| time.as_microsecond().to_string())
            };
            rows.push((theirs, instant(text(wanted)), Some(instant(text(got)))));
        }
    }
    rows
}

#[test]
fn golden_values_of_another_decoder_are_met() {
    let Some(root) = corpus("netflow-ipfix") else { return };
    let tests: Json = serde_json::from_slice(&std::fs::read(root.join("LABELS.json")).unwrap()).unwrap();
    let (mut right, mut all) = (0_u32, 0_u32);
    for test in tests.as_array().unwrap() {
        let mut decoder = FlowDecoder::default();
        let mut frames = Vec::new();
        for dat in test["dat"].as_array().unwrap() {
            let datagram = std::fs::read(root.join("dat").join(dat.as_str().unwrap())).unwrap();
            if let Err(error) = decoder.decode(EXPORTER, &datagram, 0, &mut frames) {
                println!("{dat}: {error}");
            }
        }
        let golden: Json = serde_json::from_slice(
            &std::fs::read(root.join("golden").join(test["golden"].as_str().unwrap())).unwrap(),
        )
        .unwrap();
        let none = Vec::new();
        let flows: Vec<&Json> = golden["events"]
            .as_array()
            .unwrap_or(&none)
            .iter()
            .filter(|event| event["Fields"]["event"]["action"] == "netflow_flow")
            .collect();
        let mut score = (0, 0);
        // Order is the datagram's on both sides; a flow too few or too many counts as wrong.
        for index in 0..flows.len().max(frames.len()) {
            let (Some(golden), Some(frame)) = (flows.get(index), frames.get(index)) else {
                score.1 += 1;
                println!("  {}: flow {index} is on one side only", test["test"]);
                continue;
            };
            for (field, wanted, got) in compared(golden, frame) {
                score.1 += 1;
                if got.as_ref() == Some(&wanted) {
                    score.0 += 1;
                } else {
                    println!("  {} flow {index}: {field}: wanted {wanted}, got {got:?}", test["test"]);
                }
            }
        }
        println!(
            "{:<75} {:>4} flows {:>5} of {:>5}",
            test["test"].to_string(),
            flows.len(),
            score.0,
            score.1
        );
        (right, all) = (right + score.0, all + score.1);
    }
    let share = f64::from(right) / f64::from(all);
    println!("{right} of {all}: {:.2} %", share * 100.0);
    assert!(all > 1000 && share >= 0.98, "{:.2} % right", share * 100.0);
}

/// IPFIX: template 256 (source, destination, octets), then one flow.
fn ipfix(sets: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 10];
    message.extend(u16::try_from(16 + sets.len()).unwrap().to_be_bytes());
    message.extend([0x65, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
    message.extend(sets);
    message
}

const TEMPLATE: [u8; 20] = [0, 2, 0, 20, 1, 0, 0, 3, 0, 8, 0, 4, 0, 12, 0, 4, 0, 1, 0, 8];
const DATA: [u8; 20] = [1, 0, 0, 20, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 1];

#[test]
fn data_wait_for_their_template_and_templates_belong_to_exporter_and_domain() {
    let mut decoder = FlowDecoder::default();
    let mut flows = Vec::new();
    decoder.decode(EXPORTER, &ipfix(&DATA), 0, &mut flows).unwrap();
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    decoder.decode(other, &ipfix(&TEMPLATE), 0, &mut flows).unwrap();
    assert!(flows.is_empty(), "another exporter's template is not ours");
    let report = decoder.decode(EXPORTER, &ipfix(&TEMPLATE), 0, &mut flows).unwrap();
    assert!(report.has_new_templates);
    assert_eq!(flows.len(), 1);
    assert_eq!(attribute(&event(&flows[0]), "traffic.bytes").as_deref(), Some("1025"));
    let kept = serde_json::to_vec(decoder.templates()).unwrap();
    let mut decoder = FlowDecoder::new(serde_json::from_slice(&kept).unwrap());
    decoder.decode(EXPORTER, &ipfix(&DATA), 0, &mut flows).unwrap();
    assert_eq!(flows.len(), 2, "templates outlive a restart");
}

#[test]
fn the_sampling_rate_of_options_stands_in_the_flows() {
    // Options template 257: scope observationDomainId (4), samplingPacketInterval (4); interval 1, space 99.
    let options = [
        0, 3, 0, 22, 1, 1, 0, 3, 0, 1, 0, 149, 0, 4, 1, 49, 0, 4, 1, 50, 0, 4, //
        1, 1, 0, 16, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 99,
    ];
    let mut flows = Vec::new();
    let mut decoder = FlowDecoder::default();
    decoder.decode(EXPORTER, &ipfix(&[&options[..], &TEMPLATE, &DATA].concat()), 0, &mut flows).unwrap();
    let flow: Json = serde_json::from_slice(&flows[0]).unwrap();
    assert_eq!(flow["samplingInterval"], 100);
    assert_eq!(flow["exporter.domain"], 7);
}

#[test]
fn sflow_reads_the_sampled_header() {
    let mut packet = vec![0; 12];
    packet.extend([0x81, 0, 0, 42, 8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0]);
    packet.extend([10, 1, 1, 1, 10, 2, 2, 2, 0x1F, 0x90, 1, 0xBB, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02]);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let len = u32::try_from(packet.len()).unwrap();
    let record = [words(&[1, len + 16, 1, 1514, 4, len]), packet].concat();
    let sample_len = u32::try_from(32 + record.len()).unwrap();
    let head = words(&[5, 1, 0x0A00_00FE, 0, 1, 1, 1, 1, sample_len, 1, 1, 512, 0, 0, 3, 4, 1]);
    let mut flows = Vec::new();
    FlowDecoder::default().decode(EXPORTER, &[head, record].concat(), 0, &mut flows).unwrap();
    let event = event(&flows[0]);
    let wanted = [
        ("src_endpoint.ip", "10.1.1.1"),
        ("src_endpoint.port", "8080"),
        ("dst_endpoint.port", "443"),
        ("traffic.bytes", "1514"),
        ("metadata.reporter.ip", "10.0.0.254"),
        ("connection_info.tcp_flags", "2"),
    ];
    for (name, value) in wanted {
        assert_eq!(attribute(&event, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn damaged_datagrams_say_so() {
    let mut decoder = FlowDecoder::default();
    let mut flows = Vec::new();
    let whole = ipfix(&[&TEMPLATE[..], &DATA].concat());
    for end in 0..whole.len() {
        assert_eq!(decoder.decode(EXPORTER, &whole[..end], 0, &mut flows), Err(FlowError::Short));
    }
    assert_eq!(decoder.decode(EXPORTER, b"GET / HTTP/1.1", 0, &mut flows), Err(FlowError::Version(0x4745)));
}

#[tokio::test]
async fn the_socket_keeps_templates_over_a_restart_and_counts_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut counted = Vec::new();
    for datagrams in [vec![ipfix(&TEMPLATE), b"nonsense".to_vec()], vec![ipfix(&DATA)]] {
        let config = FlowUdpConfig {
            templates: Some(dir.path().join("templates.json")),
            ..FlowUdpConfig::new(SourceId::new("flow"), "127.0.0.1:0".parse().unwrap())
        };
        let source = FlowUdp::bind(config).await.unwrap();
        let (address, counters) = (source.local_addr().unwrap(), source.counters());
        let (sender, mut deliveries) = mpsc::channel(16);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(source.run(sender, stopped));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for datagram in datagrams {
            socket.send_to(&datagram, address).await.unwrap();
        }
        let delivery = tokio::time::timeout(Duration::from_secs(2), deliveries.recv()).await;
        stop.send_replace(true);
        running.await.unwrap().unwrap();
        counted.push((
            delivery.ok().flatten().map_or(0, |d| d.frames.len()),
            counters.dropped(DropReason::Malformed),
        ));
    }
    assert_eq!(counted, [(0, 1), (1, 0)]);
}
