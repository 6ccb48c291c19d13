//! Invented telemetry of a city's bureau, for measuring: raw lines as devices write them, the same ones every time.
//!
//! Shares and shapes follow what such places collect (flows, web access, DNS, processes, logons), values what they look
//! like: few hosts and users, many clients, a long tail, counters and session ids that never repeat.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// An address that occurs once in all telemetry.
pub(super) const RARE_ADDRESS: &str = "198.18.7.77";
/// A word that stands in about every fiftieth event.
pub(super) const COMMON_WORD: &str = "登录失败";
/// A word that stands in about one event of a hundred thousand.
pub(super) const RARE_WORD: &str = "勒索病毒";

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/95.0.4638.69 Safari/537.36 QIHU 360SE",
    "Mozilla/5.0 (Linux; Android 14; HarmonyOS) AppleWebKit/537.36 MicroMessenger/8.0.49 Mobile Safari/537.36",
    "python-requests/2.32.3",
    "curl/8.5.0",
];
const PAGES: [&str; 8] = [
    "/portal/index.html",
    "/api/v1/todo/list",
    "/static/js/app.js",
    "/oa/document/view",
    "/login",
    "/share/catalog/query",
    "/admin/user/edit",
    "/upload",
];
const IMAGES: [&str; 6] = [
    r"C:\\Windows\\System32\\svchost.exe",
    r"C:\\Windows\\System32\\cmd.exe",
    r"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
    r"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    r"C:\\Program Files\\WPS Office\\wps.exe",
    r"C:\\Windows\\System32\\conhost.exe",
];
const USERS: [&str; 8] =
    ["zhangwei", "wangfang", "lina", "liuyang", "svc_backup", "administrator", "王五", "root"];
const DOMAINS: [&str; 6] =
    ["gov.cn", "oa.city.gov.cn", "update.microsoft.com", "weixin.qq.com", "cdn.example.net", "aliyuncs.com"];

/// Makes lines.
pub(super) struct Traffic {
    random: u64,
    made: u64,
    /// The rare address has been.
    rare_told: bool,
}

impl Traffic {
    pub(super) const fn new() -> Self {
        Self { random: 0x9E37_79B9_7F4A_7C15, made: 0, rare_told: false }
    }

    /// A line at an instant.
    pub(super) fn line(&mut self, at_micros: i64) -> Bytes {
        self.made += 1;
        let time = Timestamp::from_microsecond(at_micros).unwrap_or_default();
        let line = match self.below(100) {
            0..38 => self.flow(time),
            38..62 => self.access(time),
            62..80 => self.dns(time),
            80..92 => self.process(time),
            _ => self.logon(time),
        };
        Bytes::from(line)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Small numbers far more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (unit * unit * unit * end as f64) as u64
    }

