//! Values that the audit system writes as numbers or hex.
//!
//! Text that a process can choose is written in quotes, or in upper-case hex where it holds a quote, a space or a
//! control character (kernel: `audit_log_untrustedstring`). Which fields are such text is a list of names, as in
//! auparse's `typetab`.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// Fields of text that a process chooses, whatever the record's type.
const UNTRUSTED: [&str; 25] = [
    "acct",
    "cmd",
    "comm",
    "cwd",
    "data",
    "device",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new-chardev",
    "new-disk",
    "new-fs",
    "new-rng",
    "new_group",
    "ocomm",
    "old-disk",
    "path",
    "proctitle",
    "root_dir",
    "sw",
    "vm",
    "watch",
];

/// The text of a hex-encoded value; `None` where the value is not encoded.
pub(super) fn decode<'a>(kind: &str, key: &str, value: &'a str) -> Option<Cow<'a, str>> {
    let is_argument = || kind == "EXECVE" && key.strip_prefix('a').is_some_and(|n| n.parse::<u32>().is_ok());
    if !UNTRUSTED.contains(&key) && !is_argument() {
        return None;
    }
    let bytes = from_hex(value)?;
    if key == "path" && kind == "SOCKADDR" {
        return None;
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    // The arguments in a process title are separated by NUL.
    Some(if key == "proctitle" { text.trim_end_matches('\0').replace('\0', " ") } else { text }.into())
}

/// The bytes of upper-case hex.
fn from_hex(value: &str) -> Option<Vec<u8>> {
    let is_hex = value.len() >= 2 && value.len().is_multiple_of(2);
    if !is_hex || !value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')) {
        return None;
    }
    let digit = |b: u8| if b.is_ascii_digit() { b - b'0' } else { b - b'A' + 10 };
    Some(
        value
            .as_bytes()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[high, low]| digit(*high) << 4 | digit(*low))
            .collect(),
    )
}

/// The machine of an `arch` value (an ELF machine number with flags for 64 bits and byte order).
pub(super) fn arch(value: &str) -> Option<&'static str> {
    Some(match value {
        "c000003e" => "x86_64",
        "40000003" => "i386",
        "c00000b7" => "aarch64",
        "40000028" => "arm",
        "c0000102" => "loongarch64",
        "c00000f3" => "riscv64",
        "c0000015" | "80000015" => "ppc64",
        "80000016" => "s390x",
        _ => return None,
    })
}

static SYSCALLS: LazyLock<FxHashMap<(&'static str, u32), &'static str>> = LazyLock::new(|| {
    let mut names = FxHashMap::default();
    for line in include_str!("../../../data/linux-syscalls.tsv").lines().filter(|line| !line.starts_with('#'))
    {
        let mut columns = line.split('\t');
        let Some(name) = columns.next() else { continue };
        for (arch, number) in ["x86_64", "aarch64"].into_iter().zip(columns) {
            if let Ok(number) = number.parse() {
                names.insert((arch, number), name);
            }
        }
    }
    // Both took the generic table as it is.
    let generic: Vec<_> =
        names.iter().filter(|((arch, _), _)| *arch == "aarch64").map(|((_, n), name)| (*n, *name)).collect();
    for (number, name) in generic {
        names.insert(("loongarch64", number), name);
        names.insert(("riscv64", number), name);
    }
    names
});

/// The name of a system call; `None` where the table has no numbers for the machine.
pub(super) fn syscall(arch: &'static str, number: &str) -> Option<&'static str> {
    SYSCALLS.get(&(arch, number.parse().ok()?)).copied()
}

/// What `ausearch -i` would show of a `sockaddr` in hex: `saddr_fam`, and `laddr` and `lport`, or `path`.
pub(super) fn socket_address(hex: &str) -> Vec<(&'static str, String)> {
    let Some(bytes) = from_hex(hex) else { return Vec::new() };
    // The family is in the byte order of the host, the rest in the network's.
    let family = match bytes.as_slice() {
        [0, family, ..] | [family, 0, ..] => *family,
        _ => return Vec::new(),
    };
    let port = || bytes.get(2..4).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    match family {
        1 => {
            let path = bytes.get(2..).unwrap_or_default();
            // An abstract name begins with NUL.
            let path = path.strip_prefix(b"\0").unwrap_or(path).split(|b| *b == 0).next().unwrap_or_default();
            vec![("saddr_fam", "local".into()), ("path", String::from_utf8_lossy(path).into_owned())]
        }
        2 => {
            let address = bytes.get(4..8).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(Ipv4Addr::from);
            inet("inet", address.map(|a| a.to_string()), port())
        }
        10 => {
            let address = bytes.get(8..24).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(Ipv6Addr::from);
            inet("inet6", address.map(|a| a.to_canonical().to_string()), port())
        }
        16 => vec![("saddr_fam", "netlink".into())],
        17 => vec![("saddr_fam", "packet".into())],
        38 => vec![("saddr_fam", "alg".into())],
        _ => Vec::new(),
    }
}

fn inet(family: &str, address: Option<String>, port: Option<u16>) -> Vec<(&'static str, String)> {
    match (address, port) {
        (Some(address), Some(port)) => {
            vec![("saddr_fam", family.into()), ("laddr", address), ("lport", port.to_string())]
        }
        _ => vec![("saddr_fam", family.into())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_a_process_chooses_is_decoded() {
        assert_eq!(decode("SYSCALL", "comm", "6C73").as_deref(), Some("ls"));
        assert_eq!(decode("SYSCALL", "a0", "55"), None);
        assert_eq!(decode("EXECVE", "a0", "6C73").as_deref(), Some("ls"));
        assert_eq!(decode("USER_AUTH", "acct", "beef"), None);
        assert_eq!(decode("SYSCALL", "key", "(null)"), None);
    }

    #[test]
    fn numbers_get_their_names() {
        assert_eq!(syscall("x86_64", "59"), Some("execve"));
        assert_eq!(syscall("aarch64", "221"), Some("execve"));
        assert_eq!(syscall("s390x", "11"), None);
        let shown = |hex: &str| socket_address(hex).into_iter().map(|(_, v)| v).collect::<Vec<_>>().join(" ");
        assert_eq!(shown("02000050A9FEA9FE0000000000000000"), "inet 169.254.169.254 80");
        assert_eq!(
            shown("0A0001BB0000000020010DB800000000000000000000000100000000"),
            "inet6 2001:db8::1 443"
        );
        assert_eq!(shown("01002F72756E2F7800"), "local /run/x");
        assert_eq!(shown("02"), "");
    }
}
