//! Messages of the account tools of shadow-utils.

use super::{FAILURE, SUCCESS, Said, event};

/// useradd, usermod, userdel, groupadd, groupdel, gpasswd, passwd and chpasswd of shadow-utils.
pub(super) fn accounts<'a>(text: &'a str, said: &mut Said<'a>) -> Option<()> {
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
