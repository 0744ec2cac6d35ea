//! A port that several processes share: sending its new connections to the others while this one drains.
//!
//! The kernel spreads a port's connections over all sockets that listen on it, of whichever process of the user
//! (`SO_REUSEPORT`). A program attached to the group can choose the socket instead, by its index
//! (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)), which needs no privilege. The kernel does not tell the indices: a socket
//! that begins to listen becomes the last, and where one goes the last takes its place. So this module finds them out.
//! For a moment each of our listeners announces a segment size of its own, and the program steers a connection from a
//! port that it knows to one index after the other: the size that the connection is offered says which listener is
//! there, if it is ours. Other processes see connections that end without a byte, as a load balancer's probes do;
//! connections that come meanwhile go where they would have gone.
//!
//! ```text
//! [ours, ours, theirs, theirs] ── steer to 2, 3 ── grace, our queues empty ── close one ──► [theirs, ours, theirs]
//!       ── steer to 0, 2 ── no program, close the last ──► [theirs, theirs]
//! ```
//!
//! A program stays with the group after the process that attached it has gone, and would steer connections wrongly once
//! indices change, so it is detached before our last socket is closed. The microseconds between are the one moment in
//! which a connection can still be lost. Two processes that drain at the same time overwrite each other's program;
//! their listeners then accept what comes, and the rest is as without a program.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::listener::{self, Instruction};

/// A handshake with one's own machine takes microseconds; a listener whose queue is full does not answer at all.
const PROBE_PATIENCE: Duration = Duration::from_millis(100);
/// The difference between the sizes that listeners announce: more than TCP's options take of a segment.
const SIZE_STEP: u32 = 16;
/// The least segment size that a listener announces.
const SIZE_MIN: u32 = 536;
/// The number of sockets on one port beyond which a program cannot choose among them.
const SOCKETS_MAX: usize = 1024;
/// No socket has this index: the kernel chooses by itself.
const KERNELS_CHOICE: u32 = u32::MAX;

/// This process's listeners on one address.
#[derive(Debug)]
pub struct Group {
    address: SocketAddr,
    listeners: Vec<Arc<OwnedFd>>,
    /// The indices to which new connections are steered; empty while they are not steered.
    targets: Vec<u32>,
}

/// The way in which new connections are kept away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diverted {
    /// They go to this many other sockets on the same address.
    Steered(usize),
    /// No other process listens: their first packets are ignored, and clients send them again a second later, when they
    /// meet a refusal or the next process.
    Ignored,
}

/// A socket of the port, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// One of our listeners; this many of ours come before it.
    Ours(usize),
    Theirs,
}

impl Group {
    /// All of this process's listeners on `address`.
    pub fn new(address: SocketAddr, listeners: Vec<Arc<OwnedFd>>) -> Group {
        Group {
            address,
            listeners,
            targets: Vec::new(),
        }
    }

    /// Keeps new connections away from these listeners; what is queued in them stays acceptable.
    ///
    /// # Errors
    /// Neither way works: connections that come in the last moment before the listeners are closed see a reset.
    pub fn divert_new_connections(&mut self) -> io::Result<Diverted> {
        self.targets = self.try_steer().unwrap_or_else(|error| {
            tracing::debug!(%error, "new connections cannot be steered to other processes");
            Vec::new()
        });
        if !self.targets.is_empty() {
            return Ok(Diverted::Steered(self.targets.len()));
        }
        self.listeners
            .iter()
            .try_for_each(listener::stop_new_connections)?;
        Ok(Diverted::Ignored)
    }

    /// Steers new connections to other processes' sockets, and returns their indices: none if no other process listens.
    fn try_steer(&self) -> io::Result<Vec<u32>> {
        let count = listening_on(self.address)?;
        if count <= self.listeners.len() || count > SOCKETS_MAX {
            return Ok(Vec::new());
        }
        let theirs = indices_of_others(&self.members(count, &[])?);
        if !theirs.is_empty() {
            self.attach(&choose(&theirs))?;
        }
        Ok(theirs)
    }

    /// Whether nothing else in this process holds the listeners any more, so that they can be closed.
    pub fn is_released(&self) -> bool {
        self.listeners
            .iter()
            .all(|listener| Arc::strong_count(listener) == 1)
    }

