//! The events: recorded attacks, and a mix that is nearly all benign.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Map, Value as Json, json};
use wanglou_ingest::{Catalog, ReadLimits, Reader, RecordSink, discover};
use wanglou_model::Record;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The table of products.
pub fn catalog() -> Result<Arc<Catalog>> {
    Ok(Arc::new(Catalog::from_yaml(&std::fs::read_to_string(root().join("content/products.yaml"))?)?))
}

/// The logsource that an event is tagged with for the peer, which has no routing of its own.
pub type Tag = (&'static str, &'static str, &'static str);

/// Events of Windows event files, flattened: one JSON object a line, all fields at the top.
pub fn flattened(folder: &Path) -> Result<Vec<String>> {
    let reader = Reader::new(catalog()?, ReadLimits::default());
    let mut lines = Lines::default();
    for input in discover(&[folder.to_owned()]).inputs {
        reader.read(&input, &mut lines);
    }
    Ok(lines.0)
}

#[derive(Default)]
struct Lines(Vec<String>);

impl RecordSink for Lines {
    fn record(&mut self, _: &Arc<str>, _: u64, record: &Record) -> ControlFlow<()> {
        let mut object = Map::new();
        for (name, value) in record.fields.iter_named() {
            let name = match name.strip_prefix("Event.") {
                Some(name) => match name.split_once('.') {
                    Some(("System", name)) => name.replace('.', "_"),
                    Some(("EventData", name)) => name.to_owned(),
                    Some((_, name)) => name.rsplit('.').next().unwrap_or(name).to_owned(),
                    None => name.to_owned(),
                },
                None => name.to_owned(),
            };
            match object.get_mut(&name) {
                None => _ = object.insert(name, value.to_json()),
                Some(Json::Array(list)) => list.push(value.to_json()),
                Some(first) => *first = Json::Array(vec![first.take(), value.to_json()]),
            }
        }
        // The peer has no field mapping here; both sides get the names that rules use.
        if object.get("EventID") == Some(&json!(4688)) {
            for (from, to) in [("NewProcessName", "Image"), ("ParentProcessName", "ParentImage")] {
                if let Some(value) = object.get(from).cloned() {
                    object.entry(to).or_insert(value);
                }
            }
        }
        self.0.push(Json::Object(object).to_string());
        ControlFlow::Continue(())
    }
}

/// The one logsource that fits an event best, as `flat.py` of the peer's own measurements tags them.
pub fn tag(event: &Json) -> Tag {
    let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
    let id = event.get("EventID").and_then(Json::as_i64).unwrap_or(0);
    match text("_path") {
        "http" => return ("zeek", "http", "webserver"),
        "dns" => return ("zeek", "dns", "dns"),
        _ => {}
    }
    if text("Provider_Name") == "Linux-Sysmon" {
        let category = match id {
            1 => "process_creation",
            3 => "network_connection",
            11 => "file_event",
            _ => "",
        };
        return ("linux", "sysmon", category);
    }
    let sysmon = [
        "",
        "process_creation",
        "file_change",
        "network_connection",
        "sysmon_status",
        "process_termination",
        "driver_load",
        "image_load",
        "create_remote_thread",
        "raw_access_thread",
        "process_access",
        "file_event",
        "registry_event",
        "registry_set",
        "registry_rename",
        "create_stream_hash",
        "sysmon_status",
        "pipe_created",
        "pipe_created",
        "wmi_event",
        "wmi_event",
        "wmi_event",
        "dns_query",
        "file_delete",
        "clipboard_change",
        "process_tampering",
        "file_delete",
        "file_block_executable",
        "file_block_shredding",
        "file_executable_detected",
    ];
    match (text("Channel"), id) {
        ("Microsoft-Windows-Sysmon/Operational", 12) => match text("EventType") {
            "CreateKey" => ("windows", "sysmon", "registry_add"),
            "DeleteKey" | "DeleteValue" => ("windows", "sysmon", "registry_delete"),
            _ => ("windows", "sysmon", "registry_event"),
        },
        ("Microsoft-Windows-Sysmon/Operational", id) => {
            let category = usize::try_from(id).ok().and_then(|id| sysmon.get(id)).copied();
            ("windows", "sysmon", category.unwrap_or_default())
        }
        ("Security", 4688) => ("windows", "security", "process_creation"),
        ("Security", _) => ("windows", "security", ""),
        ("System", _) => ("windows", "system", ""),
        ("Application", _) => ("windows", "application", ""),
        ("Microsoft-Windows-PowerShell/Operational", 4103) => ("windows", "powershell", "ps_module"),
        ("Microsoft-Windows-PowerShell/Operational", 4104) => ("windows", "powershell", "ps_script"),
        ("Windows PowerShell", 400) => ("windows", "powershell-classic", "ps_classic_start"),
        ("Windows PowerShell", 600) => ("windows", "powershell-classic", "ps_classic_provider_start"),
        ("Windows PowerShell", _) => ("windows", "powershell-classic", ""),
        ("Microsoft-Windows-Windows Defender/Operational", _) => ("windows", "windefend", ""),
        ("Microsoft-Windows-TaskScheduler/Operational", _) => ("windows", "taskscheduler", ""),
        ("Microsoft-Windows-Bits-Client/Operational", _) => ("windows", "bits-client", ""),
        ("Microsoft-Windows-WMI-Activity/Operational", _) => ("windows", "wmi", ""),
        ("Microsoft-Windows-WinRM/Operational", _) => ("windows", "winrm", ""),
        ("Microsoft-Windows-NTLM/Operational", _) => ("windows", "ntlm", ""),
        ("Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", _) => {
            ("windows", "terminalservices-localsessionmanager", "")
        }
        _ => ("windows", "other", ""),
    }
}

/// A mix of ordinary events of Windows, Linux, web and DNS, with one recorded attack in forty.
pub fn mix(attacks: &[String], count: usize) -> Result<Vec<String>> {
    let mut random = Random(0x5eed);
    let mut lines = Vec::with_capacity(count);
    for number in 0..count {
        if number % 40 == 39 {
            lines.push(random.of(attacks).clone());
            continue;
        }
        let event = ordinary(&mut random, number);
        lines.push(event.to_string());
    }
    lines.first().context("no events")?;
    Ok(lines)
}

fn ordinary(random: &mut Random, number: usize) -> Json {
    const USERS: [&str; 6] = ["zhang.wei", "li.na", "wang.fang", "SYSTEM", "NETWORK SERVICE", "svc-backup"];
    const SERVICES: &str = r"C:\Windows\System32\services.exe";
    const SHELL: &str = r"C:\Windows\explorer.exe";
    const PROGRAMS: [(&str, &str, &str); 7] = [
        (
            r"C:\Windows\System32\svchost.exe",
            r"C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule -",
            SERVICES,
        ),
        (
            r"C:\Program Files\Google\Chrome\Application\chrome.exe",
            r#""C:\Program Files\Google\Chrome\Application\chrome.exe" --type=renderer --lang=zh-CN --renderer-client-id="#,
            SHELL,
        ),
        (
            r"C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE",
            r#""C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE" "D:\公文\统计表.xlsx" #"#,
            SHELL,
        ),
        (
            r"C:\Windows\System32\backgroundTaskHost.exe",
            r#""C:\Windows\system32\backgroundTaskHost.exe" -ServerName:CortanaUI.AppX"#,
            r"C:\Windows\System32\svchost.exe",
        ),
        (
            r"C:\Program Files\WPS Office\wps.exe",
            r#""C:\Program Files\WPS Office\wps.exe" /prometheus /open "#,
            SHELL,
        ),
        (
            r"C:\Windows\System32\taskhostw.exe",
            r"taskhostw.exe /RuntimeWide ",
            r"C:\Windows\System32\svchost.exe",
        ),
        (
            r"C:\Program Files (x86)\Tencent\WeChat\WeChat.exe",
            r#""C:\Program Files (x86)\Tencent\WeChat\WeChat.exe" -autorun "#,
            SHELL,
        ),
    ];
    const HOSTS: [&str; 6] = [
        "www.gov.cn",
        "update.microsoft.com",
        "oa.city.example",
        "time.windows.com",
        "mirrors.example.cn",
        "cdn.example.net",
    ];
    const PAGES: [&str; 6] = [
        "/",
        "/portal/index.html",
        "/static/js/app.js",
        "/api/v1/items?page=",
        "/search?q=%E5%85%AC%E5%91%8A&n=",
        "/images/banner.png",
    ];
    const COMMANDS: [(&str, &str); 6] = [
        ("/usr/bin/sed", "sed -n 1p /opt/app/config.yml"),
        ("/usr/sbin/sshd", "/usr/sbin/sshd -D -R"),
        ("/usr/bin/python3", "/usr/bin/python3 /opt/app/manage.py runserver"),
        ("/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd --user"),
        ("/usr/bin/nginx", "nginx: worker process"),
        ("/usr/sbin/cron", "/usr/sbin/CRON -f"),
    ];
    let user = *random.of(&USERS);
    let (image, command, parent) = *random.of(&PROGRAMS);
    let computer = format!("PC{:03}.city.local", random.below(400));
    let pid = random.below(20_000);
    let guid = format!(
        "{{b5ae5c3d-{:04x}-{:04x}-0000-{:012x}}}",
        random.below(65_536),
        random.below(65_536),
        number
    );
    let time = format!(
        "2026-08-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1_000)
    );
    let ip = format!("10.{}.{}.{}", random.below(64), random.below(256), 1 + random.below(254));
    let sysmon = |id: u32, fields: Json| {
        let mut event = json!({
            "Provider_Name": "Microsoft-Windows-Sysmon", "Provider_Guid": "5770385F-C22A-43E0-BF4C-06F5698FFBD9",
            "EventID": id, "Version": 5, "Level": 4, "Task": id, "Opcode": 0, "Keywords": "0x8000000000000000",
            "TimeCreated_SystemTime": time, "EventRecordID": number, "Execution_ProcessID": 2764,
            "Execution_ThreadID": 3300, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": computer,
            "Security_UserID": "S-1-5-18", "RuleName": "-", "UtcTime": time, "ProcessGuid": guid,
            "ProcessId": pid, "Image": image, "User": format!(r"CITY\{user}"),
        });
        if let (Json::Object(event), Json::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        event
    };
    match random.below(100) {
        0..15 => sysmon(
            1,
            json!({
                "FileVersion": "10.0.19041.1", "Description": "Host Process", "Product": "Windows", "Company": "Vendor",
                "OriginalFileName": image.rsplit('\\').next(), "CommandLine": format!("{command}{}", random.below(3_000)),
                "CurrentDirectory": r"C:\Windows\system32\", "LogonId": "0x3e7", "TerminalSessionId": 1,
                "IntegrityLevel": "Medium", "Hashes": format!("SHA1={:040X},MD5={:032X}", random.next(), random.next()),
                "ParentProcessGuid": guid, "ParentProcessId": pid, "ParentImage": parent, "ParentCommandLine": parent,
            }),
        ),
        15..25 => sysmon(
            3,
            json!({
                "Image": PROGRAMS[1].0, "Protocol": "tcp", "Initiated": "true", "SourceIsIpv6": "false", "SourceIp": ip, "SourcePort": 50_000 + random.below(9_000),
                "SourceHostname": computer, "DestinationIp": "203.0.113.9", "DestinationPort": 443, "DestinationHostname": random.of(&HOSTS),
            }),
        ),
        25..40 => sysmon(
            7,
            json!({
                "ImageLoaded": format!(r"C:\Windows\System32\{}.dll", ["ntdll", "kernel32", "user32", "combase", "shlwapi"][random.below(5)]),
                "Signed": "true", "Signature": "Microsoft Windows", "SignatureStatus": "Valid",
                "Hashes": format!("SHA1={:040X}", random.next()),
            }),
        ),
        40..48 => sysmon(
            11,
            json!({
                "TargetFilename": format!(r"C:\Users\{user}\AppData\Local\Temp\~DF{:08X}.TMP", random.next() as u32), "CreationUtcTime": time,
            }),
        ),
        48..56 => sysmon(
            13,
            json!({
                "EventType": "SetValue", "TargetObject": format!(r"HKLM\System\CurrentControlSet\Services\bam\State\UserSettings\S-1-5-21-{}\{image}", random.below(9_999)),
                "Details": "Binary Data",
            }),
        ),
        56..62 => sysmon(
            22,
            json!({ "QueryName": random.of(&HOSTS), "QueryStatus": "0", "QueryResults": "::ffff:203.0.113.9;" }),
        ),
        62..72 => json!({
            "Provider_Name": "Microsoft-Windows-Security-Auditing", "EventID": 4624, "Level": 0, "Task": 12544, "Keywords": "0x8020000000000000",
            "TimeCreated_SystemTime": time, "EventRecordID": number, "Channel": "Security", "Computer": computer,
            "SubjectUserSid": "S-1-5-18", "SubjectUserName": "SYSTEM", "TargetUserName": user, "TargetDomainName": "CITY",
            "LogonType": 3, "LogonProcessName": "Kerberos", "AuthenticationPackageName": "Kerberos", "WorkstationName": computer,
            "ProcessName": "-", "IpAddress": ip, "IpPort": 50_000 + random.below(9_000), "ImpersonationLevel": "%%1833",
        }),
        72..80 => {
            let (image, command) = *random.of(&COMMANDS);
            json!({
                "Provider_Name": "Linux-Sysmon", "EventID": 1, "Channel": "Linux-Sysmon/Operational", "Computer": "app02", "Level": 4,
                "TimeCreated_SystemTime": time, "EventRecordID": number, "UtcTime": time, "ProcessGuid": guid, "ProcessId": pid,
                "Image": image, "CommandLine": command, "CurrentDirectory": "/", "User": "www-data", "LogonId": 0,
                "ParentImage": "/usr/lib/systemd/systemd", "ParentCommandLine": "/sbin/init", "ParentProcessId": 1,
            })
        }
        80..92 => {
            let page = format!("{}{}", random.of(&PAGES), random.below(1_000));
            json!({
                "_path": "http", "ts": 1_786_000_000.5 + number as f64, "uid": format!("C{:016x}", random.next()), "id.orig_h": ip,
                "id.orig_p": 51_000, "id.resp_h": "10.1.1.8", "id.resp_p": 80, "method": "GET", "host": random.of(&HOSTS), "uri": page,
                "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
                "status_code": 200, "request_body_len": 0, "response_body_len": 4_096, "resp_mime_types": ["text/html"],
                "cs-method": "GET", "cs-uri-query": page, "cs-uri-stem": page, "sc-status": 200,
                "cs-user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            })
        }
        _ => json!({
            "_path": "dns", "ts": 1_786_000_000.5 + number as f64, "uid": format!("C{:016x}", random.next()), "id.orig_h": ip, "id.orig_p": 53_000,
            "id.resp_h": "10.1.1.53", "id.resp_p": 53, "proto": "udp", "query": random.of(&HOSTS), "qtype_name": "A", "Z": 0, "rcode_name": "NOERROR",
            "answers": ["203.0.113.9"], "record_type": "A", "answer": "203.0.113.9",
        }),
    }
}

/// Splitmix: the same mix in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        let index = self.below(things.len());
        &things[index]
    }
}
