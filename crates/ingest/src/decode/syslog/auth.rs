//! What sshd, sudo, su, PAM, the account tools, cron and systemd-logind say of log-ins and accounts.
//!
//! Written as `syslog.auth.*`: `event` (one of [`event`]), `result` (`success`, `failure`), `user` (who acts or logs
//! in), `target_user` (who is become or changed), `src_ip` or `src_host`, `src_port`, `method`, `command`, `tty`,
//! `pwd`, `group`, `service` (of PAM), `reason`, `invalid_user`, and `repeat` where the logger folded equal lines.
//! Names in these messages are chosen by whoever knocks, spaces and `from` included, so they are cut at the last place
//! that fits, never at the first.

use std::net::IpAddr;

use wanglou_model::FieldMap;

/// Values of `syslog.auth.event`.
pub(crate) mod event {
    /// A log-in was granted or refused.
    pub(crate) const LOGIN: &str = "login";
    /// PAM judged a password. The program that asked says so too, so this is kept apart from [`LOGIN`], or each try
    /// would count twice.
    pub(crate) const PAM_AUTH: &str = "pam_auth";
    /// A session began.
    pub(crate) const SESSION_OPEN: &str = "session_open";
    /// A session ended.
    pub(crate) const SESSION_CLOSE: &str = "session_close";
    /// A peer came, went, or was turned away before its log-in was judged.
    pub(crate) const CONNECTION: &str = "connection";
    /// `sudo` ran a command, or refused to.
    pub(crate) const SUDO: &str = "sudo";
    /// `su` changed the user, or refused to.
    pub(crate) const SU: &str = "su";
    /// `cron` ran a command.
    pub(crate) const CRON: &str = "cron";
    /// A user was added.
    pub(crate) const USER_ADD: &str = "user_add";
    /// A user was removed.
    pub(crate) const USER_DELETE: &str = "user_delete";
    /// A user was changed.
    pub(crate) const USER_MODIFY: &str = "user_modify";
    /// A password was set.
    pub(crate) const PASSWORD_CHANGE: &str = "password_change";
    /// A group was added.
    pub(crate) const GROUP_ADD: &str = "group_add";
    /// A group was removed.
    pub(crate) const GROUP_DELETE: &str = "group_delete";
    /// A user was put into a group.
    pub(crate) const GROUP_MEMBER_ADD: &str = "group_member_add";
    /// A user was taken out of a group.
    pub(crate) const GROUP_MEMBER_REMOVE: &str = "group_member_remove";
}

/// Writes what `app` says in `text`, if it speaks of log-ins or accounts.
pub(super) fn write(app: &str, text: &str, fields: &mut FieldMap) {
    let (text, repeat) = unfold(text.trim());
    let mut said = Said::default();
    let understood = pam(text, &mut said).is_some() || by_app(base_name(app), text, &mut said).is_some();
    if understood {
        said.repeat = repeat;
        said.write(fields);
    }
}

/// `/usr/sbin/CRON` and `(systemd)` by their plain names.
fn base_name(app: &str) -> &str {
    app.rsplit('/').next().unwrap_or(app).trim_matches(['(', ')'])
}

fn by_app<'a>(app: &str, text: &'a str, said: &mut Said<'a>) -> Option<()> {
    match app {
        "sshd" | "sshd-session" | "sshd-auth" | "dropbear" => sshd(text, said),
        "sudo" => sudo(text, said),
        "su" | "su-l" => su(text, said),
        "login" => login(text, said),
        "useradd" | "adduser" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod" | "gpasswd"
        | "passwd" | "chpasswd" | "shadow" => accounts(text, said),
        "CRON" | "crond" | "cron" | "CROND" | "anacron" => cron(text, said),
        "systemd-logind" => logind(text, said),
        _ => None,
    }
}

/// rsyslog's `message repeated 3 times: [ text]`.
fn unfold(text: &str) -> (&str, Option<u32>) {
    let unfolded = text.strip_prefix("message repeated ").and_then(|rest| {
        let (count, rest) = rest.split_once(" times: [")?;
        Some((rest.trim_start().trim_end_matches(']'), count.parse().ok()?))
    });
    unfolded.map_or((text, None), |(text, count)| (text, Some(count)))
}

