//! Users and groups by name, as this machine's own lists have them.
//!
//! Only `/etc/passwd` and `/etc/group` are read. Accounts of other directories, such as LDAP, are named by number.

use std::fs;
use std::io;

use crate::config::{Account, ChildServer, UnixOwner, UnixUsers};
use crate::launcher::User;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// An account cannot be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("{option} names `{name}`, whom {list} does not have; name one it has, or give the number")]
    Unknown {
        option: &'static str,
        name: String,
        list: &'static str,
    },
    #[error("{option} = {uid} has no group in {list}; write USER:GROUP")]
    NoGroup {
        option: &'static str,
        uid: u32,
        list: &'static str,
    },
    #[error("{option}: {list} cannot be read: {error}; give the number")]
    Unreadable {
        option: &'static str,
        list: &'static str,
        error: io::Error,
    },
}

/// The numbers of the user and the group that own a socket file; `None` leaves one as it is.
pub(super) fn owner_ids(owner: Option<&UnixOwner>) -> Result<(Option<u32>, Option<u32>), AccountError> {
    const OPTION: &str = "unix-owner";
    let Some(owner) = owner else {
        return Ok((None, None));
    };
    let uid = owner
        .user
        .as_ref()
        .map(|user| id(OPTION, user, USERS))
        .transpose()?;
    let gid = owner
        .group
        .as_ref()
        .map(|group| id(OPTION, group, GROUPS))
        .transpose()?;
    Ok((uid, gid))
}

/// The numbers of users, in ascending order.
pub(super) fn user_ids(users: &UnixUsers) -> Result<Vec<u32>, AccountError> {
    let ids: Result<Vec<u32>, _> = users.0.iter().map(|user| id("unix-peers", user, USERS)).collect();
    let mut ids = ids?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Whom the children of a server run as; `None` is whoever runs this program.
///
/// # Errors
/// This machine does not know the user or the group.
pub(crate) fn user_of(server: &ChildServer) -> Result<Option<User>, AccountError> {
    let Some((user, group)) = &server.pool.user else {
        return Ok(None);
    };
    let (uid, gid) = child_user(user, group.as_ref())?;
    Ok(Some(User { uid, gid }))
}

/// The numbers of the user that children run as, and of its group, which is the user's own if none is named.
fn child_user(user: &Account, group: Option<&Account>) -> Result<(u32, u32), AccountError> {
    const OPTION: &str = "user";
    let uid = id(OPTION, user, USERS)?;
    let gid = match group {
        Some(group) => id(OPTION, group, GROUPS)?,
        None => primary_group(OPTION, uid)?,
    };
    Ok((uid, gid))
}

fn primary_group(option: &'static str, uid: u32) -> Result<u32, AccountError> {
    let list = USERS;
    let text = fs::read(list).map_err(|error| AccountError::Unreadable { option, list, error })?;
    find_group(&String::from_utf8_lossy(&text), uid).ok_or(AccountError::NoGroup { option, uid, list })
}

fn id(option: &'static str, account: &Account, list: &'static str) -> Result<u32, AccountError> {
    let name = match account {
        Account::Id(id) => return Ok(*id),
        Account::Name(name) => name,
    };
    let text = fs::read(list).map_err(|error| AccountError::Unreadable { option, list, error })?;
    find(&String::from_utf8_lossy(&text), name).ok_or_else(|| AccountError::Unknown {
        option,
        name: name.clone(),
        list,
    })
}

/// Both lists begin their lines with name, password and number (passwd(5), group(5)).
fn find(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name)
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

/// The group of the user with this number, which follows it in the list.
fn find_group(text: &str, uid: u32) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let is_it = fields.next()?.parse() == Ok(uid);
        is_it.then(|| fields.next()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_whole() {
        let text = "root:x:0:0:root:/root:/bin/sh\nwww:x:bad\n\nweir-two:x:7:7\nweir:x:1001:1002::/:\n";
        assert_eq!(find(text, "root"), Some(0));
        assert_eq!(find(text, "weir"), Some(1001));
        for name in ["wei", "weir-", "www", "x", ""] {
            assert_eq!(find(text, name), None, "{name}");
        }
    }

    #[test]
    fn a_child_has_its_users_group_unless_another_is_named() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbad\nweir:x:1001:1002::/:\n";
        assert_eq!(find_group(text, 1001), Some(1002));
        assert_eq!(find_group(text, 1002), None);
        let named = child_user(&Account::Id(5_000_000), Some(&Account::Id(7))).unwrap();
        assert_eq!(named, (5_000_000, 7));
        assert_eq!(
            child_user(&Account::Id(5_000_000), None).unwrap_err().to_string(),
            "user = 5000000 has no group in /etc/passwd; write USER:GROUP"
        );
    }

    #[test]
    fn numbers_are_taken_as_they_are_and_unknown_names_are_refused() {
        let users = UnixUsers(vec![Account::Id(7), Account::Id(0), Account::Id(7)]);
        assert_eq!(user_ids(&users).unwrap(), [0, 7]);
        let nobody = UnixUsers(vec![Account::Name("no-such-user".to_owned())]);
        assert_eq!(
            user_ids(&nobody).unwrap_err().to_string(),
            "unix-peers names `no-such-user`, whom /etc/passwd does not have; name one it has, or give the number"
        );
        let owner = UnixOwner {
            user: None,
            group: Some(Account::Name("root".to_owned())),
        };
        assert_eq!(owner_ids(Some(&owner)).unwrap(), (None, Some(0)));
    }
}
