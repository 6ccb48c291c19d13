//! The names of fields: OCSF paths, and the short names that people guess.

use std::fmt;

/// A field as it was written, and the OCSF paths that it means. With several, one of them must fulfil the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    paths: Vec<String>,
}

/// Short names and what they mean. OCSF paths are used as they stand.
const SHORT: &[(&[&str], &[&str])] = &[
    (&["ip", "地址"], &["src_endpoint.ip", "dst_endpoint.ip", "device.ip"]),
    (&["src_ip", "srcip", "src", "源地址"], &["src_endpoint.ip"]),
    (&["dst_ip", "dstip", "dst", "dest_ip", "目的地址"], &["dst_endpoint.ip"]),
    (&["host_ip", "主机地址"], &["device.ip"]),
    (&["port", "端口"], &["src_endpoint.port", "dst_endpoint.port"]),
    (&["src_port", "srcport", "源端口"], &["src_endpoint.port"]),
    (&["dst_port", "dstport", "dest_port", "目的端口"], &["dst_endpoint.port"]),
    (&["user", "username", "用户"], &["user.name", "actor.user.name"]),
    (&["host", "hostname", "主机"], &["device.hostname", "src_endpoint.hostname", "dst_endpoint.hostname"]),
    (&["process", "进程"], &["process.name", "process.file.path"]),
    (&["parent", "父进程"], &["actor.process.file.path"]),
    (&["pid"], &["process.pid"]),
    (&["cmd", "cmdline", "cmd_line", "command", "命令行"], &["process.cmd_line"]),
    (&["hash", "sha256", "sha1", "md5", "哈希"], &["file.hashes.value", "process.file.hashes.value"]),
    (&["domain", "域名"], &["query.hostname", "http_request.url.hostname"]),
    (&["url", "网址"], &["http_request.url.url_string"]),
    (&["path", "url_path"], &["http_request.url.path"]),
    (&["method"], &["http_request.http_method"]),
    (&["agent", "user_agent"], &["http_request.user_agent"]),
    (&["code", "http_status", "状态码"], &["http_response.code"]),
    (&["file", "文件"], &["file.path", "file.name"]),
    (&["severity", "level", "级别"], &["severity"]),
    (&["source", "来源"], &["source"]),
    (&["product", "产品"], &["product"]),
    (&["class", "class_uid", "类别"], &["class_uid"]),
    (&["tenant", "租户"], &["tenant"]),
    (&["format", "格式"], &["format"]),
    (&["uid", "id"], &["uid"]),
    (&["message", "消息"], &["message"]),
];

/// The short names of each field that has some, and the OCSF paths they mean.
pub fn short_names() -> impl Iterator<Item = (&'static [&'static str], &'static [&'static str])> {
    SHORT.iter().copied()
}

impl Field {
    /// The field of a name: a short one, or an OCSF path, in which `[]` may be left out.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known =
            SHORT.iter().find(|(names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let paths = match known {
            Some((_, paths)) => paths.iter().map(|path| (*path).to_owned()).collect(),
            None => vec![name.replace("[]", "")],
        };
        Self { name: name.to_owned(), paths }
    }

    /// The name as it was written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The OCSF paths it means.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Whether a text before a colon can be meant as a field: letters of other alphabets only in short names, so that
    /// `错误：超时` is text.
    pub(super) fn is_name(text: &str) -> bool {
        let mut characters = text.chars();
        let begins = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
        (begins && characters.all(goes_on)) || SHORT.iter().any(|(names, _)| names.contains(&text))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
