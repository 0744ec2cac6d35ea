//! Where a server's metrics are.

use std::fmt;
use std::str::FromStr;

use crate::units::{Authority, HostName};

/// The path of metrics, for an address that names none.
const PATH: &str = "/metrics";

/// The port of admin listeners, for an address that names none: the default of `--admin`.
const PORT: u16 = 9464;

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Weir's admin listener speaks no TLS, and neither does this.
    #[error("{0} is https, which the admin listener does not speak; give http://…")]
    Https(String),
    /// Another scheme, or nothing that names a host.
    #[error("{0} is no address of an admin listener, such as 127.0.0.1:9464 or http://host:9464")]
    Malformed(String),
}

/// The address of an admin listener: `127.0.0.1:9464`, `http://host:9464`, with another path if something in between
/// changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAddress {
    /// The host as sockets want it, an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The host and port as HTTP wants them.
    pub(super) authority: String,
    pub(super) path: String,
}

impl FromStr for AdminAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        if text.starts_with("https://") {
            return Err(AddressError::Https(text.to_owned()));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        if rest.contains("://") {
            return Err(malformed());
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // A port alone means this machine, as in `:9464`.
        let authority = match authority.strip_prefix(':') {
            Some(port) => format!("127.0.0.1:{port}"),
            None => authority.to_owned(),
        };
        let parsed = Authority::parse(authority.as_bytes()).ok_or_else(malformed)?;
        let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !path.bytes().all(is_visible) {
            return Err(malformed());
        }
        let port = parsed.port.unwrap_or(PORT);
        let (host, shown) = match parsed.host {
            HostName::Name(name) => (name.to_owned(), name.to_owned()),
            HostName::V6(address) => (address.to_string(), format!("[{address}]")),
        };
        let path = if matches!(path, "" | "/") { PATH } else { path };
        Ok(Self {
            host,
            port,
            authority: format!("{shown}:{port}"),
            path: path.to_owned(),
        })
    }
}

/// The host and port; the path where it is not the usual one.
impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)?;
        f.write_str(if self.path == PATH { "" } else { &self.path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, host, authority, path, shown) in [
            (
                "127.0.0.1:9464",
                "127.0.0.1",
                "127.0.0.1:9464",
                "/metrics",
                "127.0.0.1:9464",
            ),
            ("http://host:81", "host", "host:81", "/metrics", "host:81"),
            ("http://host/", "host", "host:9464", "/metrics", "host:9464"),
            (
                "host/weir/metrics?a=b",
                "host",
                "host:9464",
                "/weir/metrics?a=b",
                "host:9464/weir/metrics?a=b",
            ),
            (":1", "127.0.0.1", "127.0.0.1:1", "/metrics", "127.0.0.1:1"),
            (
                "http://[::1]:9464/metrics",
                "::1",
                "[::1]:9464",
                "/metrics",
                "[::1]:9464",
            ),
        ] {
            let address: AdminAddress = text.parse().unwrap();
            assert_eq!(
                (
                    address.host.as_str(),
                    address.authority.as_str(),
                    address.path.as_str()
                ),
                (host, authority, path),
                "{text}"
            );
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "ftp://a",
            "user:secret@host:1",
            "a b",
            "a:70000",
            "::1",
            "host/a b",
            "host/\r\nX: y",
        ] {
            let refused = text.parse::<AdminAddress>().unwrap_err();
            assert_eq!(refused, AddressError::Malformed(text.to_owned()));
        }
        assert!(matches!(
            "https://a".parse::<AdminAddress>(),
            Err(AddressError::Https(_))
        ));
    }
}
