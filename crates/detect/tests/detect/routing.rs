//! One rule of each logsource family fires on a record in the shape that our decoders make, and not on the record of
//! another family: rows of (family, rule's logsource, selection, format, product, record).

use serde_json::{Value as Json, json};
use wanglou_model::Format;

use crate::support::{compiled, record, record_of, taxonomy};

#[expect(clippy::too_many_lines, reason = "a table")]
fn families() -> Vec<(&'static str, &'static str, Format, &'static str, Json)> {
    let sysmon = |id: i64, data: Json| {
        json!({"Event": {"System": {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": id,
            "Provider": {"Name": "Microsoft-Windows-Sysmon"}}, "EventData": data}})
    };
    let windows = |channel: &str, id: i64, data: Json| json!({"Event": {"System": {"Channel": channel, "EventID": id}, "EventData": data}});
    let linux_sysmon = |id: i64, data: Json| {
        json!({"Event": {"System": {"Channel": "Linux-Sysmon/Operational", "EventID": id,
            "Provider": {"Name": "Linux-Sysmon"}}, "EventData": data}})
    };
    let syslog = |app: &str, message: &str| json!({"syslog": {"app": app, "message": message, "host": "h"}});
    vec![
        (
            "{product: windows, category: image_load}",
            "{ImageLoaded|endswith: x.dll}",
            Format::Evtx,
            "",
            sysmon(7, json!({"ImageLoaded": "C:\\x.dll"})),
        ),
        (
            "{product: windows, category: network_connection}",
            "{DestinationPort: 4444}",
            Format::Evtx,
            "",
            sysmon(3, json!({"DestinationPort": 4444})),
        ),
        (
            "{product: windows, category: file_event}",
            "{TargetFilename|endswith: .hta}",
            Format::Evtx,
            "",
            sysmon(11, json!({"TargetFilename": "C:\\a.hta"})),
        ),
        (
            "{product: windows, category: registry_set}",
            "{TargetObject|contains: Run, Details: x}",
            Format::Evtx,
            "",
            sysmon(13, json!({"TargetObject": "HKLM\\Run", "Details": "x"})),
        ),
        (
            "{product: windows, category: registry_event}",
            "{TargetObject|contains: Run}",
            Format::Evtx,
            "",
            sysmon(12, json!({"TargetObject": "HKLM\\Run"})),
        ),
        (
            "{product: windows, category: pipe_created}",
            "{PipeName: '\\evil'}",
            Format::Evtx,
            "",
            sysmon(17, json!({"PipeName": "\\evil"})),
        ),
        (
            "{product: windows, category: dns_query}",
            "{QueryName|endswith: .evil.example}",
            Format::Evtx,
            "",
            sysmon(22, json!({"QueryName": "a.evil.example"})),
        ),
        (
            "{product: windows, category: process_access}",
            "{TargetImage|endswith: lsass.exe}",
            Format::Evtx,
            "",
            sysmon(10, json!({"TargetImage": "C:\\lsass.exe"})),
        ),
        (
            "{product: windows, category: wmi_event}",
            "{Operation: Created}",
            Format::Evtx,
            "",
            sysmon(19, json!({"Operation": "Created"})),
        ),
        (
            "{product: windows, category: driver_load}",
            "{ImageLoaded|endswith: x.sys}",
            Format::Evtx,
            "",
            sysmon(6, json!({"ImageLoaded": "x.sys"})),
        ),
        (
            "{product: windows, category: create_remote_thread}",
            "{TargetImage|endswith: b.exe}",
            Format::Evtx,
            "",
            sysmon(8, json!({"TargetImage": "b.exe"})),
        ),
        (
            "{product: windows, category: ps_script}",
            "{ScriptBlockText|contains: IEX}",
            Format::Evtx,
            "",
            windows("Microsoft-Windows-PowerShell/Operational", 4104, json!({"ScriptBlockText": "iex x"})),
        ),
        (
            "{product: windows, category: ps_classic_start}",
            "{Data|contains: '-enc'}",
            Format::Evtx,
            "",
            windows("Windows PowerShell", 400, json!({"Data": "powershell -enc"})),
        ),
        (
            "{product: windows, service: security}",
            "{EventID: 4625, TargetUserName: x}",
            Format::Evtx,
            "",
            windows("Security", 4625, json!({"TargetUserName": "x"})),
        ),
        (
            "{product: windows, service: taskscheduler}",
            "{TaskName|contains: evil}",
            Format::Evtx,
            "",
            windows("Microsoft-Windows-TaskScheduler/Operational", 129, json!({"TaskName": "\\evil"})),
        ),
        (
            "{product: windows, service: windefend}",
            "{EventID: 1119, SourceName: Real-Time Protection, ThreatName|endswith: EICAR_Test_File}",
            Format::Evtx,
            "",
            windows(
                "Microsoft-Windows-Windows Defender/Operational",
                1119,
                json!({"Source Name": "Real-Time Protection", "Threat Name": "Virus:DOS/EICAR_Test_File"}),
            ),
        ),
        (
            "{product: linux, category: process_creation}",
            "{Image: /bin/nc}",
            Format::Evtx,
            "",
            linux_sysmon(1, json!({"Image": "/bin/nc"})),
        ),
        (
            "{product: linux, category: network_connection}",
            "{DestinationPort: 4444}",
            Format::Evtx,
            "",
            linux_sysmon(3, json!({"DestinationPort": 4444})),
        ),
        (
            "{product: linux, category: file_event}",
            "{TargetFilename: /etc/cron.d/x}",
            Format::Auditd,
            "",
            json!({"type": ["SYSCALL", "PATH"], "PATH": {"name": "/etc/cron.d/x", "nametype": "CREATE"}}),
        ),
        (
            "{product: linux, service: auditd}",
            "{type: USER_AUTH}",
            Format::Auditd,
            "",
            json!({"type": "USER_AUTH"}),
        ),
        (
            "{product: linux, service: auth}",
            "[authentication failure]",
            Format::Syslog,
            "",
            syslog("sshd", "pam: authentication failure"),
        ),
        (
            "{product: linux, service: sudo}",
            "['COMMAND=/bin/sh']",
            Format::Syslog,
            "",
            syslog("sudo", "x : COMMAND=/bin/sh"),
        ),
        (
            "{product: linux, service: cron}",
            "[REPLACE]",
            Format::Syslog,
            "",
            syslog("crond", "(root) REPLACE (root)"),
        ),
        (
            "{product: linux, service: clamav}",
            "['FOUND']",
            Format::Syslog,
            "",
            syslog("clamd", "x: Eicar FOUND"),
        ),
        ("{service: apache}", "['__import__']", Format::Syslog, "", syslog("apache2", "error __import__")),
        ("{service: nginx}", "[segfault]", Format::Syslog, "", syslog("nginx", "worker segfault")),
        (
            "{category: webserver}",
            "{cs-uri-query|contains: select, cs-method: GET}",
            Format::Zeek,
            "",
            json!({"_path": "http", "uri": "/?q=select", "method": "GET"}),
        ),
        (
            "{category: webserver}",
            "{cs-uri-query|contains: select}",
            Format::ModSecurity,
            "",
            json!({"request": {"uri": "/?q=select"}}),
        ),
        (
            "{category: proxy}",
            "{c-useragent|contains: sqlmap, r-dns: evil.example}",
            Format::SuricataEve,
            "",
            json!({"event_type": "http", "http": {"url": "/", "http_user_agent": "sqlmap", "hostname": "evil.example"}}),
        ),
        (
            "{category: dns}",
            "{query|endswith: .evil.example}",
            Format::Zeek,
            "",
            json!({"_path": "dns", "query": "a.evil.example"}),
        ),
        (
            "{category: firewall}",
            "{dst_port: 4444}",
            Format::SuricataEve,
            "",
            json!({"event_type": "flow", "dest_port": 4444}),
        ),
        (
            "{category: firewall}",
            "{dst_ip: 10.0.0.9}",
            Format::Evtx,
            "",
            windows("Security", 5156, json!({"DestAddress": "10.0.0.9"})),
        ),
        (
            "{product: zeek, service: smb_files}",
            "{name|endswith: .exe}",
            Format::Zeek,
            "",
            json!({"_path": "smb_files", "name": "a.exe"}),
        ),
        (
            "{product: zeek, service: dce_rpc}",
            "{operation: x}",
            Format::Zeek,
            "",
            json!({"_path": "dce_rpc", "operation": "x"}),
        ),
        (
            "{product: suricata, service: alert}",
            "{alert.signature|contains: ET}",
            Format::SuricataEve,
            "",
            json!({"event_type": "alert", "alert": {"signature": "ET x"}}),
        ),
        (
            "{product: cisco, service: aaa}",
            "['no dot1x port-control']",
            Format::Syslog,
            "",
            syslog("", "%PARSER-5-CFGLOG_LOGGEDCMD: User:x logged command:no dot1x port-control"),
        ),
        (
            "{product: cisco, service: bgp}",
            "[':179']",
            Format::Syslog,
            "",
            syslog("", "%TCP-6-BADAUTH: BGP Invalid MD5 from 10.0.0.1:179"),
        ),
        (
            "{product: huawei, service: bgp}",
            "[':179']",
            Format::Syslog,
            "",
            syslog("", "BGP/3 peer 10.0.0.1:179"),
        ),
        (
            "{product: juniper, service: bgp}",
            "[':179']",
            Format::Syslog,
            "",
            syslog("rpd", "bgp_recv 10.0.0.1:179"),
        ),
        (
            "{product: aws, service: cloudtrail}",
            "{eventSource: iam.amazonaws.com, userIdentity.type: Root}",
            Format::CloudTrail,
            "",
            json!({"eventSource": "iam.amazonaws.com", "userIdentity": {"type": "Root"}}),
        ),
        (
            "{product: azure, service: activitylogs}",
            "{operationName|startswith: MICROSOFT.KEYVAULT}",
            Format::Json,
            "",
            json!({"operationName": "Microsoft.KeyVault/vaults/delete", "resourceId": "/x"}),
        ),
        (
            "{product: azure, service: signinlogs}",
            "{ResultType: 50057, properties.message: x}",
            Format::Json,
            "",
            json!({"category": "SignInLogs", "resultType": "50057", "properties": {"message": "x"}}),
        ),
        (
            "{product: azure, service: auditlogs}",
            "{Category: RoleManagement}",
            Format::Json,
            "",
            json!({"category": "AuditLogs", "properties": {"category": "RoleManagement"}}),
        ),
        (
            "{product: m365, service: exchange}",
            "{eventName: New-InboxRule}",
            Format::Json,
            "",
            json!({"Workload": "Exchange", "Operation": "New-InboxRule"}),
        ),
        (
            "{product: gcp, service: gcp.audit}",
            "{gcp.audit.method_name|contains: delete}",
            Format::Json,
            "",
            json!({"protoPayload": {"serviceName": "x", "methodName": "v1.delete"}}),
        ),
        (
            "{product: gcp, service: google_workspace.admin}",
            "{eventName: CREATE_ROLE}",
            Format::Json,
            "",
            json!({"protoPayload": {"serviceName": "admin.googleapis.com", "methodName": "CREATE_ROLE"}}),
        ),
        (
            "{product: okta, service: okta}",
            "{eventType: user.session.start}",
            Format::Json,
            "",
            json!({"eventType": "user.session.start", "actor": {"alternateId": "a"}}),
        ),
        (
            "{product: onelogin, service: onelogin.events}",
            "{event_type_id: 3}",
            Format::Json,
            "",
            json!({"event_type_id": 3}),
        ),
        (
            "{product: github, service: audit}",
            "{action: repo.destroy}",
            Format::Json,
            "",
            json!({"action": "repo.destroy", "actor": "a", "_document_id": "d"}),
        ),
        (
            "{product: bitbucket, service: audit}",
            "{auditType.action: x}",
            Format::Json,
            "",
            json!({"auditType": {"action": "x"}}),
        ),
        (
            "{product: kubernetes, category: application, service: audit}",
            "{hostPath: /, verb: create}",
            Format::KubernetesAudit,
            "",
            json!({"verb": "create", "requestObject": {"spec": {"volumes": [{"hostPath": {"path": "/"}}]}}}),
        ),
        (
            "{category: application, product: opencanary}",
            "{logtype: 4002}",
            Format::Json,
            "",
            json!({"logtype": 4002, "node_id": "n"}),
        ),
        (
            "{category: application, product: django}",
            "[SuspiciousOperation]",
            Format::Syslog,
            "",
            syslog("gunicorn", "SuspiciousOperation raised"),
        ),
        ("{category: database}", "[xp_cmdshell]", Format::Syslog, "", syslog("sqlservr", "exec xp_cmdshell")),
        ("{category: antivirus}", "['FOUND']", Format::Syslog, "", syslog("clamscan", "x FOUND")),
        (
            "{product: macos, category: process_creation}",
            "{Image|endswith: /osascript}",
            Format::Json,
            "",
            json!({"os": {"type": "macos"}, "Image": "/usr/bin/osascript"}),
        ),
        (
            "{product: fortigate, service: event}",
            "{action: Delete}",
            Format::Json,
            "fortigate",
            json!({"action": "delete"}),
        ),
    ]
}

#[test]
fn a_rule_of_each_family_fires_on_its_own_records_alone() {
    let taxonomy = taxonomy();
    let mut wrong = Vec::new();
    for (logsource, selection, format, product, fields) in families() {
        let rule = format!("title: t\nlogsource: {logsource}\ndetection: {{s: {selection}, condition: s}}\n");
        let compilation = compiled(&[&rule], &taxonomy);
        if !compilation.diagnostics.is_empty() {
            wrong.push(format!("{logsource} {selection}: {}", compilation.diagnostics[0]));
            continue;
        }
        let engine = compilation.engine;
        let made =
            if product.is_empty() { record(format, &fields) } else { record_of(product, format, &fields) };
        let mut scratch = engine.scratch();
        if engine.evaluate(&made, &mut scratch).len() != 1 {
            wrong.push(format!("{logsource} {selection} does not fire on {fields}"));
        }
        // The same fields in a record that is nothing in particular.
        let other = record(Format::Json, &json!({"unrelated": fields}));
        if !engine.evaluate(&other, &mut scratch).is_empty() {
            wrong.push(format!("{logsource} {selection} fires on any record"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