    /// Closes the listeners, and leaves the others in the port's group as if ours had never been there.
    pub fn close(mut self) {
        if !self.targets.is_empty() && self.is_released() {
            // A process that began or ceased to listen meanwhile has changed the indices.
            let members = listening_on(self.address).and_then(|count| self.members(count, &self.targets));
            if let Ok(members) = members {
                self.close_in_turn(members);
            }
        }
        // A thread whose time slice has just begun is unlikely to lose the CPU between the two that follow.
        std::thread::yield_now();
        self.detach();
        drop(self);
    }

    fn close_in_turn(&mut self, mut members: Vec<Member>) {
        while self.listeners.len() > 1 {
            let last = |(index, member): (usize, &Member)| match member {
                Member::Ours(listener) => Some((index, *listener)),
                Member::Theirs => None,
            };
            let Some((index, listener)) = members.iter().enumerate().filter_map(last).next_back() else {
                return;
            };
            let mut after = members.clone();
            after.swap_remove(index);
            // These indices belong to other processes before and after.
            let both = |index: &u32| after.get(*index as usize) == Some(&Member::Theirs);
            let mut safe = indices_of_others(&members);
            if safe.iter().any(both) {
                safe.retain(both);
            }
            if self.attach(&choose(&safe)).is_err() {
                return;
            }
            // This list follows the kernel's: the last socket takes the place that falls free.
            drop(self.listeners.remove(listener));
            for member in &mut after {
                if let Member::Ours(place) = member
                    && *place > listener
                {
                    *place -= 1;
                }
            }
            members = after;
            if self.attach(&choose(&indices_of_others(&members))).is_err() {
                return;
            }
        }
    }

    /// Finds out whose socket each of `count` indices is; meanwhile connections go to `theirs`, or where the kernel
    /// chooses.
    fn members(&self, count: usize, theirs: &[u32]) -> io::Result<Vec<Member>> {
        let sizes = Sizes::of(self.address, self.listeners.len())?;
        for (number, listener) in self.listeners.iter().enumerate() {
            SockRef::from(listener).set_tcp_mss(sizes.of_listener(number))?;
        }
        let members = (0..count).map(|index| {
            let probe = probe_socket(self.address)?;
            self.attach(&steer(port_of(&probe)?, self.address, index as u32, theirs))?;
            let offered = connect(&probe, self.address)?;
            Ok(sizes.listener(offered).map_or(Member::Theirs, Member::Ours))
        });
        let members: io::Result<Vec<Member>> = members.collect();
        for listener in &self.listeners {
            // Zero leaves the choice to the kernel.
            SockRef::from(listener).set_tcp_mss(0)?;
        }
        let members = members.inspect_err(|_| self.detach())?;
        let found = members.iter().filter(|member| **member != Member::Theirs).count();
        if found != self.listeners.len() {
            self.detach();
            return Err(io::Error::other("the sockets on the port changed"));
        }
        Ok(members)
    }

    fn attach(&self, program: &[Instruction]) -> io::Result<()> {
        match self.listeners.first() {
            Some(listener) => listener::attach_reuseport_program(listener, program),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn detach(&self) {
        if let Some(listener) = self.listeners.first() {
            // Without a program there is none to detach.
            let _ = listener::detach_reuseport_program(listener);
        }
    }
}

fn indices_of_others(members: &[Member]) -> Vec<u32> {
    let indices = (0..).zip(members);
    let theirs = indices.filter(|(_, member)| **member == Member::Theirs);
    theirs.map(|(index, _)| index).collect()
}

/// The segment sizes by which listeners tell themselves apart.
struct Sizes {
    largest: u32,
    count: u32,
}

impl Sizes {
    /// Half of the usual size on this machine, so that it does not occur otherwise, and large enough that clients from
    /// elsewhere do not notice.
    fn of(address: SocketAddr, count: usize) -> io::Result<Sizes> {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        listener.bind(&SocketAddr::new(reachable(address).ip(), 0).into())?;
        listener.listen(1)?;
        let there = listener
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::Unsupported)?;
        let probe = probe_socket(there)?;
        let sizes = Sizes {
            largest: connect(&probe, there)? / 2,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        };
        let least = sizes.largest.checked_sub(sizes.count.saturating_mul(SIZE_STEP));
        match least {
            Some(least) if least >= SIZE_MIN => Ok(sizes),
            _ => Err(io::Error::other(
                "segments are too small to tell so many listeners apart",
            )),
        }
    }

    fn of_listener(&self, number: usize) -> u32 {
        self.largest - SIZE_STEP * number as u32
    }

    /// The listener that offered segments of this size. What TCP's options take of each is less than a step.
    fn listener(&self, offered: u32) -> Option<usize> {
        let number = self.largest.checked_sub(offered)? / SIZE_STEP;
        (number < self.count).then_some(number as usize)
    }
}

/// A socket bound to a port of its own, that `address` can be reached from.
fn probe_socket(address: SocketAddr) -> io::Result<Socket> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    probe.bind(&SocketAddr::new(reachable(address).ip(), 0).into())?;
    Ok(probe)
}

