//! AWS CloudTrail: API Activity, and console sign-ins as Authentication.

use std::sync::LazyLock;

use wanglou_model::{PathId, ocsf};

use super::mapping::{Mapper, Table, To};
use super::paths;

static API: LazyLock<Table> = LazyLock::new(|| Table::new(&[COMMON, ACTOR, REQUEST].concat()));
static SIGN_IN: LazyLock<Table> = LazyLock::new(|| Table::new(&[COMMON, SIGNED_IN].concat()));

type Rows = &'static [(&'static str, To)];

const COMMON: Rows = &[
    ("eventID", To::Text("metadata.original_event_uid")),
    ("eventName", To::Text("metadata.event_code")),
    ("awsRegion", To::Text("cloud.region")),
    ("recipientAccountId", To::Text("cloud.account.uid")),
    ("sourceIPAddress", To::Ip("src_endpoint")),
    ("userAgent", To::Text("http_request.user_agent")),
    ("errorCode", To::Text("status_code")),
    ("errorMessage", To::Text("status_detail")),
];

const ACTOR: Rows = &[
    ("userIdentity.type", To::Text("actor.user.type")),
    ("userIdentity.principalId", To::Text("actor.user.uid")),
    ("userIdentity.userName", To::Text("actor.user.name")),
    ("userIdentity.sessionContext.sessionIssuer.userName", To::Text("actor.user.name")),
    ("userIdentity.arn", To::Text("actor.user.uid_alt")),
    ("userIdentity.accountId", To::Text("actor.user.account.uid")),
    ("userIdentity.accessKeyId", To::Text("actor.user.credential_uid")),
    ("userIdentity.invokedBy", To::Text("actor.invoked_by")),
    ("userIdentity.sessionContext.sessionIssuer.arn", To::Text("actor.session.issuer")),
    ("userIdentity.sessionContext.attributes.mfaAuthenticated", To::Bool("actor.session.is_mfa")),
    ("userIdentity.sessionContext.attributes.creationDate", To::Time("actor.session.created_time")),
];

const REQUEST: Rows = &[
    ("eventName", To::Text("api.operation")),
    ("eventSource", To::Text("api.service.name")),
    ("apiVersion", To::Text("api.version")),
    ("requestID", To::Text("api.request.uid")),
    ("errorCode", To::Text("api.response.error")),
    ("errorMessage", To::Text("api.response.error_message")),
];

const SIGNED_IN: Rows = &[
    ("eventSource", To::Text("service.name")),
    ("userIdentity.userName", To::Text("user.name")),
    ("userIdentity.type", To::Text("user.type")),
    ("userIdentity.principalId", To::Text("user.uid")),
    ("userIdentity.arn", To::Text("user.uid_alt")),
    ("userIdentity.accountId", To::Text("user.account.uid")),
];

paths! {
    time = "eventTime";
    event_name = "eventName";
    error_code = "errorCode";
    read_only = "readOnly";
    resource_arn = "resources.ARN";
    sign_in = "responseElements.ConsoleLogin";
    mfa = "additionalEventData.MFAUsed";
    arn = "userIdentity.arn";
    identity = "userIdentity.type";

    status_id = "status_id";
    provider = "cloud.provider";
    profiles = "metadata.profiles[]";
    actor_name = "actor.user.name";
    actor_uid = "actor.user.uid";
    invoked_by = "actor.invoked_by";
    user_name = "user.name";
    src_ip = "src_endpoint.ip";
    src_host = "src_endpoint.hostname";
    resource = "resources[].uid";
    is_mfa = "is_mfa";
    is_remote = "is_remote";
}

/// Maps a record.
pub(super) fn map(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.time(paths.time);
    mapper.put(paths.provider, "AWS");
    mapper.put(paths.profiles, "cloud");
    let name = mapper.record.fields.text(paths.event_name).unwrap_or_default();
    if name == "ConsoleLogin" {
        sign_in(mapper);
    } else {
        call(mapper, name);
    }
    if !mapper.has(paths.src_ip) {
        mapper.default(paths.src_host, "unknown");
    }
}

fn sign_in(mapper: &mut Mapper<'_>) {
    let paths = &*PATHS;
    mapper.class(ocsf::AUTHENTICATION, 1);
    mapper.apply(&SIGN_IN);
    let failed = mapper.take_text(paths.sign_in).is_some_and(|result| result != "Success");
    mapper.put(paths.status_id, if failed { 2_i64 } else { 1 });
    let mfa = mapper.take_text(paths.mfa).map(|used| used == "Yes");
    if let Some(mfa) = mfa {
        mapper.put(paths.is_mfa, mfa);
    }
    mapper.put(paths.is_remote, true);
    let root = mapper.record.fields.text(paths.identity) == Some("Root");
    mapper.default(paths.user_name, if root { "root" } else { "unknown" });
}

fn call(mapper: &mut Mapper<'_>, name: &str) {
    let paths = &*PATHS;
    mapper.class(ocsf::API_ACTIVITY, activity(name));
    mapper.apply(&API);
    mapper.used(paths.read_only);
    let failed = mapper.record.fields.text(paths.error_code).is_some();
    mapper.put(paths.status_id, if failed { 2_i64 } else { 1 });
    if !mapper.has(paths.actor_name) {
        // The last part of the name: the session of an assumed role.
        let name = mapper.record.fields.text(paths.arn).and_then(|arn| arn.rsplit(['/', ':']).next());
        match name {
            Some(name) => mapper.put(paths.actor_name, name),
            None if !mapper.has(paths.actor_uid) => mapper.default(paths.invoked_by, "unknown"),
            None => {}
        }
    }
    let resources: Vec<_> =
        mapper.record.fields.get_all(paths.resource_arn).map(|arn| arn.to_text()).collect();
    for resource in resources {
        mapper.used(paths.resource_arn);
        mapper.put(paths.resource, resource.as_ref());
    }
}

/// `activity_id` of API Activity by the verb that the name of the call begins with.
fn activity(name: &str) -> u32 {
    const VERBS: [(u32, &[&str]); 4] = [
        (
            1,
            &[
                "Create", "Run", "Add", "Allocate", "Import", "Register", "Copy", "Request", "Generate",
                "Issue",
            ],
        ),
        (
            2,
            &[
                "Get", "Describe", "List", "Head", "Lookup", "Search", "Query", "Scan", "BatchGet",
                "Decrypt", "View",
            ],
        ),
        (
            3,
            &[
                "Update",
                "Put",
                "Modify",
                "Set",
                "Attach",
                "Detach",
                "Associate",
                "Disassociate",
                "Enable",
                "Disable",
                "Start",
                "Stop",
                "Change",
                "Replace",
                "Reset",
                "Tag",
                "Untag",
                "Authorize",
                "Revoke",
                "Reboot",
            ],
        ),
        (4, &["Delete", "Remove", "Terminate", "Deregister", "Release", "Purge", "Cancel", "Leave"]),
    ];
    VERBS.iter().find(|(_, verbs)| verbs.iter().any(|verb| name.starts_with(verb))).map_or(99, |(id, _)| *id)
}
