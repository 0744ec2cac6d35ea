//! Users and groups by name, as this machine's own lists have them.
//!
//! Only `/etc/passwd` and `/etc/group` are read. Accounts of other directories, such as LDAP, are named by number.

use std::fs;
use std::io;

use crate::config::{Account, UnixOwner, UnixUsers};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// An account cannot be found.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountError {
    #[error("{option} names `{name}`, whom {list} does not have; name one it has, or give the number")]
    Unknown {
        option: &'static str,
        name: String,
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
