//! Where a server listens: addresses of the internet, and Unix sockets with who may connect to them.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::field::Value;
use super::kind::Kind;
use super::text;

/// The prefix of Unix sockets among addresses.
const UNIX: &str = "unix:";
/// The bytes of a path or name: the kernel's field has 108 (unix(7)), of which one ends a path or begins a name.
const NAME_BYTES_MAX: usize = 107;

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// An address and port; port 0 takes a free one.
    Internet(SocketAddr),
    /// A Unix socket, for processes of this machine.
    Unix(UnixName),
}

/// The name of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnixName {
    /// A file, of at most 107 bytes; its directory exists.
    Path(PathBuf),
    /// A name in the network namespace, of at most 107 bytes, with no file and so no mode: whoever may connect must be
    /// named (`EndpointSettings::unix_peers`).
    Abstract(String),
}

impl ListenAddress {
    /// The address and port, unless it is a Unix socket.
    pub fn internet(&self) -> Option<SocketAddr> {
        match self {
            Self::Internet(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The name of the Unix socket, if it is one.
    pub fn unix(&self) -> Option<&UnixName> {
        match self {
            Self::Internet(_) => None,
            Self::Unix(name) => Some(name),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Internet(address)
    }
}

impl From<UnixName> for ListenAddress {
    fn from(name: UnixName) -> Self {
        Self::Unix(name)
    }
}

/// As it is typed.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => address.fmt(f),
            Self::Unix(name) => write!(f, "{UNIX}{name}"),
        }
    }
}

/// Without the prefix.
impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

impl Value for ListenAddress {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            Some(name) => {
                let name = match name.strip_prefix('@') {
                    Some(name) => UnixName::Abstract(name.to_owned()),
                    None => UnixName::Path(name.into()),
                };
                name.check().map(Self::Unix)
            }
            None => text::parse_address(text)
                .map(Self::Internet)
                .map_err(|reason| format!("{reason}; `unix:/run/weir.sock` is a Unix socket")),
        }
    }

    fn show(&self, _: Kind) -> String {
        self.to_string()
    }

    /// A path need not be Unicode, and might not survive being shown.
    fn checked(&self, _: Kind) -> Result<Self, String> {
        match self {
            Self::Internet(_) => Ok(self.clone()),
            Self::Unix(name) => name.clone().check().map(Self::Unix),
        }
    }
}

impl UnixName {
    fn check(self) -> Result<Self, String> {
        const HINT: &str =
            "write for example `unix:/run/weir.sock`, or `unix:@weir` for a name without a file";
        let (what, bytes) = match &self {
            Self::Path(path) => ("path", path.as_os_str().as_bytes()),
            Self::Abstract(name) => ("name", name.as_bytes()),
        };
        if bytes.is_empty() {
            Err(format!("names no Unix socket; {HINT}"))
        } else if bytes.contains(&0) {
            Err(format!("contains a NUL; {HINT}"))
        } else if matches!(&self, Self::Path(path) if is_directory_name(path)) {
            Err(format!("names a directory; {HINT}"))
        } else if bytes.len() > NAME_BYTES_MAX {
            Err(format!(
                "has a {what} of {} bytes, and a Unix socket's has at most {NAME_BYTES_MAX}; choose a shorter one",
                bytes.len()
            ))
        } else {
            Ok(self)
        }
    }
}

fn is_directory_name(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/") || path.file_name().is_none()
}

/// The permissions of a socket file. Whoever may write may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixMode(pub u32);

impl UnixMode {
    /// This user alone.
    pub const DEFAULT: Self = Self(0o600);
}

impl Value for UnixMode {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        const PERMISSIONS: u32 = 0o777;
        const OWNER: u32 = 0o600;
        let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
        mode.filter(|mode| mode & !PERMISSIONS == 0 && mode & OWNER == OWNER)
            .map(Self)
            .ok_or_else(|| {
                "is not a mode that lets its owner connect; write `0600` for the owner, `0660` for the group, too, or \
                 `0666` for everybody"
                    .to_owned()
            })
    }

    fn show(&self, _: Kind) -> String {
        format!("{:04o}", self.0)
    }
}

/// A user or a group, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// As the machine's list of users or groups has it.
    Name(String),
    /// The number.
    Id(u32),
}

impl Account {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_name = !text.is_empty()
            && text
                .chars()
                .all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, ':' | ',' | '/'));
        if !is_name {
            return None;
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // -1 means "leave it" to the kernel.
            let id = text.parse().ok().filter(|id| *id != u32::MAX);
            return id.map(Self::Id);
        }
        Some(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// Who owns a socket file: `USER`, `USER:GROUP` or `:GROUP`. What is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixOwner {
    /// The user.
    pub user: Option<Account>,
    /// The group.
    pub group: Option<Account>,
}