/// What a message says, in the words of the module's page.
#[derive(Default)]
struct Said<'a> {
    event: &'static str,
    result: Option<&'static str>,
    user: Option<&'a str>,
    target_user: Option<&'a str>,
    source: Option<&'a str>,
    port: Option<&'a str>,
    method: Option<&'a str>,
    command: Option<&'a str>,
    tty: Option<&'a str>,
    pwd: Option<&'a str>,
    group: Option<&'a str>,
    service: Option<&'a str>,
    reason: Option<&'a str>,
    invalid_user: bool,
    repeat: Option<u32>,
}

const SUCCESS: Option<&str> = Some("success");
const FAILURE: Option<&str> = Some("failure");

impl<'a> Said<'a> {
    fn write(&self, fields: &mut FieldMap) {
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                fields.push_named(None, name, value);
            }
        };
        put("syslog.auth.event", Some(self.event));
        put("syslog.auth.result", self.result);
        put("syslog.auth.user", self.user);
        put("syslog.auth.target_user", self.target_user);
        let is_address = self.source.is_some_and(|source| address(source).is_some());
        put("syslog.auth.src_ip", self.source.filter(|_| is_address));
        put("syslog.auth.src_host", self.source.filter(|_| !is_address));
        put("syslog.auth.src_port", self.port);
        put("syslog.auth.method", self.method);
        put("syslog.auth.command", self.command);
        put("syslog.auth.tty", self.tty);
        put("syslog.auth.pwd", self.pwd);
        put("syslog.auth.group", self.group);
        put("syslog.auth.service", self.service);
        put("syslog.auth.reason", self.reason);
        if self.invalid_user {
            fields.push_named(None, "syslog.auth.invalid_user", true);
        }
        if let Some(repeat) = self.repeat {
            fields.push_named(None, "syslog.auth.repeat", repeat);
        }
    }

    /// Takes `address`, `address port 22`, `address port 22 ssh2: RSA ...`, `host.name`.
    fn peer(&mut self, text: &'a str) -> Option<()> {
        let mut words = text.split(' ');
        let source = words.next()?.trim_end_matches([':', ',', '.']);
        self.source = Some(source).filter(|source| *source != "UNKNOWN");
        if words.next() == Some("port") {
            self.port = words.next().map(|port| port.split_once(':').map_or(port, |(port, _)| port));
        }
        Some(())
    }

    /// Takes `user`, and of `invalid user name` and `illegal user name` the name and the fact.
    fn login_user(&mut self, text: &'a str) {
        let invalid = text.strip_prefix("invalid user ").or_else(|| text.strip_prefix("illegal user "));
        self.invalid_user |= invalid.is_some();
        self.user = Some(invalid.unwrap_or(text).trim_matches(' '));
    }
}

/// An address with an optional zone (`fe80::1%eth0`).
fn address(text: &str) -> Option<IpAddr> {
    text.split_once('%').map_or(text, |(address, _)| address).parse().ok()
}

fn sshd<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
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
    if let Some((method, rest)) = text
        .split_once(": Authentication failure for ")
        .or_else(|| text.split_once(": User not known to the underlying authentication module for "))
    {
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
    sshd_connection(text, said)
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

/// `wang : TTY=pts/0 ; PWD=/home/wang ; USER=root ; COMMAND=/bin/ls -l`, with a complaint before the list if refused.
fn sudo<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    let (user, rest) = text.split_once(" : ")?;
    (said.event, said.result, said.user) = (event::SUDO, SUCCESS, Some(user.trim()));
    let mut rest = rest;
    loop {
        // The command comes last and may hold anything.
        if let Some(command) = rest.strip_prefix("COMMAND=") {
            said.command = Some(command);
            return Some(());
        }
        let (item, after) = rest.split_once(" ; ").unwrap_or((rest, ""));
        match item.split_once('=') {
            Some(("TTY", tty)) => said.tty = Some(tty).filter(|tty| *tty != "unknown"),
            Some(("PWD", pwd)) => said.pwd = Some(pwd),
            Some(("USER", user)) => said.target_user = Some(user),
            Some(("GROUP", group)) => said.group = Some(group),
            Some(("ENV" | "TSID" | "HOST", _)) => {}
            _ => (said.result, said.reason) = (FAILURE, Some(item)),
        }
        if after.is_empty() {
            return (said.reason.is_some() || said.target_user.is_some()).then_some(());
        }
        rest = after;
    }
}

