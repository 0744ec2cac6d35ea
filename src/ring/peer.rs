//! The other end of a connection: an address of the internet, or a process of this machine.
#![allow(unsafe_code, reason = "asking for credentials is a system call with pointers")]

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A client with an address.
    Internet(SocketAddr),
    /// A process of this machine, over a Unix socket.
    Process(Credentials),
}

/// The process that connected, as it was then (`SO_PEERCRED`, unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process; 0 if it is not visible from here, as from another container.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Internet(address) => address.fmt(f),
            Peer::Process(process) => {
                let Credentials { pid, uid, gid } = process;
                write!(f, "unix:uid={uid},gid={gid},pid={pid}")
            }
        }
    }
}

/// The process at the other end of a connected Unix socket.
///
/// # Errors
/// Fails with the system's error, when it is none.
pub(super) fn credentials(socket: &impl AsFd) -> io::Result<Credentials> {
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut bytes = mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `bytes` bytes to `found`, which is as large; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            std::ptr::from_mut(&mut found).cast(),
            &raw mut bytes,
        )
    };
    match result {
        0 => Ok(Credentials {
            pid: found.pid,
            uid: found.uid,
            gid: found.gid,
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    /// The kernel keeps who the peer is.
    #[test]
    fn a_connection_is_two_descriptors_and_their_kinds() {
        assert_eq!(size_of::<crate::ring::Socket>(), 12);
    }

    #[test]
    fn the_process_at_the_other_end_is_known() {
        let (one, _other) = UnixStream::pair().unwrap();
        let found = credentials(&one).unwrap();
        assert_eq!(found.pid, std::process::id().cast_signed());
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
        assert_eq!(found.gid, rustix::process::getegid().as_raw());
        let shown = Peer::Process(Credentials {
            pid: 3,
            uid: 1,
            gid: 2,
        });
        assert_eq!(shown.to_string(), "unix:uid=1,gid=2,pid=3");
    }
}
