//! A data ring without a kernel: seeded, with peers that a test plays and faults that it orders.
//!
//! There is no clock and no thread: time passes by [`flush`](super::DataRing::flush), so a test drives
//! its state machine by calling it, and the same seed gives the same run. The ring checks its caller's
//! obligations as it goes and panics with the connection's key when one is broken: a second receive,
//! send or watch in flight, a slot reused too early, a socket dropped or closed under an operation, a
//! ring buffer that outlives its ring.
//!
//! It models one machine's TCP as far as a server can tell: windows, FIN, RST (also the one a close with
//! unread bytes causes); and pipes, which go one way and take what fits. It has no packets, no latency and no Nagle.
//!
//! ```
//! use weir::internals::ring::simulated::SimulatedNetwork;
//! use weir::internals::ring::{Completion, ConnectionKey, DataRing, Received, RingOptions};
//!
//! let network = SimulatedNetwork::new(7);
//! let mut ring = network.ring(RingOptions::default());
//! let peer = network.connect(0);
//! peer.write(b"hello");
//! let socket = ring.accept_now().unwrap().unwrap();
//! let key = ConnectionKey { slot: 0, generation: 0 };
//! ring.receive(key, &socket);
//! ring.flush().unwrap();
//! let Some(Completion::Received { outcome: Received::Bytes(bytes), .. }) = ring.next_completion()
//! else { panic!() };
//! assert_eq!(&*bytes, b"hello");
//! drop(bytes);
//! ring.close(key, socket);
//! ```

mod faults;
mod obligations;
mod operations;
mod ring;
#[cfg(test)]
mod tests;
mod world;

pub use faults::{Fault, Faults};
pub use ring::SimulatedRing;
pub use world::{PeerView, SimulatedNetwork, SimulatedPeer, SimulatedSocket};