fn port_of(probe: &Socket) -> io::Result<u16> {
    let address = probe.local_addr()?.as_socket();
    Ok(address.ok_or(io::ErrorKind::Unsupported)?.port())
}

/// Connects, and returns the size of the segments that may then be sent.
fn connect(probe: &Socket, address: SocketAddr) -> io::Result<u32> {
    probe.connect_timeout(&reachable(address).into(), PROBE_PATIENCE)?;
    probe.tcp_mss()
}

/// The address under which this machine reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A program that chooses one of `indices` at random, each with the same probability.
fn choose(indices: &[u32]) -> Vec<Instruction> {
    let Some((last, others)) = indices.split_last() else {
        return vec![Instruction::give(KERNELS_CHOICE)];
    };
    let mut program = vec![
        Instruction::load_random(),
        Instruction::modulo(indices.len() as u32),
    ];
    for (number, index) in (0..).zip(others) {
        program.push(Instruction::skip_unless_equal(number, 1));
        program.push(Instruction::give(*index));
    }
    program.push(Instruction::give(*last));
    program
}

/// A program that steers connections from `port` to `index`, and others as [`choose`] does.
fn steer(port: u16, address: SocketAddr, index: u32, others: &[u32]) -> Vec<Instruction> {
    /// IP headers without options, which none of ours has.
    const HEADER_BYTES_V4: u32 = 20;
    const HEADER_BYTES_V6: u32 = 40;
    let header_bytes = if address.is_ipv4() {
        HEADER_BYTES_V4
    } else {
        HEADER_BYTES_V6
    };
    let mut program = vec![
        Instruction::load_network_half(header_bytes),
        Instruction::skip_unless_equal(port.into(), 1),
        Instruction::give(index),
    ];
    program.extend(choose(others));
    program
}

/// How many sockets listen on exactly this address, whoever has them.
fn listening_on(address: SocketAddr) -> io::Result<usize> {
    let path = if address.is_ipv4() {
        "/proc/self/net/tcp"
    } else {
        "/proc/self/net/tcp6"
    };
    #[allow(clippy::disallowed_methods, reason = "no shard counts sockets")]
    let table = BufReader::new(File::open(path)?);
    count_listening(table, &address_in_table(address))
}

/// Listening sockets come first in the table.
fn count_listening(table: impl BufRead, address: &str) -> io::Result<usize> {
    const LISTEN: &str = "0A";
    let mut count = 0;
    for line in table.lines().skip(1) {
        let line = line?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, state) = (fields.next(), fields.nth(1));
        if state != Some(LISTEN) {
            break;
        }
        count += usize::from(local == Some(address));
    }
    Ok(count)
}