fn su<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    said.event = event::SU;
    for (start, result) in [
        ("Successful su for ", SUCCESS),
        ("FAILED su for ", FAILURE),
        ("FAILED SU (to ", FAILURE),
        ("(to ", SUCCESS),
    ] {
        let Some(rest) = text.strip_prefix(start) else { continue };
        said.result = result;
        let (target, user) = rest.split_once(" by ").or_else(|| rest.split_once(") "))?;
        let (user, tty) = user.split_once(" on ").map_or((user, None), |(user, tty)| (user, Some(tty)));
        (said.target_user, said.user, said.tty) =
            (Some(target), Some(user), tty.filter(|tty| *tty != "none"));
        return Some(());
    }
    // + /dev/pts/0 wang:root
    let (rest, result) = match text.split_at_checked(2)? {
        ("+ ", rest) => (rest, SUCCESS),
        ("- ", rest) => (rest, FAILURE),
        _ => return None,
    };
    let (tty, users) = rest.split_once(' ')?;
    let (user, target) = users.split_once(':').or_else(|| users.split_once('-'))?;
    (said.result, said.tty) = (result, Some(tty).filter(|tty| *tty != "???"));
    (said.user, said.target_user) = (Some(user), Some(target));
    Some(())
}

/// `FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure`, `ROOT LOGIN  on '/dev/tty1'`,
/// `LOGIN ON tty1 BY wang FROM 1.2.3.4`.
fn login<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    said.event = event::LOGIN;
    let unquoted = |word: &'a str| word.trim_matches(['\'', '"', '`']);
    if let Some((_, rest)) = text.strip_prefix("FAILED LOGIN ").and_then(|rest| rest.split_once(") ")) {
        said.result = FAILURE;
        let (at, user) = rest.split_once(" FOR ")?;
        let (user, reason) =
            user.rsplit_once(", ").map_or((user, None), |(user, reason)| (user, Some(reason)));
        said.tty = at.strip_prefix("on ").map(unquoted);
        if let Some(source) = at.to_ascii_uppercase().starts_with("FROM ").then(|| at.get(5..)).flatten() {
            said.source = Some(unquoted(source));
        }
        (said.user, said.reason) = (Some(unquoted(user)), reason);
        return Some(());
    }
    said.result = SUCCESS;
    if let Some((_, tty)) = text
        .strip_prefix("ROOT LOGIN")
        .and_then(|rest| rest.split_once("on ").or_else(|| rest.split_once("ON ")))
    {
        let (tty, source) = tty.split_once(" FROM ").map_or((tty, None), |(tty, source)| (tty, Some(source)));
        (said.user, said.tty, said.source) = (Some("root"), Some(unquoted(tty)), source.map(unquoted));
        return Some(());
    }
    let (tty, user) = text.strip_prefix("LOGIN ON ")?.split_once(" BY ")?;
    let (user, source) =
        user.split_once(" FROM ").map_or((user, None), |(user, source)| (user, Some(source)));
    (said.tty, said.user, said.source) = (Some(tty), Some(user), source);
    Some(())
}

