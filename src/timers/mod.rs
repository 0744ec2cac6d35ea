//! Deadlines: one hashed wheel on one tick, per shard.
//!
//! Time is passed in, as ticks since the shard started. A deadline fires once, in the tick that contains it or a later
//! one, never early. There are no callbacks and no wake-ups: the shard's tick asks what is due. See `wheel` for how it
//! is filed, after G. Varghese and A. Lauck, "Hashed and hierarchical timing wheels" (1987), scheme 6.

mod tick;
mod wheel;

pub use tick::{Tick, TickClock};
pub use wheel::{TimerKey, TimerKind, Wheel};