/// An address as the kernel prints it: words of the machine's order, in hexadecimal (proc(5)).
fn address_in_table(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks(4).map(|word| {
        let word = word.try_into().map_or(0, u32::from_ne_bytes);
        format!("{word:08X}")
    });
    let words: String = words.collect();
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::super::listener::{ListenerOptions, accept_now, listen, local_address};
    use super::*;

    const LOCALHOSTS: [&str; 4] = ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"];

    /// `count` listeners on one address.
    fn listeners(address: SocketAddr, count: usize) -> (SocketAddr, Vec<Arc<OwnedFd>>) {
        let mut bound = address;
        let listeners = (0..count).map(|_| {
            let listener = listen(bound, ListenerOptions::default()).unwrap();
            bound = local_address(&listener).unwrap();
            Arc::new(listener)
        });
        let listeners = listeners.collect();
        (bound, listeners)
    }

    /// Which listeners got connections since the last look.
    fn accepted(listeners: &[Arc<OwnedFd>]) -> Vec<usize> {
        let drain = |listener: &Arc<OwnedFd>| std::iter::from_fn(|| accept_now(listener).unwrap()).count();
        listeners.iter().map(drain).collect()
    }

    /// The same, once so many have come in all, or too long a time is over: the last packet of a handshake may be on
    /// its way when the client has its connection.
    fn accepted_in_time(listeners: &[Arc<OwnedFd>], expected: usize) -> Vec<usize> {
        let mut counts = vec![0; listeners.len()];
        for _ in 0..1_000 {
            for (count, more) in counts.iter_mut().zip(accepted(listeners)) {
                *count += more;
            }
            if counts.iter().sum::<usize>() >= expected {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        counts
    }

    fn connect_often(address: SocketAddr, times: usize) {
        for _ in 0..times {
            drop(TcpStream::connect(reachable(address)).unwrap());
        }
    }

    #[test]
    fn sockets_that_listen_are_counted_whoever_has_them() {
        for address in LOCALHOSTS {
            let (address, listeners) = listeners(address.parse().unwrap(), 3);
            assert_eq!(listening_on(address).unwrap(), 3, "{address}");
            let _connected = TcpStream::connect(reachable(address)).unwrap();
            drop(listeners);
            assert_eq!(listening_on(address).unwrap(), 0, "{address}");
        }
        assert_eq!(address_in_table("127.0.0.1:80".parse().unwrap()), "0100007F:0050");
    }

    #[test]
    fn new_connections_go_to_others_and_none_is_lost_while_the_listeners_close() {
        for (address, ours_first) in LOCALHOSTS
            .into_iter()
            .flat_map(|address| [(address, true), (address, false)])
        {
            for (ours, theirs) in [(1, 1), (2, 2), (3, 1), (1, 3)] {
                let case =
                    format!("{ours} of ours, {theirs} of others, on {address}, ours first: {ours_first}");
                let (bound, first) =
                    listeners(address.parse().unwrap(), if ours_first { ours } else { theirs });
                let (_, second) = listeners(bound, if ours_first { theirs } else { ours });
                let (mine, others) = if ours_first {
                    (first, second)
                } else {
                    (second, first)
                };
                let mut group = Group::new(bound, mine.clone());
                assert_eq!(
                    group.divert_new_connections().unwrap(),
                    Diverted::Steered(theirs),
                    "{case}"
                );
                accepted(&mine);
                accepted(&others);
                connect_often(bound, 40);
                let got = accepted_in_time(&others, 40);
                assert_eq!(accepted(&mine), vec![0; ours], "{case}");
                assert_eq!(got.iter().sum::<usize>(), 40, "{case}");
                // One in four would be missed by all forty once in a hundred thousand times.
                assert!(got.iter().all(|count| *count > 0), "{case}: {got:?}");
                assert!(!group.is_released());
                drop(mine);
                assert!(group.is_released());
                group.close();
                accepted(&others);
                connect_often(bound, 40);
                let got = accepted_in_time(&others, 40);
                assert_eq!(got.iter().sum::<usize>(), 40, "{case}");
                // A later listener gets its share again: no program was left behind.
                let (_, late) = listeners(bound, 1);
                connect_often(bound, 200);
                assert!(accepted(&late)[0] > 0, "{case}");
            }
        }
    }

    #[test]
    fn indices_are_found_after_sockets_have_come_and_gone() {
        let (bound, mut all) = listeners("127.0.0.1:0".parse().unwrap(), 7);
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..30 {
            drop(all.swap_remove(random.usize(..all.len())));
            all.push(listeners(bound, 1).1.remove(0));
            // The list is kept as the kernel keeps its own.
            let mine: Vec<usize> = (0..all.len()).filter(|_| random.bool()).collect();
            if mine.is_empty() {
                continue;
            }
            let ours = mine.iter().map(|index| Arc::clone(&all[*index])).collect();
            let group = Group::new(bound, ours);
            let found = group.members(all.len(), &[]).unwrap();
            group.detach();
            for (index, member) in found.iter().enumerate() {
                let expected = mine.iter().position(|ours| *ours == index);
                assert_eq!(
                    *member,
                    expected.map_or(Member::Theirs, Member::Ours),
                    "{mine:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn alone_on_a_port_there_is_nobody_to_steer_to() {
        let (bound, mine) = listeners("127.0.0.1:0".parse().unwrap(), 2);
        let group = Group::new(bound, mine);
        assert!(group.try_steer().unwrap().is_empty());
    }
}
