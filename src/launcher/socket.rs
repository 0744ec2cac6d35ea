//! One end of the socket pair between server and launcher: datagrams that keep their order and bring descriptors along.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Descriptors of a datagram: three pipe ends, and a file.
pub(super) const DESCRIPTORS_MAX: usize = 4;
/// Longer messages travel in a file. The kernel takes datagrams of up to about 200 KiB, and all that wait count.
pub(super) const DATAGRAM_BYTES_MAX: usize = 32 << 10;
/// A spec is no longer than this: the kernel's own limit of arguments and environment is 6 MiB at most.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What was sent, or may be.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// What came of trying to send.
#[derive(Debug)]
pub(super) enum Sent {
    Whole,
    /// The socket is full for now.
    Full(Datagram),
    /// Nobody reads any more.
    Broken(Datagram),
}

/// What was there to receive.
#[derive(Debug)]
pub(super) enum Received {
    Datagram(Datagram),
    Nothing,
    /// The other end is closed, and everything was read.
    End,
}

/// One end.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Both ends.
    pub(super) fn pair() -> io::Result<(Socket, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Socket(ours), theirs))
    }

    pub(super) fn new(descriptor: OwnedFd) -> Socket {
        Socket(descriptor)
    }

    /// Sends without waiting.
    pub(super) fn send(&self, datagram: Datagram) -> Sent {
        let descriptors: Vec<BorrowedFd<'_>> = datagram.descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(&self.0, &[IoSlice::new(&datagram.bytes)], &mut control, flags)
        });
        match sent {
            Ok(_) => Sent::Whole,
            // The kernel also bounds the descriptors that are on their way.
            Err(Errno::AGAIN | Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => Sent::Full(datagram),
            Err(_) => Sent::Broken(datagram),
        }
    }

    /// Receives without waiting.
    pub(super) fn receive(&self) -> Received {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
                Ok(message) if message.bytes == 0 => return Received::End,
                Ok(message) => {
                    bytes.truncate(message.bytes);
                    let mut descriptors = Vec::new();
                    for ancillary in control.drain() {
                        if let RecvAncillaryMessage::ScmRights(received) = ancillary {
                            descriptors.extend(received);
                        }
                    }
                    return Received::Datagram(Datagram { bytes, descriptors });
                }
                Err(Errno::AGAIN) => return Received::Nothing,
                // Said once, when the other end closed with datagrams unread; what it sent before can be read.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(_) => return Received::End,
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Bytes in a file without a name, for what is longer than a datagram.
pub(super) fn file_of(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("weir-child", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// The bytes of a file from [`file_of`].
pub(super) fn bytes_of(file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(file);
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(bytes: &[u8]) -> Datagram {
        Datagram {
            bytes: bytes.to_vec(),
            descriptors: Vec::new(),
        }
    }

    #[test]
    fn datagrams_keep_their_bounds_and_descriptors() {
        let (ours, theirs) = Socket::pair().unwrap();
        let theirs = Socket::new(theirs);
        assert!(matches!(theirs.receive(), Received::Nothing));
        let with_file = Datagram {
            bytes: b"one".to_vec(),
            descriptors: vec![file_of(&[7; 100_000]).unwrap()],
        };
        assert!(matches!(ours.send(with_file), Sent::Whole));
        assert!(matches!(ours.send(datagram(b"two")), Sent::Whole));
        drop(ours);
        let Received::Datagram(mut first) = theirs.receive() else {
            panic!("nothing came");
        };
        assert_eq!(first.bytes, b"one");
        assert_eq!(bytes_of(first.descriptors.remove(0)).unwrap(), [7; 100_000]);
        let Received::Datagram(second) = theirs.receive() else {
            panic!("only one came");
        };
        assert_eq!(second.bytes, b"two");
        assert!(matches!(theirs.receive(), Received::End));
        assert!(matches!(theirs.send(datagram(b"three")), Sent::Broken(_)));
    }

    #[test]
    fn a_full_socket_gives_the_datagram_back() {
        let (ours, theirs) = Socket::pair().unwrap();
        let back = loop {
            match ours.send(datagram(&[1; 10_000])) {
                Sent::Whole => {}
                Sent::Full(back) => break back,
                Sent::Broken(_) => panic!("the other end is open"),
            }
        };
        assert_eq!(back.bytes.len(), 10_000);
        drop(theirs);
    }

    #[test]
    fn an_end_with_unread_datagrams_is_read_to_its_end() {
        let (ours, theirs) = Socket::pair().unwrap();
        let theirs = Socket::new(theirs);
        assert!(matches!(ours.send(datagram(b"unread")), Sent::Whole));
        assert!(matches!(theirs.send(datagram(b"last words")), Sent::Whole));
        drop(theirs);
        assert!(matches!(ours.receive(), Received::Datagram(_)));
        assert!(matches!(ours.receive(), Received::End));
    }
}