/// useradd, usermod, userdel, groupadd, groupdel, gpasswd, passwd and chpasswd of shadow-utils.
fn accounts<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    let failed = text.starts_with("failed ");
    let text = text.strip_prefix("failed ").unwrap_or(text);
    said.result = if failed { FAILURE } else { SUCCESS };
    if let Some(rest) = text.strip_prefix("new user: name=") {
        (said.event, said.target_user) = (event::USER_ADD, rest.split(',').next());
        return Some(());
    }
    if let Some(rest) = text.strip_prefix("new group: name=") {
        (said.event, said.group) = (event::GROUP_ADD, rest.split(',').next());
        return Some(());
    }
    let first = quoted(text, 0);
    for (start, what) in [
        ("adding user", event::USER_ADD),
        ("delete user ", event::USER_DELETE),
        ("deleting user", event::USER_DELETE),
        ("change user ", event::USER_MODIFY),
        ("lock user ", event::USER_MODIFY),
        ("unlock user ", event::USER_MODIFY),
        ("changed password for ", event::PASSWORD_CHANGE),
        ("password for ", event::PASSWORD_CHANGE),
        ("password changed for ", event::PASSWORD_CHANGE),
    ] {
        let Some(rest) = text.strip_prefix(start) else { continue };
        said.event = if text.starts_with("change user ") && text.ends_with("password") {
            event::PASSWORD_CHANGE
        } else {
            what
        };
        said.target_user = first.or_else(|| rest.split([' ', ',']).find(|word| !word.is_empty()));
        said.user = quoted(text, 1).filter(|_| text.contains(" changed by "));
        return Some(());
    }
    for (start, what) in [
        ("group added to ", event::GROUP_ADD),
        ("removed group ", event::GROUP_DELETE),
        ("group '", event::GROUP_DELETE),
        ("removed shadow group ", event::GROUP_DELETE),
    ] {
        if text.starts_with(start) && (what != event::GROUP_DELETE || text.contains("removed")) {
            let named = text.split_once("name=").map(|(_, name)| name.split(',').next().unwrap_or(name));
            (said.event, said.group) = (what, named.or(first));
            return Some(());
        }
    }
    let (what, separator) = if text.starts_with("add ") {
        (event::GROUP_MEMBER_ADD, " to ")
    } else if text.starts_with("delete ") {
        (event::GROUP_MEMBER_REMOVE, " from ")
    } else {
        return gpasswd(text, said);
    };
    if text.contains(separator) && text.contains("group ") {
        (said.event, said.target_user, said.group) = (what, first, quoted(text, 1));
        return said.target_user.map(|_| ());
    }
    None
}

/// `user wang added by root to group wheel`, `user wang removed by root from group wheel`.
fn gpasswd<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    let (target, rest) = text.strip_prefix("user ")?.split_once(' ')?;
    let (what, rest) = match rest.split_once(" by ")? {
        ("added", rest) => (event::GROUP_MEMBER_ADD, rest),
        ("removed", rest) => (event::GROUP_MEMBER_REMOVE, rest),
        _ => return None,
    };
    let (user, group) = rest.split_once(" to group ").or_else(|| rest.split_once(" from group "))?;
    (said.event, said.target_user, said.user, said.group) = (what, Some(target), Some(user), Some(group));
    Some(())
}

/// The text in the n-th pair of quotes.
fn quoted(text: &str, n: usize) -> Option<&str> {
    text.split('\'').nth(2 * n + 1)
}

/// `(root) CMD (run-parts /etc/cron.hourly)`.
fn cron<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    let (user, rest) = text.strip_prefix('(')?.split_once(") CMD (")?;
    (said.event, said.user) = (event::CRON, Some(user));
    said.command = Some(rest.strip_suffix(')').unwrap_or(rest).trim());
    Some(())
}

/// `New session 12 of user root.`
fn logind<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    let (_, user) = text.strip_prefix("New session ")?.split_once(" of user ")?;
    (said.event, said.result, said.user) = (event::SESSION_OPEN, SUCCESS, Some(user.trim_end_matches('.')));
    Some(())
}

