//! What sshd, sudo, su, PAM, the account tools, cron and systemd-logind say of log-ins and accounts.
//!
//! Written as `syslog.auth.*`: `event` (one of [`event`]), `result` (`success`, `failure`), `user` (who acts or logs
//! in), `target_user` (who is become or changed), `src_ip` or `src_host`, `src_port`, `method`, `command`, `tty`,
//! `pwd`, `group`, `service` (of PAM), `reason`, `invalid_user`, and `repeat` where the logger folded equal lines.
//! Names in these messages are chosen by whoever knocks, spaces and `from` included, so they are cut at the last place
//! that fits, never at the first.

mod accounts;
mod privilege;
mod sshd;

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
pub(super) fn write<'a>(app: &'a str, text: &'a str, fields: &mut FieldMap) {
    let (text, repeat) = unfold(without_solaris_id(text.trim()));
    let mut said = Said::default();
    let understood = match app.strip_suffix("(pam_unix)") {
        // Before Linux-PAM 1.0 the module stood in the tag.
        Some(service) => {
            said.service = Some(service);
            pam_message(service, text, &mut said).is_some()
        }
        None => pam(text, &mut said).is_some() || by_app(base_name(app), text, &mut said).is_some(),
    };
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
        // login calls itself ` -- root` once somebody has logged in.
        _ if app.starts_with("-- ") => privilege::login(text, said),
        "sshd" | "sshd-session" | "sshd-auth" => sshd::sshd(text, said),
        "dropbear" => sshd::dropbear(text, said),
        "sudo" => privilege::sudo(text, said),
        "su" | "su-l" => privilege::su(text, said),
        "login" => privilege::login(text, said),
        "useradd" | "adduser" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod" | "gpasswd"
        | "passwd" | "chpasswd" | "shadow" => accounts::accounts(text, said),
        "CRON" | "crond" | "cron" | "CROND" | "anacron" => cron(text, said),
        "systemd-logind" => logind(text, said),
        _ => None,
    }
}

/// Solaris puts `[ID 800047 auth.notice]` before the text.
fn without_solaris_id(text: &str) -> &str {
    text.strip_prefix("[ID ").and_then(|rest| rest.split_once("] ")).map_or(text, |(_, text)| text)
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
    if let Some(more) = text.strip_prefix("PAM ") {
        return pam_message("", more, said);
    }
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (service, text) = text.strip_prefix("pam_")?.split_once('(')?.1.split_once("): ")?;
    let (service, _) = service.split_once(':').unwrap_or((service, ""));
    said.service = Some(service);
    pam_message(service, text, said)
}

/// What a module of PAM says on behalf of `service`.
fn pam_message<'a>(service: &str, text: &'a str, said: &mut Said<'a>) -> Option<()> {
    if let Some((count, list)) = text.split_once(" more authentication failure") {
        (said.event, said.result, said.reason) = (event::CONNECTION, FAILURE, Some("too many attempts"));
        count.parse::<u32>().ok()?;
        return pam_list(list, said);
    }
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
            (
                "sshd(pam_unix)",
                "2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.3.1  user=root",
                "event=connection|result=failure|user=root|src_ip=10.0.3.1|tty=ssh|service=sshd|reason=too many attempts",
            ),
            (
                "sshd",
                "[ID 800047 auth.notice] Failed none for root from 1.2.3.4 port 22 ssh2",
                "event=login|result=failure|user=root|src_ip=1.2.3.4|src_port=22|method=none",
            ),
            (
                "sshd",
                "error: PAM: authentication error for illegal user eve from 1.2.3.4",
                "event=pam_auth|result=failure|user=eve|src_ip=1.2.3.4|method=PAM|invalid_user=true",
            ),
            (
                "dropbear",
                "Bad password attempt for 'root' from 1.2.3.4:48629",
                "event=login|result=failure|user=root|src_ip=1.2.3.4|src_port=48629|method=password",
            ),
            (
                "dropbear",
                "Pubkey auth succeeded for 'root' with key md5 78:d6 from 1.2.3.4:51737",
                "event=login|result=success|user=root|src_ip=1.2.3.4|src_port=51737|method=publickey",
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
