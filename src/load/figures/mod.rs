//! What was seen: latencies and outcomes of all, second by second, and of an open loop request by request.

mod measurement;
mod records;
mod tally;
mod timeline;

pub(crate) use measurement::{Counts, Measurement, Own};
pub(crate) use records::Record;
pub(crate) use tally::{Seen, Tally};
pub(crate) use timeline::Timeline;