impl Value for UnixOwner {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let owner = Self {
            user: Account::parse(user),
            group: group.and_then(Account::parse),
        };
        let is_whole = owner.user.is_some() || user.is_empty() && owner.group.is_some();
        if is_whole && owner.group.is_some() == group.is_some() {
            Ok(owner)
        } else {
            Err("is not an owner; write `USER`, `USER:GROUP` or `:GROUP`, as names or numbers".to_owned())
        }
    }

    fn show(&self, _: Kind) -> String {
        let user = self.user.as_ref().map(Account::to_string).unwrap_or_default();
        match &self.group {
            Some(group) => format!("{user}:{group}"),
            None => user,
        }
    }
}

/// The users whose processes may connect to Unix sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixUsers(pub Vec<Account>);

impl Value for UnixUsers {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        let users: Option<Vec<Account>> = text.split(',').map(|user| Account::parse(user.trim())).collect();
        users
            .map(Self)
            .ok_or_else(|| "is not a list of users; write for example `1000,www-data`".to_owned())
    }

    fn show(&self, _: Kind) -> String {
        let users: Vec<String> = self.0.iter().map(Account::to_string).collect();
        users.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T: Value>(text: &str) -> Result<String, String> {
        T::parse(text, Kind::Listen).map(|value| value.show(Kind::Listen))
    }

    #[test]
    fn an_address_is_of_the_internet_or_a_unix_socket() {
        for text in [
            "127.0.0.1:80",
            "unix:/run/weir.sock",
            "unix:weir.sock",
            "unix:@weir",
            "unix:@/a b",
        ] {
            assert_eq!(parsed::<ListenAddress>(text).as_deref(), Ok(text));
        }
        for (text, reason) in [
            ("unix:", "names no Unix socket"),
            ("unix:@", "names no Unix socket"),
            ("unix:/run/", "names a directory"),
            ("unix:..", "names a directory"),
            ("unix:a\0b", "contains a NUL"),
            ("/run/weir.sock", "`unix:/run/weir.sock` is a Unix socket"),
            ("Unix:/run/weir.sock", "is not an address with a port"),
        ] {
            let refused = parsed::<ListenAddress>(text).unwrap_err();
            assert!(refused.contains(reason), "{text:?}: {refused}");
        }
        let name = UnixName::Path(PathBuf::from(std::ffi::OsStr::from_bytes(b"/run/\xff.sock")));
        let odd = ListenAddress::Unix(name);
        assert_eq!(odd.checked(Kind::Listen), Ok(odd.clone()));
    }

    #[test]
    fn a_name_has_107_bytes_at_most() {
        for (start, kind) in [("unix:/", "path"), ("unix:@", "name")] {
            let of = |bytes: usize| {
                let slash = usize::from(kind == "path");
                format!("{start}{}", "x".repeat(bytes - slash))
            };
            assert!(parsed::<ListenAddress>(&of(107)).is_ok());
            let refused = parsed::<ListenAddress>(&of(108)).unwrap_err();
            assert_eq!(
                refused,
                format!(
                    "has a {kind} of 108 bytes, and a Unix socket's has at most 107; choose a shorter one"
                )
            );
        }
    }

    #[test]
    fn a_mode_is_octal_and_lets_its_owner_connect() {
        for (text, shown) in [("0600", "0600"), ("660", "0660"), ("0777", "0777")] {
            assert_eq!(parsed::<UnixMode>(text).as_deref(), Ok(shown));
        }
        for text in [
            "",
            "0",
            "0060",
            "0400",
            "1777",
            "0800",
            "rw",
            "-1",
            "0o600",
            "77777777777777",
        ] {
            assert!(parsed::<UnixMode>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn owners_and_users_are_names_or_numbers() {
        for text in ["weir", "0", "weir:www-data", ":www-data", "1000:1000"] {
            assert_eq!(parsed::<UnixOwner>(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            ":",
            "weir:",
            "a:b:c",
            "a b",
            "4294967295",
            "99999999999",
            "a/b",
            "a,b",
        ] {
            assert!(parsed::<UnixOwner>(text).is_err(), "{text}");
        }
        assert_eq!(parsed::<UnixUsers>("0, www-data").as_deref(), Ok("0,www-data"));
        for text in ["", ",", "1,", "a:b"] {
            assert!(parsed::<UnixUsers>(text).is_err(), "{text}");
        }
    }
}
