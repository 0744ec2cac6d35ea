//! The data ring inside a glommio executor, with a canned answer: the cost of the I/O alone.
//!
//! One connection table, one pump task, ticks, as in a shard. It reads HTTP requests with
//! `Content-Length`, answers each with the same 200 and keeps the connection. Unmodified glommio: the
//! tick (10 ms busy, 100 ms idle) bounds the executor's sleep with runnable tasks.

#[path = "http.rs"]
mod http;

use clap::Parser;
use glommio::{LocalExecutorBuilder, Placement};
use http::Front;
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use weir::internals::ring::listener::{ListenerOptions, listen, local_address};
use weir::internals::ring::{
    Completion, ConnectionKey, DataRing, Idle, KernelRing, Parking, Received, RingOptions, SendMode, Socket,
    SpinPolicy, pass_over_executor, spawn_ticks,
};

const TICK_BUSY: Duration = Duration::from_millis(10);
const TICK_IDLE: Duration = Duration::from_millis(100);
/// Completions handled between two flushes, and such batches between two looks at the executor.
const BATCH: usize = 256;
const BATCHES_MAX: usize = 4;

/// Serves one fixed answer from the data ring.
#[derive(Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// CPU to run on.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    /// Microseconds to stay blocked in the ring before parking; learned if it is not given.
    #[arg(long)]
    busy_poll_micros: Option<u64>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = listen(address, ListenerOptions::default())?;
    println!("listening {}", local_address(&listener)?);
    let busy_poll = arguments.busy_poll_micros.map(Duration::from_micros);
    LocalExecutorBuilder::new(Placement::Fixed(arguments.cpu))
        .io_memory(64 << 10)
        .ring_depth(128)
        .spawn(move || serve(listener, busy_poll))?
        .join()??;
    Ok(())
}

async fn serve(listener: OwnedFd, busy_poll: Option<Duration>) -> io::Result<()> {
    let mut ring = KernelRing::new(RingOptions::default()).map_err(io::Error::other)?;
    ring.listen(listener);
    ring.watch_listener();
    let server = Rc::new(RefCell::new(Server::new(ring)));
    let ticked = Rc::clone(&server);
    spawn_ticks(move || Some(ticked.borrow_mut().tick()));
    pump(&server, SpinPolicy::new(busy_poll)).await
}

/// The shard's pump: reap and answer, stay a moment, park.
async fn pump(server: &RefCell<Server>, mut spin: SpinPolicy) -> io::Result<()> {
    loop {
        let idle = {
            let server = &mut *server.borrow_mut();
            server.ring.flush_before_wait()?;
            for _ in 0..BATCHES_MAX {
                if server.handle_batch() == 0 {
                    break;
                }
                spin.on_busy();
                server.ring.flush_before_wait()?;
            }
            spin.on_idle(Some(TICK_IDLE))
        };
        match idle {
            Idle::Stay(wait) => server.borrow_mut().ring.flush_and_wait(wait)?,
            Idle::Pass => {
                server.borrow_mut().ring.flush()?;
                pass_over_executor().await;
                spin.on_passed();
            }
            Idle::Park => {
                let parking = Parking::new(&mut server.borrow_mut().ring)?;
                parking.await?;
                server.borrow_mut().ring.on_resumed();
                spin.on_passed();
            }
        }
    }
}

struct Server {
    ring: KernelRing,
    connections: Vec<Connection>,
    slots_free: Vec<u32>,
    answer: Vec<u8>,
    /// Send buffers not in flight, as handlers' response buffers would be.
    responses: Vec<Vec<u8>>,
    starved: Vec<ConnectionKey>,
    is_accept_paused: bool,
    has_progressed: bool,
}

struct Connection {
    generation: u32,
    socket: Option<Socket>,
    /// The beginning of a request whose rest has not arrived.
    assembly: Vec<u8>,
    is_receiving: bool,
    is_sending: bool,
    is_ending: bool,
}

impl Server {
    fn new(ring: KernelRing) -> Self {
        Server {
            ring,
            connections: Vec::new(),
            slots_free: Vec::new(),
            answer: http::answer(),
            responses: Vec::new(),
            starved: Vec::new(),
            is_accept_paused: false,
            has_progressed: false,
        }
    }

    /// Does the tick's work; returns when the next is due.
    fn tick(&mut self) -> Duration {
        if std::mem::take(&mut self.is_accept_paused) {
            self.ring.watch_listener();
        }
        let period = self.tick_period();
        self.has_progressed = false;
        period
    }

    fn tick_period(&self) -> Duration {
        if self.has_progressed { TICK_BUSY } else { TICK_IDLE }
    }

