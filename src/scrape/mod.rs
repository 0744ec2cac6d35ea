//! The metrics of running servers, read from outside, as a tool of their operators reads them.
//!
//! [`fetch`] asks a server for its exposition, [`Samples`] are what the text says, a [`Window`] keeps the last of them
//! and tells what changed, and [`Figures`] are the numbers of one server in the words of its operator. Nothing here
//! shows anything or decides whether a number is good. A server is not trusted: its text is bounded, and names in it
//! are any text at all, for whoever shows them to escape.

mod address;
mod fetch;
mod figures;
mod labels;
mod line;
mod quantile;
mod samples;
mod window;

pub use address::{AddressError, AdminAddress};
pub use fetch::{FetchError, fetch};
pub use figures::{
    ChildFigures, Counted, Figures, PoolFigures, ProcessorFigures, ShardFigures, TaskCounts, ToolFigures,
    ToolLimit, WorkerCounts,
};
pub use labels::Labels;
pub use quantile::{Buckets, Quantile};
pub use samples::{SampleError, Samples};
pub use window::Window;
