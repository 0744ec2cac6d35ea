//! The progress of an operation on a connection: the rules of the simulated kernel, one per operation.
//!
//! Each takes the world and says either "not yet" or how the operation ended. Nothing here knows of
//! rings, queues or order.

use super::faults::{Fault, Kind};
use super::world::{Connection, World};
use crate::ring::{HangUp, SendMode};
use std::io;

/// The end of a receive, before it has a ring buffer.
pub(super) enum Arrival {
    /// This many bytes are to be moved from the connection's front.
    Bytes(usize),
    End,
    Starved,
    Cancelled,
    Failed(io::Error),
}

/// A receive with room for `room` bytes, or without a buffer.
pub(super) fn receive(world: &mut World, id: usize, room: Option<usize>) -> Option<Arrival> {
    let connection = &mut world.connections[id];
    if connection.is_reset {
        return Some(Arrival::Failed(breach(connection)));
    }
    let waiting = connection.inbound.len();
    if waiting == 0 {
        let is_ended = connection.is_inbound_ended || connection.is_read_shut;
        return is_ended.then_some(Arrival::End);
    }
    let Some(room) = room else {
        return Some(Arrival::Starved);
    };
    let possible = waiting.min(room);
    let is_pipe = connection.is_pipe;
    Some(match world.fate.strike(Kind::Receive, possible) {
        Some(Fault::ReceiveStarved) => Arrival::Starved,
        Some(Fault::ReceiveCancelled) => Arrival::Cancelled,
        Some(Fault::ReceiveReset) if is_pipe => Arrival::Failed(io::Error::from_raw_os_error(libc::EIO)),
        Some(Fault::ReceiveReset) => {
            connection.reset();
            Arrival::Failed(breach(connection))
        }
        Some(Fault::ReceiveShort(bytes)) => Arrival::Bytes(bytes.clamp(1, possible)),
        _ => Arrival::Bytes(possible),
    })
}

/// A receive of up to `bytes` into `buffer`, behind what is in it. It cannot starve: it has its room.
pub(super) fn fill(
    world: &mut World,
    id: usize,
    buffer: &mut Vec<u8>,
    bytes: usize,
) -> Option<io::Result<usize>> {
    let count = match receive(world, id, Some(bytes))? {
        Arrival::Bytes(count) => count,
        Arrival::Starved => world.connections[id].inbound.len().min(bytes),
        Arrival::End => 0,
        Arrival::Cancelled => return Some(Err(io::Error::from_raw_os_error(libc::ECANCELED))),
        Arrival::Failed(error) => return Some(Err(error)),
    };
    buffer.extend(world.connections[id].inbound.drain(..count));
    Some(Ok(count))
}

/// Sends as much of `bytes` as fits, and adds it to `sent`.
pub(super) fn send(
    world: &mut World,
    id: usize,
    bytes: &[u8],
    sent: &mut usize,
    mode: SendMode,
) -> Option<io::Result<usize>> {
    let connection = &mut world.connections[id];
    if connection.is_pipe {
        return send_to_pipe(world, id, bytes);
    }
    let failed = |sent: usize, error| Some(if sent > 0 { Ok(sent) } else { Err(error) });
    if connection.is_reset {
        return failed(*sent, breach(connection));
    }
    if connection.is_outbound_ended {
        return failed(*sent, io::Error::from_raw_os_error(libc::EPIPE));
    }
    if connection.is_peer_gone {
        // The kernel takes the first bytes; the peer's answer to them is the RST.
        connection.reset();
        return Some(Ok(bytes.len()));
    }
    let is_attempt = mode == SendMode::Attempt;
    let mut possible = connection.room().min(bytes.len() - *sent);
    if possible == 0 {
        return is_attempt.then(|| Err(io::ErrorKind::WouldBlock.into()));
    }
    match world.fate.strike(Kind::Send { is_attempt }, possible) {
        Some(Fault::SendReset) => {
            connection.reset();
            return failed(*sent, breach(connection));
        }
        Some(Fault::SendRefused) => return Some(Err(io::ErrorKind::WouldBlock.into())),
        Some(Fault::SendShort(bytes)) => possible = bytes.clamp(1, possible),
        _ => {}
    }
    connection.outbound.extend(&bytes[*sent..*sent + possible]);
    *sent += possible;
    (is_attempt || *sent == bytes.len()).then_some(Ok(*sent))
}

/// Writes to a pipe: it waits until some of `bytes` fits, in either mode, and takes what fits.
fn send_to_pipe(world: &mut World, id: usize, bytes: &[u8]) -> Option<io::Result<usize>> {
    let broken_pipe = || Some(Err(io::Error::from_raw_os_error(libc::EPIPE)));
    let connection = &mut world.connections[id];
    if connection.is_outbound_ended || connection.is_peer_gone {
        return broken_pipe();
    }
    let mut possible = connection.room().min(bytes.len());
    if possible == 0 {
        return None;
    }
    match world.fate.strike(Kind::Send { is_attempt: true }, possible) {
        Some(Fault::SendReset) => {
            connection.is_peer_gone = true;
            return broken_pipe();
        }
        // It finds no room this time.
        Some(Fault::SendRefused) => return None,
        Some(Fault::SendShort(bytes)) => possible = bytes.clamp(1, possible),
        _ => {}
    }
    connection.outbound.extend(&bytes[..possible]);
    Some(Ok(possible))
}

/// Ends a hang-up watch, from which unread bytes do not hide a FIN.
pub(super) fn watch(world: &World, id: usize) -> Option<HangUp> {
    let connection = &world.connections[id];
    let is_inbound_ended = connection.is_inbound_ended || connection.is_read_shut;
    if connection.is_reset || is_inbound_ended && connection.is_outbound_ended {
        return Some(HangUp::Closed);
    }
    is_inbound_ended.then_some(HangUp::ReadClosed)
}

/// Takes the oldest connection waiting at `listener`.
pub(super) fn accept(world: &mut World, listener: usize) -> io::Result<Option<usize>> {
    let Some(&id) = world.accept_queues[listener].front() else {
        return Ok(None);
    };
    match world.fate.strike(Kind::Accept, 1) {
        Some(Fault::AcceptExhausted) => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
        Some(Fault::AcceptNothing) => return Ok(None),
        _ => {}
    }
    world.accept_queues[listener].pop_front();
    world.connections[id].is_accepted = true;
    Ok(Some(id))
}

/// The error pending on a connection.
pub(super) fn error_of(connection: &Connection) -> Option<io::Error> {
    connection.is_reset.then(|| breach(connection))
}

/// The reason why a broken connection broke.
fn breach(connection: &Connection) -> io::Error {
    let code = if connection.has_vanished {
        libc::ETIMEDOUT
    } else {
        libc::ECONNRESET
    };
    io::Error::from_raw_os_error(code)
}
