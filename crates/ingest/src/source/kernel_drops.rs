//! Datagrams that the kernel dropped because the receive buffer was full.
//!
//! Linux shows them in `/proc/net/udp` and `udp6`, in the last column of the socket's row. Elsewhere nothing is known
//! and nothing is counted.

use std::os::fd::AsRawFd;

/// The inode by which `/proc/net` names the socket.
pub(super) fn inode(socket: &impl AsRawFd) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// How many datagrams the socket has lost since it was opened.
pub(super) fn count(inode: u64) -> Option<u64> {
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|table| of_inode(&table, inode))
}

fn of_inode(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|row| {
        let columns: Vec<&str> = row.split_ascii_whitespace().collect();
        let is_row = columns.get(9)?.parse() == Ok(inode);
        is_row.then(|| columns.get(12)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_socket_is_found() {
        let table = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0000000000000000 0
  124: 0100007F:0203 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 222 2 0000000000000000 17
";
        assert_eq!(of_inode(table, 222), Some(17));
        assert_eq!(of_inode(table, 333), None);
    }
}
