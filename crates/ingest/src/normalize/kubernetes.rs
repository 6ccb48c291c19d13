//! Kubernetes audit events (audit.k8s.io/v1): API Activity.

use std::sync::LazyLock;

use wanglou_model::{PathId, ocsf};

use super::mapping::{Mapper, Table, To, integer};
use super::paths;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        ("auditID", To::Text("metadata.original_event_uid")),
        ("auditID", To::Text("api.request.uid")),
        ("verb", To::Text("api.operation")),
        ("objectRef.apiVersion", To::Text("api.version")),
        ("objectRef.apiGroup", To::Text("api.group.name")),
        ("user.username", To::Text("actor.user.name")),
        ("user.uid", To::Text("actor.user.uid")),
        ("impersonatedUser.username", To::Text("actor.invoked_by")),
        ("sourceIPs", To::Ip("src_endpoint")),
        ("userAgent", To::Text("http_request.user_agent")),
        ("requestURI", To::Url("http_request.url")),
        ("responseStatus.code", To::Int("http_response.code")),
        ("responseStatus.code", To::Int("api.response.code")),
        ("responseStatus.reason", To::Text("api.response.error")),
        ("responseStatus.message", To::Text("api.response.message")),
        ("objectRef.name", To::Text("resources[].name")),
        ("objectRef.uid", To::Text("resources[].uid")),
        ("objectRef.namespace", To::Text("resources[].namespace")),
        ("objectRef.resource", To::Text("resources[].type")),
        ("kind", To::Known),
        ("apiVersion", To::Known),
    ])
});

paths! {
    stage_time = "stageTimestamp";
    received_time = "requestReceivedTimestamp";
    old_time = "timestamp";
    verb = "verb";
    groups = "user.groups";
    decision = "annotations.authorization.k8s.io/decision";

    status_id = "status_id";
    service = "api.service.name";
    actor_name = "actor.user.name";
    actor_group = "actor.user.groups[].name";
    code = "http_response.code";
    operation = "api.operation";
    src_ip = "src_endpoint.ip";
    src_host = "src_endpoint.hostname";
}

/// Maps an event.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    for time in [paths.received_time, paths.stage_time, paths.old_time] {
        if mapper.time(time) {
            break;
        }
    }
    let activity = match mapper.record.fields.text(paths.verb) {
        Some("create") => 1,
        Some("get" | "list" | "watch") => 2,
        Some("update" | "patch") => 3,
        Some("delete" | "deletecollection") => 4,
        _ => 99,
    };
    mapper.class(ocsf::API_ACTIVITY, activity);
    mapper.apply(&TABLE);
    mapper.put(paths.service, "kubernetes");
    mapper.default(paths.operation, "unknown");
    mapper.default(paths.actor_name, "unknown");
    let groups: Vec<_> = mapper.record.fields.get_all(paths.groups).map(|group| group.to_text()).collect();
    for group in groups {
        mapper.used(paths.groups);
        mapper.put(paths.actor_group, group.as_ref());
    }
    let forbidden = mapper.take_text(paths.decision).is_some_and(|decision| decision == "forbid");
    let code = mapper.event.attributes.get(paths.code).and_then(integer);
    if forbidden || code.is_some() {
        let failed = forbidden || code.is_some_and(|code| code >= 400);
        mapper.put(paths.status_id, if failed { 2_i64 } else { 1 });
    }
    if !mapper.has(paths.src_ip) {
        mapper.default(paths.src_host, "unknown");
    }
}
