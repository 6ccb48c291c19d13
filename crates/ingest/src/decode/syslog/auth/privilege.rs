//! Messages of sudo, su and login.

use super::{FAILURE, SUCCESS, Said, event};

/// `wang : TTY=pts/0 ; PWD=/home/wang ; USER=root ; COMMAND=/bin/ls -l`, with a complaint before the list if refused.
pub(super) fn sudo<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
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

/// What `su` of util-linux and of shadow-utils says.
pub(super) fn su<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
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
    // FreeBSD's: BAD SU wang to root on /dev/ttyp0
    let (words, result) = text.strip_prefix("BAD SU ").map_or((text, SUCCESS), |words| (words, FAILURE));
    if let Some((users, tty)) = words.split_once(" on ")
        && let Some((user, target)) = users.split_once(" to ")
        && !user.contains(' ')
    {
        (said.result, said.user, said.target_user, said.tty) = (result, Some(user), Some(target), Some(tty));
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
pub(super) fn login<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
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
