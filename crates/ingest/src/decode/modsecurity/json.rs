//! The JSON audit log of ModSecurity 2 (`SecAuditLogFormat JSON`) and of libmodsecurity.

use wanglou_model::{FieldMap, PathId, Value};

use super::message::RuleMessage;
use super::{MAX_MESSAGES, put_request_line};

/// What libmodsecurity calls what, and what it is called here.
const LIBMODSECURITY: [(&str, &str); 19] = [
    ("transaction.unique_id", "transaction.id"),
    ("transaction.id", "transaction.id"),
    ("transaction.time_stamp", "transaction.time_stamp"),
    ("transaction.client_ip", "transaction.client_ip"),
    ("transaction.client_port", "transaction.client_port"),
    ("transaction.host_ip", "transaction.host_ip"),
    ("transaction.host_port", "transaction.host_port"),
    ("transaction.request.method", "request.method"),
    ("transaction.request.uri", "request.uri"),
    ("transaction.request.http_version", "request.http_version"),
    ("transaction.request.body", "request.body"),
    ("transaction.response.http_code", "response.http_code"),
    ("transaction.messages.message", "messages.message"),
    ("transaction.messages.details.ruleId", "messages.details.ruleId"),
    ("transaction.messages.details.match", "messages.details.match"),
    ("transaction.messages.details.data", "messages.details.data"),
    ("transaction.messages.details.severity", "messages.details.severity"),
    ("transaction.producer.modsecurity", "producer"),
    ("transaction.is_interrupted", "action.intercepted"),
];
/// Those whose last segment stays.
const LIBMODSECURITY_PREFIXES: [(&str, &str); 3] = [
    ("transaction.request.headers.", "request.headers."),
    ("transaction.response.headers.", "response.headers."),
    ("transaction.messages.details.", "messages.details."),
];
/// The same for ModSecurity 2.
const MODSECURITY2: [(&str, &str); 12] = [
    ("transaction.transaction_id", "transaction.id"),
    ("transaction.time", "transaction.time_stamp"),
    ("transaction.remote_address", "transaction.client_ip"),
    ("transaction.remote_port", "transaction.client_port"),
    ("transaction.local_address", "transaction.host_ip"),
    ("transaction.local_port", "transaction.host_port"),
    ("request.body", "request.body"),
    ("response.status", "response.http_code"),
    ("response.protocol", "response.protocol"),
    ("audit_data.action.intercepted", "action.intercepted"),
    ("audit_data.action.phase", "action.phase"),
    ("audit_data.producer", "producer"),
];
const MODSECURITY2_PREFIXES: [(&str, &str); 2] =
    [("request.headers.", "request.headers."), ("response.headers.", "response.headers.")];

/// Brings a JSON audit record, of either generation, to the paths of the native form. `false` when it is none.
pub fn from_json(json: &FieldMap, fields: &mut FieldMap) -> bool {
    let has = |name: &str| json.get(PathId::reserve(name)).is_some();
    if has("transaction.remote_address") && has("transaction.transaction_id") {
        rename(json, &MODSECURITY2, &MODSECURITY2_PREFIXES, fields);
        if let Some(line) = json.text(PathId::reserve("request.request_line")) {
            put_request_line(line, fields);
        }
        let messages = json.get_all(PathId::reserve("audit_data.messages")).filter_map(Value::as_str);
        messages.take(MAX_MESSAGES).for_each(|text| RuleMessage::parse(text).write(fields));
        return true;
    }
    if has("transaction.client_ip") && (has("transaction.unique_id") || has("transaction.request.uri")) {
        rename(json, &LIBMODSECURITY, &LIBMODSECURITY_PREFIXES, fields);
        return true;
    }
    false
}

fn rename(json: &FieldMap, names: &[(&str, &str)], prefixes: &[(&str, &str)], fields: &mut FieldMap) {
    for (name, value) in json.iter_named() {
        let is_blank = matches!(value, Value::Null) || value.as_str().is_some_and(str::is_empty);
        if is_blank {
            continue;
        }
        if let Some((_, ours)) = names.iter().find(|(theirs, _)| *theirs == name) {
            fields.push_named(None, ours, value);
        } else if let Some((rest, ours)) =
            prefixes.iter().find_map(|(theirs, ours)| Some((name.strip_prefix(theirs)?, ours)))
        {
            fields.push_named(None, &format!("{ours}{rest}"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> FieldMap {
        let mut fields = FieldMap::new();
        for (name, value) in pairs {
            fields.push_named(None, name, *value);
        }
        fields
    }

    #[test]
    fn both_generations_come_to_the_same_names() {
        let second = map(&[
            ("transaction.transaction_id", "Y7x"),
            ("transaction.remote_address", "1.2.3.4"),
            ("request.request_line", "GET /a?b HTTP/1.1"),
            ("request.headers.Host", "x.cn"),
            ("response.status", "403"),
            ("audit_data.messages", r#"Warning. M. [id "9"] [msg "m"] [severity "CRITICAL"]"#),
        ]);
        let third = map(&[
            ("transaction.unique_id", "Y7x"),
            ("transaction.client_ip", "1.2.3.4"),
            ("transaction.request.method", "GET"),
            ("transaction.request.uri", "/a?b"),
            ("transaction.request.http_version", "1.1"),
            ("transaction.request.headers.Host", "x.cn"),
            ("transaction.response.http_code", "403"),
            ("transaction.messages.message", "m"),
            ("transaction.messages.details.match", "Warning. M."),
            ("transaction.messages.details.ruleId", "9"),
            ("transaction.messages.details.severity", "CRITICAL"),
            ("transaction.messages.details.data", ""),
        ]);
        let [second, third] = [second, third].map(|json| {
            let mut fields = FieldMap::new();
            assert!(from_json(&json, &mut fields));
            serde_json::Value::from(fields.to_json())
        });
        assert_eq!(second, third);
        assert!(!from_json(&map(&[("transaction.id", "x")]), &mut FieldMap::new()));
    }
}