    fn one_of(&mut self, list: &[&'static str]) -> &'static str {
        let index = usize::try_from(self.skewed(list.len() as u64)).unwrap_or_default();
        list.get(index).copied().unwrap_or_default()
    }

    fn inside(&mut self) -> String {
        let host = self.skewed(6_000);
        format!("10.{}.{}.{}", 10 + host / 2_000, (host / 200) % 250, 2 + host % 200)
    }

    fn outside(&mut self) -> String {
        if self.made >= 300_000 && !self.rare_told {
            self.rare_told = true;
            return RARE_ADDRESS.to_owned();
        }
        let host = self.skewed(400_000);
        if host.is_multiple_of(9) {
            return format!("2001:db8:{:x}:{:x}::{:x}", host / 4_000, host % 4_000, 1 + host % 250);
        }
        format!("{}.{}.{}.{}", 11 + host % 190, (host / 7) % 256, (host / 1_600) % 256, 1 + host % 250)
    }

    fn bytes(&mut self) -> u64 {
        let scale = 6 + self.skewed(16);
        (1 << scale) + self.below(1 << scale)
    }

    fn flow(&mut self, time: Timestamp) -> String {
        let time = zoned(time, "%Y-%m-%dT%H:%M:%S%.6f%z");
        let (from, to) = (self.inside(), self.outside());
        let port = [443, 80, 53, 3306, 8080, 445].get(self.skewed(6) as usize).copied().unwrap_or(443_u64);
        format!(
            r#"{{"timestamp":"{time}","flow_id":{},"in_iface":"ens192","event_type":"flow","src_ip":"{from}","src_port":{},"dest_ip":"{to}","dest_port":{port},"proto":"TCP","app_proto":"{}","flow":{{"pkts_toserver":{},"pkts_toclient":{},"bytes_toserver":{},"bytes_toclient":{},"start":"{time}","age":{},"state":"closed","reason":"timeout","alerted":false}},"community_id":"1:{:016x}{:08x}=","tcp":{{"tcp_flags":"1b","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed"}}}}"#,
            self.next() >> 12,
            1_024 + self.below(64_000),
            if port == 443 { "tls" } else { "http" },
            3 + self.skewed(400),
            3 + self.skewed(900),
            self.bytes(),
            self.bytes(),
            self.skewed(600),
            self.next(),
            self.next() as u32,
        )
    }

    fn access(&mut self, time: Timestamp) -> String {
        let time = zoned(time, "%d/%b/%Y:%H:%M:%S %z");
        let code = [200, 304, 302, 404, 403, 500].get(self.skewed(6) as usize).copied().unwrap_or(200);
        let mut query = String::new();
        if self.below(3) == 0 {
            _ = write!(query, "?id={}&token={:016x}", self.below(1_000_000), self.next());
        }
        format!(
            r#"{} - - [{time}] "{} {}{query} HTTP/1.1" {code} {} "https://oa.city.gov.cn/" "{}""#,
            self.outside(),
            if self.below(5) == 0 { "POST" } else { "GET" },
            self.one_of(&PAGES),
            self.bytes(),
            self.one_of(&AGENTS),
        )
    }

    fn dns(&mut self, time: Timestamp) -> String {
        let time = zoned(time, "%Y-%m-%dT%H:%M:%S%.6f%z");
        let name = format!("h{}.{}", self.skewed(30_000), self.one_of(&DOMAINS));
        format!(
            r#"{{"timestamp":"{time}","flow_id":{},"in_iface":"ens192","event_type":"dns","src_ip":"{}","src_port":{},"dest_ip":"10.10.0.2","dest_port":53,"proto":"UDP","dns":{{"type":"query","id":{},"rrname":"{name}","rrtype":"{}","tx_id":{}}}}}"#,
            self.next() >> 12,
            self.inside(),
            1_024 + self.below(64_000),
            self.below(65_536),
            if self.below(4) == 0 { "AAAA" } else { "A" },
            self.below(4),
        )
    }

    fn process(&mut self, time: Timestamp) -> String {
        let utc = time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        let host = self.skewed(900);
        let made = self.made;
        let (image, parent, user) = (self.one_of(&IMAGES), self.one_of(&IMAGES), self.one_of(&USERS));
        format!(
            r#"{{"@timestamp":"{}","winlog":{{"channel":"Microsoft-Windows-Sysmon/Operational","provider_name":"Microsoft-Windows-Sysmon","event_id":"1","record_id":{},"computer_name":"PC-{host:04}.city.local","event_data":{{"UtcTime":"{utc}","ProcessGuid":"{{{:08x}-{:04x}-{:04x}-{:012x}}}","ProcessId":"{}","Image":"{image}","CommandLine":"{image} /c run --job {} --session {:08x}","CurrentDirectory":"C:\\Windows\\system32\\","User":"CITY\\{user}","LogonId":"0x{:x}","IntegrityLevel":"Medium","Hashes":"SHA256={:064X}","ParentProcessId":"{}","ParentImage":"{parent}"}}}}}}"#,
            time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
            made,
            self.next() as u32,
            self.below(65_536),
            self.below(65_536),
            self.next() >> 16,
            self.below(30_000),
            self.skewed(500),
            self.next() as u32,
            self.next() >> 40,
            self.skewed(4_000),
            self.below(30_000),
        )
    }

    fn logon(&mut self, time: Timestamp) -> String {
        let stamp = zoned(time, "%Y-%m-%dT%H:%M:%S%.6f%:z");
        let user = self.one_of(&USERS);
        let (from, port) = (self.inside(), 1_024 + self.below(64_000));
        let host = self.skewed(200);
        match self.below(16_000) {
            0 | 1 => format!(
                "<132>{stamp} edr01 agent: 主机=PC-{host:04} 地址={from} 发现{RARE_WORD} 文件=C:\\Temp\\{:08x}.exe 处置=隔离",
                self.next() as u32
            ),
            2..4_000 => format!(
                "<134>{stamp} bastion{} audit: 用户={user} 来源={from} 端口={port} {COMMON_WORD} 原因=口令错误 会话={:012x}",
                host % 4,
                self.next() >> 16
            ),
            4_000..8_000 => format!(
                "<38>{stamp} srv{host:03} sshd[{}]: Failed password for {user} from {from} port {port} ssh2",
                self.below(30_000)
            ),
            _ => format!(
                "<38>{stamp} srv{host:03} sshd[{}]: Accepted publickey for {user} from {from} port {port} ssh2: ED25519 SHA256:{:016x}{:016x}",
                self.below(30_000),
                self.next(),
                self.next()
            ),
        }
    }
}

fn zoned(time: Timestamp, form: &str) -> String {
    time.to_zoned(TimeZone::fixed(jiff::tz::offset(8))).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lines_come_every_time_and_none_twice() {
        let lines = || {
            let mut traffic = Traffic::new();
            (0..2_000).map(|n| traffic.line(1_790_000_000_000_000 + n)).collect::<Vec<_>>()
        };
        assert_eq!(lines(), lines());
        let distinct: std::collections::HashSet<_> = lines().into_iter().collect();
        assert!(distinct.len() > 1_990);
    }
}