/// `pam_unix(sshd:auth): authentication failure; logname= uid=0 ... rhost=1.2.3.4  user=root`,
/// `pam_unix(su:session): session opened for user root(uid=0) by wang(uid=1000)`, and sshd's
/// `PAM 2 more authentication failures; ...`.
fn pam<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
    if let Some((count, list)) =
        text.strip_prefix("PAM ").and_then(|rest| rest.split_once(" more authentication failure"))
    {
        (said.event, said.result, said.reason) = (event::CONNECTION, FAILURE, Some("too many attempts"));
        count.parse::<u32>().ok()?;
        return pam_list(list, said);
    }
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (service, text) = text.strip_prefix("pam_")?.split_once('(')?.1.split_once("): ")?;
    let (service, _) = service.split_once(':').unwrap_or((service, ""));
    said.service = Some(service);
    let name = |word: &'a str| word.split_once('(').map_or(word, |(name, _)| name);
    for (start, what) in [
        ("session opened for user ", event::SESSION_OPEN),
        ("session closed for user ", event::SESSION_CLOSE),
    ] {
        let Some(rest) = text.strip_prefix(start) else { continue };
        (said.event, said.result) = (what, SUCCESS);
        let (target, by) = rest.split_once(" by ").unwrap_or((rest, ""));
        (said.target_user, said.user) = (Some(name(target)), Some(name(by)));
        // Who opens a log-in session is the service; the session is the target's own.
        if said.user.is_none_or(str::is_empty) || !matches!(service, "su" | "su-l" | "sudo" | "sudo-i") {
            said.user = said.target_user.take();
        }
        return Some(());
    }
    if let Some(list) = text.strip_prefix("authentication failure;") {
        (said.event, said.result) = (event::PAM_AUTH, FAILURE);
        return pam_list(list, said);
    }
    if let Some((reason, user)) = text.split_once(" not met by user \"") {
        // pam_succeed_if: an account that may not log in this way, whatever the password.
        (said.event, said.result) = (event::PAM_AUTH, FAILURE);
        (said.reason, said.user) = (Some(reason), Some(user.trim_end_matches('"')));
        return Some(());
    }
    if let Some(user) = text.strip_prefix("password changed for ") {
        (said.event, said.result, said.target_user) = (event::PASSWORD_CHANGE, SUCCESS, Some(user));
        return Some(());
    }
    None
}

