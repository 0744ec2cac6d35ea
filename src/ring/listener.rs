//! Listening sockets: one per shard on the same address, with their options set before bind.
//!
//! A listener accepts nothing by itself. Accepted sockets inherit `TCP_NODELAY`, keep-alive and the user timeout, so
//! accepting costs no further system call.
//!
//! Drain, in order: new connections go to other processes on the port (`steering`), or, without any,
//! [`stop_new_connections`] on every listener (clients retransmit and find the next process, or a refusal); a
//! short grace, [`accept_now`] until it is empty, close. Closing first would reset whatever is queued.
//!
//! A peer that vanished is noticed within a minute. If it was idle, the kernel probes it after `keepalive_idle` and
//! every `keepalive_interval`, and gives up at the first probe that is due once nothing was heard for `user_timeout`
//! (which overrides the number of probes where it is set, tcp(7)). If it owes acknowledgements, or keeps its window
//! shut, the kernel gives up after `user_timeout`.
#![allow(
    unsafe_code,
    reason = "socket filters and accept are system calls with pointers"
)]

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Where the flags lie in a TCP header, and SYN among them (RFC 9293, 3.1).
const TCP_FLAGS_OFFSET: u32 = 13;
const TCP_FLAG_SYN: u32 = 0x02;
/// This option exists since Linux 5.3; it is from `asm-generic/socket.h`, which the `libc` crate does not have in full.
const SO_DETACH_REUSEPORT_BPF: i32 = 68;

/// Options of a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Connections the kernel queues; it caps this at `net.core.somaxconn`.
    pub backlog: i32,
    /// Silence after which the kernel probes a peer.
    pub keepalive_idle: Duration,
    /// The time between probes.
    pub keepalive_interval: Duration,
    /// The number of unanswered probes that end a connection.
    pub keepalive_probes: u32,
    /// How long sent bytes may stay unacknowledged.
    pub user_timeout: Duration,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        ListenerOptions {
            backlog: 4096,
            keepalive_idle: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(5),
            keepalive_probes: 4,
            user_timeout: Duration::from_secs(50),
        }
    }
}

/// A socket that listens on `address`, beside other sockets of this user that listen there with `SO_REUSEPORT`: those
/// of other shards and other processes.
///
/// # Errors
/// Fails when the address is taken by another user's process, is not this machine's, or needs privileges.
pub fn listen(address: SocketAddr, options: ListenerOptions) -> io::Result<OwnedFd> {
    let socket = socket_for(address)?;
    socket.set_reuse_port(true)?;
    start_listening(&socket, address, options)?;
    Ok(socket.into())
}

/// A socket that is the first to listen on `address`: no other listens there, nor on an address that includes it or
/// that it includes. Others may follow with [`listen`].
///
/// The kernel decides it when the socket begins to listen, so that of processes that start at the same moment at most
/// one gets the address; it may be none.
///
/// # Errors
/// Fails like [`listen`], and with `AddrInUse` if anybody listens there.
pub fn listen_first(address: SocketAddr, options: ListenerOptions) -> io::Result<OwnedFd> {
    let socket = socket_for(address)?;
    start_listening(&socket, address, options)?;
    // From here on it shares the address. Connections that came before the group's second socket stay with this one.
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

fn start_listening(socket: &Socket, address: SocketAddr, options: ListenerOptions) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(options.keepalive_idle)
        .with_interval(options.keepalive_interval)
        .with_retries(options.keepalive_probes);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(options.user_timeout))?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)
}

/// The process that has an address now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressUse {
    /// No process has it.
    Free,
    /// Another process of this user, which shares it: new connections would be spread over both.
    Shared,
}

/// Finds out which process has `address`, by binding to it without listening, so that no connection notices.
///
/// # Errors
/// Fails like [`listen`].
pub fn address_use(address: SocketAddr) -> io::Result<AddressUse> {
    match socket_for(address)?.bind(&address.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let socket = socket_for(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            Ok(AddressUse::Shared)
        }
        bound => bound.map(|()| AddressUse::Free),
    }
}

