//! What was seen: latencies and outcomes of all, second by second, and of an open loop phase by phase.

mod compare;
mod histogram_log;
mod measurement;
mod records;
mod tally;
mod timeline;

pub(crate) use compare::{Change, Verdict, compare};
pub(crate) use histogram_log::write_histogram_log;
pub(crate) use measurement::{Beside, Counts, Hindrance, Measurement, Own};
pub(crate) use records::{Record, Records};
pub(crate) use tally::{Seen, Tally};
pub(crate) use timeline::Timeline;
