//! OpenTelemetry logs: what exporters send on the wire, and the Python SDK itself where `WANGLOU_OTEL` names a Python that
//! has it (`opentelemetry-sdk`, `opentelemetry-exporter-otlp-proto-http`, `-grpc`).

use std::process::Command;

use serde_json::json;

use crate::harness::Server;

#[test]
fn records_in_json_are_taken_and_refusals_are_understood_by_exporters() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    let authorization = format!("Bearer {}", server.create_source("otel"));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let request = json!({ "resourceLogs": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "portal" } }] },
        "scopeLogs": [{ "logRecords": [
            { "timeUnixNano": "1790000000000000000", "body": { "stringValue": "<34>Oct 11 22:14:15 gw su: failed" } },
            { "severityText": "WARN", "body": { "stringValue": "words" }, "attributes": [] },
        ] }],
    }] });
    let answer = server.send("POST", "/v1/logs", &headers, request.to_string().as_bytes());
    assert_eq!(answer.expect(200), json!({}));
    let refused = server.send("POST", "/v1/logs", &headers, b"{\"resourceLogs\":7}").expect(400);
    assert_eq!(refused["code"], 3);
    assert_eq!(server.send("POST", "/v1/logs", &headers[1..], b"{}").expect(401)["code"], 16);
    let text = [headers[0], ("content-type", "text/plain")];
    assert_eq!(server.send("POST", "/v1/logs", &text, b"{}").status, 415);
    server.settled("otel", 2);
    let mut raw = server.raw_events("otel");
    raw.sort();
    assert_eq!(raw[0], "<34>Oct 11 22:14:15 gw su: failed");
    let record: serde_json::Value = serde_json::from_str(&raw[1]).unwrap();
    assert_eq!(record, json!({ "message": "words", "severity": "WARN", "service.name": "portal" }));
}

/// Sends as many records as it is told over HTTP/protobuf or gRPC.
const SDK: &str = r#"
import logging, sys
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
kind, address, token, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
headers = {"authorization": "Bearer " + token}
if kind == "http":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http import Compression
    exporter = OTLPLogExporter(endpoint=f"http://{address}/v1/logs", headers=headers, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    exporter = OTLPLogExporter(endpoint=address, insecure=True, headers=headers)
provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
log = logging.getLogger("drill")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=provider))
for n in range(count):
    log.info("record %d", n)
provider.shutdown()
"#;

#[test]
fn the_python_sdk_exports_over_http_and_grpc() {
    let Ok(python) = std::env::var("WANGLOU_OTEL") else {
        println!("skipped: set WANGLOU_OTEL to a Python with opentelemetry-sdk and its OTLP exporters");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_set_up(dir.path(), &[]);
    for kind in ["http", "grpc"] {
        let token = server.create_source(kind);
        let sent = Command::new(&python)
            .args(["-c", SDK, kind, &server.address().to_string(), &token, "1500"])
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        let line = server.settled(kind, 1_500);
        assert_eq!((&line["stored"], &line["rejected"]), (&1_500.into(), &0.into()));
    }
}