fn socket_for(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // Connections of a process that ended may still linger here.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` listens on IPv6 alone; IPv4 is asked for by its own address.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// The address of a listener, with the port that the system chose if port 0 was asked for.
///
/// # Errors
/// Fails with the system's error when it is not an internet socket.
pub fn local_address(listener: &impl AsFd) -> io::Result<SocketAddr> {
    let address = SockRef::from(listener).local_addr()?;
    address
        .as_socket()
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Makes the listener ignore new connections without refusing them; those already queued stay acceptable.
///
/// # Errors
/// Fails with the system's error: without `CAP_NET_ADMIN` newer kernels refuse filters on TCP sockets.
pub fn stop_new_connections(listener: &impl AsFd) -> io::Result<()> {
    // The filter drops only SYNs: the last packet of a handshake that has begun must still get through. It sees the
    // TCP header first. Later sockets inherit it, which does no harm: they get no SYN.
    let drop_syns = [
        SockFilter::new(
            (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16,
            0,
            0,
            TCP_FLAGS_OFFSET,
        ),
        SockFilter::new(
            (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16,
            0,
            1,
            TCP_FLAG_SYN,
        ),
        SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
        SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&drop_syns)
}

/// One instruction of a packet program (classic BPF).
#[derive(Debug, Clone, Copy)]
pub struct Instruction(libc::sock_filter);

impl Instruction {
    const fn new(code: u32, jump_false: u8, operand: u32) -> Instruction {
        Instruction(libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf: jump_false,
            k: operand,
        })
    }

    /// Ends the program with this answer.
    pub const fn give(answer: u32) -> Instruction {
        Instruction::new(libc::BPF_RET | libc::BPF_K, 0, answer)
    }

    /// Loads a random number.
    pub const fn load_random() -> Instruction {
        let from = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;
        Instruction::new(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, from)
    }

    /// Loads two bytes of the packet, counted from its IP header.
    pub const fn load_network_half(offset: u32) -> Instruction {
        let from = (libc::SKF_NET_OFF as u32).wrapping_add(offset);
        Instruction::new(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, from)
    }

    /// Replaces what was loaded by its remainder modulo `divisor`, which is not zero.
    pub const fn modulo(divisor: u32) -> Instruction {
        Instruction::new(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, divisor)
    }

    /// Skips so many instructions unless what was loaded is `operand`.
    pub const fn skip_unless_equal(operand: u32, skipped: u8) -> Instruction {
        Instruction::new(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skipped, operand)
    }
}

/// Makes `program` choose, by its index, which socket of the group that shares this listener's port gets a new
/// connection; an index that no socket has leaves the choice to the kernel. The program holds for the whole group,
/// whichever processes have its sockets, and outlives this socket.
///
/// # Errors
/// Fails with the system's error; it refuses an invalid program.
pub fn attach_reuseport_program(listener: &impl AsFd, program: &[Instruction]) -> io::Result<()> {
    let filter: Vec<libc::sock_filter> = program.iter().map(|instruction| instruction.0).collect();
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        // The kernel copies it and writes nothing.
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: `program` names `filter`, whose length it says, and both outlive the call.
    unsafe { set_option(listener, libc::SO_ATTACH_REUSEPORT_CBPF, &program) }
}

/// Leaves the choice among the sockets of this listener's group to the kernel again.
///
/// # Errors
/// Fails when there is no program.
pub fn detach_reuseport_program(listener: &impl AsFd) -> io::Result<()> {
    // SAFETY: the option takes an integer, of which nothing is used.
    unsafe { set_option(listener, SO_DETACH_REUSEPORT_BPF, &0_i32) }
}

/// # Safety
/// `value` is of the type that the option takes, and what it names is readable.
unsafe fn set_option<T>(listener: &impl AsFd, option: i32, value: &T) -> io::Result<()> {
    let descriptor = listener.as_fd().as_raw_fd();
    // SAFETY: the value is borrowed for the call and as long as is said; the rest is the caller's promise.
    let result = unsafe {
        libc::setsockopt(
            descriptor,
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes one queued connection without waiting; `None` when the queue is empty.
///
/// # Errors
/// Fails with the system's error, such as used-up descriptors. A connection that broke while queued is skipped.
pub fn accept_now(listener: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    let descriptor = listener.as_fd().as_raw_fd();
    loop {
        // SAFETY: null asks for no address; the listener is non-blocking and borrowed for the call.
        let accepted = unsafe {
            libc::accept4(
                descriptor,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC,
            )
        };
        if accepted >= 0 {
            // SAFETY: a fresh descriptor nobody else owns.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(accepted) }));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock => return Ok(None),
            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    fn any_port() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    fn listening() -> (OwnedFd, SocketAddr) {
        let listener = listen(any_port(), ListenerOptions::default()).unwrap();
        let address = local_address(&listener).unwrap();
        (listener, address)
    }

    #[test]
    fn accepted_connections_inherit_the_options() {
        let (listener, address) = listening();
        let _peer = TcpStream::connect(address).unwrap();
        let accepted = accept_now(&listener).unwrap().unwrap();
        let socket = SockRef::from(&accepted);
        let options = ListenerOptions::default();
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), options.keepalive_idle);
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            options.keepalive_interval
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), options.keepalive_probes);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(options.user_timeout));
        assert!(!socket.nonblocking().unwrap(), "the ring waits for it");
    }

    #[test]
    fn a_vanished_peer_is_gone_within_a_minute() {
        let options = ListenerOptions::default();
        let by_probes = options.keepalive_idle + options.keepalive_interval * options.keepalive_probes;
        // The last probe may fall short of the timeout by a moment; the next one does not.
        let latest = by_probes.max(options.user_timeout) + options.keepalive_interval;
        assert!(latest < Duration::from_secs(60), "{latest:?}");
        assert_eq!(
            by_probes, options.user_timeout,
            "probes and acknowledgements agree"
        );
    }

    #[test]
    fn shards_share_an_address() {
        let (_listener, address) = listening();
        let second = listen(address, ListenerOptions::default()).unwrap();
        assert_eq!(local_address(&second).unwrap(), address);
    }

    #[test]
    fn the_first_listener_is_alone_and_others_may_follow() {
        let options = ListenerOptions::default();
        let first = listen_first(any_port(), options).unwrap();
        let address = local_address(&first).unwrap();
        let busy = |address: SocketAddr| {
            let refused = listen_first(address, options).map(|_| ()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{address}");
        };
        busy(address);
        // Every address includes this one, and the other way round.
        busy((Ipv4Addr::UNSPECIFIED, address.port()).into());
        let followers: Vec<OwnedFd> = (0..3).map(|_| listen(address, options).unwrap()).collect();
        busy(address);
        assert_eq!(address_use(address).unwrap(), AddressUse::Shared);
        // All of them are one group: the kernel spreads connections over it.
        let peers: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
        for listener in followers.iter().chain([&first]) {
            assert!(
                accept_now(listener).unwrap().is_some(),
                "{} connections",
                peers.len()
            );
        }
        drop(first);
        busy(address);
        drop(followers);
        drop(peers);
        let everywhere = listen_first((Ipv4Addr::UNSPECIFIED, 0).into(), options).unwrap();
        let port = local_address(&everywhere).unwrap().port();
        busy((Ipv4Addr::LOCALHOST, port).into());
        // The two families do not meet.
        match listen_first((std::net::Ipv6Addr::UNSPECIFIED, port).into(), options) {
            Ok(_) => {}
            // A machine without IPv6, or a program of somebody else's.
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::InvalidInput, "{error}"),
        }
    }

    #[test]
    fn of_many_that_start_at_once_at_most_one_is_the_first() {
        for _ in 0..20 {
            let address =
                local_address(&listen_first(any_port(), ListenerOptions::default()).unwrap()).unwrap();
            let starts = std::sync::Barrier::new(8);
            let first: usize = std::thread::scope(|scope| {
                let start = || {
                    starts.wait();
                    let listener = listen_first(address, ListenerOptions::default());
                    // Nobody leaves before all have tried.
                    starts.wait();
                    usize::from(listener.is_ok())
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert!(first <= 1, "{first} listen on {address}");
        }
    }

    #[test]
    fn an_address_is_free_shared_or_taken() {
        assert_eq!(address_use(any_port()).unwrap(), AddressUse::Free);
        let (_ours, address) = listening();
        assert_eq!(address_use(address).unwrap(), AddressUse::Shared);
        let unshared = TcpListener::bind(any_port()).unwrap();
        let error = address_use(unshared.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_empty_queue_does_not_block() {
        let (listener, _) = listening();
        assert!(accept_now(&listener).unwrap().is_none());
    }

    #[test]
    fn stopping_keeps_the_queue_and_ignores_newcomers() {
        let (listener, address) = listening();
        let mut queued = TcpStream::connect(address).unwrap();
        stop_new_connections(&listener).unwrap();
        // A refusal would come at once; silence is all that can be waited for.
        let newcomer = TcpStream::connect_timeout(&address, Duration::from_millis(300));
        assert_eq!(newcomer.unwrap_err().kind(), io::ErrorKind::TimedOut);
        queued.write_all(b"after the stop").unwrap();
        let mut accepted = TcpStream::from(accept_now(&listener).unwrap().unwrap());
        assert!(accept_now(&listener).unwrap().is_none());
        let mut bytes = [0; 14];
        accepted.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"after the stop");
        accepted.write_all(b"answer").unwrap();
        drop(accepted);
        let mut answer = Vec::new();
        queued.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"answer");
    }
}
