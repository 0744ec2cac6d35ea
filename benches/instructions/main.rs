//! Instructions, counted by callgrind: a few of a request's steps alone, and whole calls through a shard.
//!
//! `scripts/instructions.py` compares the counts with `benches/instructions/baseline.json`. Counts differ with the
//! compiler and its options, never with the load, and hardly with the machine: valgrind shows every program the same
//! processor, the clock is the rig's own, and the stand-in for the kernel does not count. See `tuning.md`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the bench drives the shard"
)]
#![allow(clippy::unwrap_used, reason = "a bench may panic")]
#![allow(missing_docs, reason = "macros make public modules here")]

#[path = "../order/mod.rs"]
mod order;
#[path = "../pieces/mod.rs"]
mod pieces;
#[path = "../../tests/rig/mod.rs"]
mod rig;
mod shard;
mod steps;

use std::cell::Cell;

use gungraun::{Callgrind, LibraryBenchmarkConfig, main};

use shard::through_a_shard;
use steps::alone;

/// The number of repetitions in a count: enough that rare work, such as a table that grows, weighs little.
const ROUNDS: usize = 100;

thread_local! {
    static IS_COUNTING: Cell<bool> = const { Cell::new(false) };
}

/// Runs the counted code, except for what is [exempt] in it. The function of a bench does nothing else.
fn counted(run: impl FnOnce()) {
    IS_COUNTING.set(true);
    run();
    IS_COUNTING.set(false);
}

/// Runs code that is not the server's own.
fn exempt<T>(run: impl FnOnce() -> T) -> T {
    if IS_COUNTING.get() { aside(run) } else { run() }
}

/// Collection is on in the function of a bench, and switched off by this one's name for as long as it runs.
#[inline(never)]
fn aside<T>(run: impl FnOnce() -> T) -> T {
    let result = run();
    // With nothing to do after `run`, this might become a jump, and its end be missed.
    std::hint::black_box(());
    result
}

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args([
        "--cache-sim=no",
        "--toggle-collect=instructions::aside*",
    ]));
    library_benchmark_groups = alone, through_a_shard
);
