//! The children of one server: how many there are, when to start one, and what it means that they fail.

mod failures;
mod growth;
mod members;
mod owners;
mod profiles;
mod sizes;

pub use failures::Failures;
pub use growth::{Estimate, Load, least_loaded, starting_pays};
pub use members::{MemberEnd, MemberKey, Pool, PoolStatus, PoolStep};
pub use owners::{Given, Owners, StartPlan};
pub use sizes::PoolSizes;