/// `logname= uid=0 euid=0 tty=ssh ruser=wang rhost=1.2.3.4  user=root`: `user` comes last and may hold spaces.
fn pam_list<'a>(list: &'a str, said: &mut Said<'a>) -> Option<()> {
    let (list, user) = list.split_once(" user=").unwrap_or((list, ""));
    let target = Some(user.trim()).filter(|user| !user.is_empty());
    let mut ruser = None;
    for (key, value) in
        list.split(' ').filter_map(|word| word.split_once('=')).filter(|(_, value)| !value.is_empty())
    {
        match key {
            "tty" => said.tty = Some(value),
            "ruser" => ruser = Some(value),
            "rhost" => said.source = Some(value),
            _ => {}
        }
    }
    match said.service {
        Some("su" | "su-l") => (said.user, said.target_user) = (ruser, target),
        Some("sudo" | "sudo-i") => said.user = target.or(ruser),
        _ => said.user = target,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(app: &str, text: &str) -> String {
        let mut fields = FieldMap::new();
        write(app, text, &mut fields);
        let shown = |(name, value): (&str, wanglou_model::Value<'_>)| {
            format!("{}={}", name.trim_start_matches("syslog.auth."), value.to_text())
        };
        fields.iter_named().map(shown).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn log_ins_and_connections() {
        for (app, text, wanted) in [
            (
                "sshd",
                "Accepted publickey for wang from 1.2.3.4 port 22 ssh2: RSA SHA256:x from y",
                "event=login|result=success|user=wang|src_ip=1.2.3.4|src_port=22|method=publickey",
            ),
            (
                "sshd",
                "Failed password for invalid user a from 6.6.6.6 port 1 ssh2 from 2001:db8::1 port 22 ssh2",
                "event=login|result=failure|user=a from 6.6.6.6 port 1 ssh2|src_ip=2001:db8::1|src_port=22|method=password|invalid_user=true",
            ),
            (
                "sshd-session",
                "message repeated 3 times: [ Failed password for root from 1.2.3.4 port 22 ssh2]",
                "event=login|result=failure|user=root|src_ip=1.2.3.4|src_port=22|method=password|repeat=3",
            ),
            (
                "sshd",
                "Invalid user  from 1.2.3.4 port 5",
                "event=connection|result=failure|src_ip=1.2.3.4|src_port=5|reason=invalid user|invalid_user=true",
            ),
            (
                "sshd",
                "Connection closed by authenticating user root 1.2.3.4 port 5 [preauth]",
                "event=connection|user=root|src_ip=1.2.3.4|src_port=5|reason=connection closed",
            ),
            (
                "sshd",
                "Received disconnect from 1.2.3.4 port 5:11: Bye Bye [preauth]",
                "event=connection|src_ip=1.2.3.4|src_port=5|reason=disconnected by peer",
            ),
            (
                "sshd",
                "User root from 1.2.3.4 not allowed because not listed in AllowUsers",
                "event=connection|result=failure|user=root|src_ip=1.2.3.4|reason=not listed in AllowUsers",
            ),
            (
                "sshd",
                "reverse mapping checking getaddrinfo for h.cn [1.2.3.4] failed - POSSIBLE BREAK-IN ATTEMPT!",
                "event=connection|src_ip=1.2.3.4|reason=reverse mapping failed",
            ),
            (
                "sshd",
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=1.2.3.4  user=root",
                "event=pam_auth|result=failure|user=root|src_ip=1.2.3.4|tty=ssh|service=sshd",
            ),
            (
                "login",
                "FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure",
                "event=login|result=failure|user=root|tty=/dev/tty1|reason=Authentication failure",
            ),
            (
                "sshd",
                "pam_succeed_if(sshd:auth): requirement \"uid >= 1000\" not met by user \"root\"",
                "event=pam_auth|result=failure|user=root|service=sshd|reason=requirement \"uid >= 1000\"",
            ),
            (
                "sshd",
                "subsystem request for sftp by user wang",
                "event=session_open|result=success|user=wang|service=sftp",
            ),
            ("sshd", "Server listening on 0.0.0.0 port 22.", ""),
            ("sshd", "Failed", ""),
        ] {
            assert_eq!(said(app, text), wanted, "{text}");
        }
    }

    #[test]
    fn privileges_sessions_and_accounts() {
        for (app, text, wanted) in [
            (
                "sudo",
                "    wang : TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh -c a ; USER=b",
                "event=sudo|result=success|user=wang|target_user=root|command=/bin/sh -c a ; USER=b|tty=pts/0|pwd=/tmp",
            ),
            (
                "sudo",
                "wang : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
                "event=sudo|result=failure|user=wang|target_user=root|command=/bin/ls|tty=pts/0|pwd=/|reason=user NOT in sudoers",
            ),
            (
                "su",
                "FAILED SU (to root) wang on pts/1",
                "event=su|result=failure|user=wang|target_user=root|tty=pts/1",
            ),
            (
                "su",
                "+ /dev/pts/0 wang:root",
                "event=su|result=success|user=wang|target_user=root|tty=/dev/pts/0",
            ),
            (
                "su",
                "pam_unix(su-l:session): session opened for user root(uid=0) by wang(uid=1000)",
                "event=session_open|result=success|user=wang|target_user=root|service=su-l",
            ),
            (
                "sshd",
                "pam_unix(sshd:session): session opened for user root by (uid=0)",
                "event=session_open|result=success|user=root|service=sshd",
            ),
            (
                "useradd",
                "new user: name=eve, UID=0, GID=0, home=/root, shell=/bin/bash, from=none",
                "event=user_add|result=success|target_user=eve",
            ),
            (
                "usermod",
                "add 'eve' to group 'sudo'",
                "event=group_member_add|result=success|target_user=eve|group=sudo",
            ),
            (
                "gpasswd",
                "user eve added by root to group wheel",
                "event=group_member_add|result=success|user=root|target_user=eve|group=wheel",
            ),
            ("userdel", "delete user 'eve'", "event=user_delete|result=success|target_user=eve"),
            (
                "passwd",
                "pam_unix(passwd:chauthtok): password changed for eve",
                "event=password_change|result=success|target_user=eve|service=passwd",
            ),
            ("/usr/sbin/CRON", "(root) CMD (  /usr/bin/x)", "event=cron|user=root|command=/usr/bin/x"),
            ("systemd-logind", "New session 12 of user root.", "event=session_open|result=success|user=root"),
        ] {
            assert_eq!(said(app, text), wanted, "{text}");
        }
    }
}