    fn handle_batch(&mut self) -> usize {
        let mut handled = 0;
        while handled < BATCH {
            let Some(completion) = self.ring.next_completion() else {
                break;
            };
            self.handle(completion);
            handled += 1;
        }
        self.has_progressed |= handled > 0;
        for key in std::mem::take(&mut self.starved) {
            self.receive(key);
        }
        handled
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::AcceptReady => self.accept(),
            Completion::AcceptFailed { .. } => self.is_accept_paused = true,
            Completion::Received { key, outcome } => {
                self.connections[key.slot as usize].is_receiving = false;
                match outcome {
                    Received::Bytes(buffer) => self.on_bytes(key, &buffer),
                    Received::Starved => self.starved.push(key),
                    Received::End | Received::Cancelled | Received::Failed(_) => self.end(key),
                }
            }
            Completion::Sent { key, buffer, result } => self.on_sent(key, buffer, result),
            Completion::Closed { key } => {
                let connection = &mut self.connections[key.slot as usize];
                connection.generation = key.next_generation().generation;
                self.slots_free.push(key.slot);
            }
            Completion::HungUp { .. }
            | Completion::Filled { .. }
            | Completion::Cancelled { .. }
            | Completion::AcceptStopped
            | Completion::Woken => {}
        }
    }

    fn accept(&mut self) {
        loop {
            match self.ring.accept_now() {
                Ok(Some(socket)) => self.open(socket),
                Ok(None) => return self.ring.watch_listener(),
                Err(_) => return self.is_accept_paused = true,
            }
        }
    }

    fn open(&mut self, socket: Socket) {
        let slot = self.slots_free.pop().unwrap_or_else(|| {
            self.connections.push(Connection {
                generation: 0,
                socket: None,
                assembly: Vec::new(),
                is_receiving: false,
                is_sending: false,
                is_ending: false,
            });
            self.connections.len() as u32 - 1
        });
        let connection = &mut self.connections[slot as usize];
        connection.socket = Some(socket);
        connection.assembly.clear();
        connection.is_ending = false;
        let generation = connection.generation;
        self.receive(ConnectionKey { slot, generation });
    }

    fn receive(&mut self, key: ConnectionKey) {
        let connection = &mut self.connections[key.slot as usize];
        let is_stale = connection.generation != key.generation;
        if is_stale || connection.is_ending || connection.is_receiving {
            return;
        }
        if let Some(socket) = &connection.socket {
            connection.is_receiving = true;
            self.ring.receive(key, socket);
        }
    }

    /// Answers every whole request and keeps the rest. The answer goes out with the next receive in one
    /// flush.
    fn on_bytes(&mut self, key: ConnectionKey, bytes: &[u8]) {
        let mut response = self.responses.pop().unwrap_or_default();
        let connection = &mut self.connections[key.slot as usize];
        let is_whole = connection.assembly.is_empty();
        if !is_whole {
            connection.assembly.extend_from_slice(bytes);
        }
        let all = if is_whole { bytes } else { &connection.assembly };
        let mut used = 0;
        loop {
            match http::front(&all[used..]) {
                Front::Request(length) => {
                    response.extend_from_slice(&self.answer);
                    used += length;
                }
                Front::Incomplete => break,
                Front::Invalid => {
                    self.responses.push(response);
                    return self.end(key);
                }
            }
            if used == all.len() {
                break;
            }
        }
        if is_whole {
            connection.assembly.extend_from_slice(&bytes[used..]);
        } else {
            connection.assembly.drain(..used);
        }
        if response.is_empty() {
            self.responses.push(response);
            return self.receive(key);
        }
        let all = 0..response.len();
        self.send(key, response, all, SendMode::Attempt);
        self.receive(key);
    }

    fn send(&mut self, key: ConnectionKey, buffer: Vec<u8>, range: std::ops::Range<usize>, mode: SendMode) {
        let connection = &mut self.connections[key.slot as usize];
        if connection.is_sending {
            // A client that pipelines past an unread answer is disconnected: this is only a bench server.
            return self.end(key);
        }
        if let Some(socket) = &connection.socket {
            connection.is_sending = true;
            self.ring.send(key, socket, buffer, range, mode);
        }
    }

    fn on_sent(&mut self, key: ConnectionKey, mut buffer: Vec<u8>, result: io::Result<usize>) {
        self.connections[key.slot as usize].is_sending = false;
        let sent = match result {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => {
                buffer.clear();
                self.responses.push(buffer);
                return self.end(key);
            }
        };
        if sent < buffer.len() {
            // Remove what is sent, so that what is left can be sent whole.
            buffer.drain(..sent);
            let rest = 0..buffer.len();
            return self.send(key, buffer, rest, SendMode::All);
        }
        buffer.clear();
        self.responses.push(buffer);
        if self.connections[key.slot as usize].is_ending {
            self.end(key);
        }
    }

    /// Closes once nothing is in flight; an armed receive is ended by a shutdown first.
    fn end(&mut self, key: ConnectionKey) {
        let connection = &mut self.connections[key.slot as usize];
        connection.is_ending = true;
        if connection.is_receiving {
            if let Some(socket) = &connection.socket {
                self.ring.shutdown(socket, std::net::Shutdown::Both);
            }
        } else if !connection.is_sending
            && let Some(socket) = connection.socket.take()
        {
            self.ring.close(key, socket);
        }
    }
}
