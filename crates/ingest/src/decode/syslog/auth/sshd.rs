//! Messages of sshd and dropbear.

use super::{FAILURE, SUCCESS, Said, event};

/// What sshd says of log-ins, and of connections that come to none.
pub(super) fn sshd<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    let text = text.strip_suffix(" [preauth]").unwrap_or(text);
    let text = text.strip_prefix("error: ").or_else(|| text.strip_prefix("fatal: ")).unwrap_or(text);
    if let Some(rest) = text.strip_prefix("Accepted ") {
        (said.event, said.result) = (event::LOGIN, SUCCESS);
        return method_user_peer(rest, said);
    }
    if let Some(rest) = text.strip_prefix("Failed ").or_else(|| text.strip_prefix("Postponed ")) {
        (said.event, said.result) = (event::LOGIN, FAILURE);
        if text.starts_with('P') {
            // The method is not done yet: neither granted nor refused.
            (said.event, said.result) = (event::CONNECTION, None);
        }
        return method_user_peer(rest, said);
    }
    if let Some(rest) = text.strip_prefix("Invalid user ").or_else(|| text.strip_prefix("Illegal user ")) {
        // The refusal itself ("Failed password for invalid user") comes after this.
        (said.event, said.result) = (event::CONNECTION, FAILURE);
        said.invalid_user = true;
        said.reason = Some("invalid user");
        let (user, peer) =
            rest.strip_prefix("from ").map(|peer| ("", peer)).or_else(|| rest.rsplit_once(" from "))?;
        said.user = Some(user);
        return said.peer(peer);
    }
    if let Some(rest) = text.strip_prefix("maximum authentication attempts exceeded for ") {
        // Each of the attempts was reported as refused already.
        (said.event, said.result) = (event::CONNECTION, FAILURE);
        said.reason = Some("too many attempts");
        let (user, peer) = rest.rsplit_once(" from ")?;
        said.login_user(user);
        return said.peer(peer);
    }
    // OpenPAM of the BSDs and macOS, and Linux-PAM, have words of their own.
    const PAM_REFUSALS: [&str; 4] = [
        ": Authentication failure for ",
        ": authentication error for ",
        ": User not known to the underlying authentication module for ",
        ": unknown user for ",
    ];
    if let Some((method, rest)) = PAM_REFUSALS.iter().find_map(|words| text.split_once(words)) {
        (said.event, said.result, said.method) = (event::PAM_AUTH, FAILURE, Some(method));
        let (user, peer) = rest.rsplit_once(" from ")?;
        said.login_user(user);
        return said.peer(peer);
    }
    if let Some((user, reason)) =
        text.strip_prefix("User ").and_then(|rest| rest.split_once(" not allowed because "))
    {
        (said.event, said.result, said.reason) = (event::CONNECTION, FAILURE, Some(reason));
        let (user, peer) = user.rsplit_once(" from ").unwrap_or((user, ""));
        said.login_user(user);
        return if peer.is_empty() { Some(()) } else { said.peer(peer) };
    }
    if let Some(user) = text.strip_prefix("input_userauth_request: invalid user ") {
        (said.event, said.result, said.user, said.invalid_user) =
            (event::CONNECTION, FAILURE, Some(user), true);
        return Some(());
    }
    sshd_connection(text, said)
}

/// dropbear, the SSH server of small devices: addresses with their port, users in quotes.
pub(super) fn dropbear<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    said.event = event::LOGIN;
    (said.result, said.method) = if text.starts_with("Password auth succeeded") {
        (SUCCESS, Some("password"))
    } else if text.starts_with("Pubkey auth succeeded") {
        (SUCCESS, Some("publickey"))
    } else if text.starts_with("Bad password attempt") {
        (FAILURE, Some("password"))
    } else if text.starts_with("Login attempt for nonexistent user") {
        said.invalid_user = true;
        (FAILURE, None)
    } else {
        return None;
    };
    let (before, peer) = text.rsplit_once(" from ")?;
    said.user = before.split_once('\'').and_then(|(_, rest)| rest.split_once('\'')).map(|(user, _)| user);
    let (address, port) = peer.rsplit_once(':')?;
    (said.source, said.port) = (Some(address.trim_matches(['[', ']'])), Some(port));
    Some(())
}

/// `password for root from 1.2.3.4 port 22 ssh2: RSA SHA256:...`
fn method_user_peer<'a>(rest: &'a str, said: &mut Said<'a>) -> Option<()> {
    let (method, rest) = rest.split_once(" for ")?;
    // A key's comment may hold anything, but not before the protocol's name.
    let end = rest.rfind(" ssh2").or_else(|| rest.rfind(" ssh1")).unwrap_or(rest.len());
    let (user, peer) = rest.get(..end)?.rsplit_once(" from ").or_else(|| rest.rsplit_once(" from "))?;
    said.method = Some(method);
    said.login_user(user);
    said.peer(peer)
}

/// What happens to a connection that has not logged in, or to one that ends.
fn sshd_connection<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    said.event = event::CONNECTION;
    for (start, reason) in [
        ("Received disconnect from ", "disconnected by peer"),
        ("Did not receive identification string from ", "no identification string"),
        ("Connection from ", "connected"),
        ("Unable to negotiate with ", "no matching algorithm"),
        ("refused connect from ", "refused"),
    ] {
        if let Some(peer) = text.strip_prefix(start) {
            said.reason = Some(reason);
            return said.peer(peer);
        }
    }
    if let Some((subsystem, user)) =
        text.strip_prefix("subsystem request for ").and_then(|rest| rest.split_once(" by user "))
    {
        (said.event, said.result) = (event::SESSION_OPEN, SUCCESS);
        (said.service, said.user) = (Some(subsystem), Some(user));
        return Some(());
    }
    if text.starts_with("Bad protocol version identification") {
        said.reason = Some("bad protocol version");
        return said.peer(text.rsplit_once(" from ")?.1);
    }
    if text.contains("POSSIBLE BREAK-IN ATTEMPT") {
        said.reason = Some("reverse mapping failed");
        let (_, rest) = text.rsplit_once(" [").or_else(|| text.split_once("Address "))?;
        return said.peer(rest.split([']', ' ']).next()?);
    }
    let rest = ["Connection closed by ", "Connection reset by ", "Disconnected from ", "Disconnecting "]
        .iter()
        .find_map(|start| text.strip_prefix(start))?;
    said.reason = Some("connection closed");
    let rest = rest.strip_prefix("authenticating ").unwrap_or(rest);
    if let Some(named) =
        rest.strip_prefix("user ").or_else(|| rest.starts_with("invalid user ").then_some(rest))
    {
        // user NAME ADDRESS port N: the name may hold spaces, the address not.
        let (before, _) = named.rsplit_once(" port ")?;
        let (user, _) = before.rsplit_once(' ')?;
        said.login_user(user);
        return said.peer(named.get(user.len() + 1..)?);
    }
    said.peer(rest)
}
