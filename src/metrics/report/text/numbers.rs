//! The tables of what each shard counted: a column for each number, unless it is zero everywhere.

use crate::metrics::labels::{RequestClass, WaitEnd};
use crate::metrics::report::merged::Report;
use crate::metrics::report::table::Table;
use crate::metrics::shard::ShardSnapshot;
use crate::units::ByteSize;

/// The shards' parts with their titles; the merged part last, where there are several.
fn parts(report: &Report) -> impl Iterator<Item = (String, &ShardSnapshot)> {
    let shards = report.shards.iter();
    let all = (report.shards.len() != 1).then(|| ("all".to_owned(), &report.all));
    shards
        .map(|shard| (shard.shard.to_string(), &shard.numbers))
        .chain(all)
}

/// A column: its title, its cell, and its count, which decides whether it is shown.
type Column = (&'static str, fn(&ShardSnapshot) -> u64, fn(u64) -> String);

/// The columns with a count, for each shard.
fn numbers_table(report: &Report, columns: &[Column]) -> Table {
    let counts = |column: &&Column| parts(report).any(|(_, numbers)| column.1(numbers) > 0);
    let shown: Vec<&Column> = columns.iter().filter(counts).collect();
    let titles = ["shard"].into_iter().chain(shown.iter().map(|column| column.0));
    let mut table = Table::new(titles);
    if !shown.is_empty() {
        for (title, numbers) in parts(report) {
            let cells = shown.iter().map(|column| column.2(column.1(numbers)));
            table.row([title].into_iter().chain(cells));
        }
    }
    table
}

fn number(count: u64) -> String {
    count.to_string()
}

fn bytes(count: u64) -> String {
    ByteSize(count).rounded()
}

pub(super) fn shard_table(report: &Report) -> Table {
    let all = &report.all;
    if all.requests_total() + all.connections_accepted + all.http_refusals.total() + all.accept_failures == 0
    {
        return Table::new(["shard"]);
    }
    numbers_table(
        report,
        &[
            ("requests", ShardSnapshot::requests_total, number),
            ("calls", |numbers| numbers.requests_of(RequestClass::Work), number),
            ("in flight", |numbers| numbers.in_flight, number),
            ("handlers", |numbers| numbers.pool_size, number),
            ("most busy", |numbers| numbers.pool_high_water, number),
            ("busy now", ShardSnapshot::handlers_leased, number),
            ("connections", |numbers| numbers.connections_accepted, number),
            ("open", |numbers| numbers.connections_open, number),
            ("received", |numbers| numbers.received_bytes, bytes),
            ("sent", |numbers| numbers.sent_bytes, bytes),
            ("accept failures", |numbers| numbers.accept_failures, number),
            ("no ring buffer", |numbers| numbers.ring_starved, number),
            ("panics", |numbers| numbers.panics, number),
            ("stalls", |numbers| numbers.stalls, number),
        ],
    )
}

/// How many calls waited, and on which shards.
pub(super) fn queue_table(report: &Report) -> Table {
    let all = &report.all;
    if all.queued + all.steals_in + all.linger_cuts == 0 {
        return Table::new(["shard"]);
    }
    numbers_table(
        report,
        &[
            ("places", |numbers| numbers.queue_depth_max, number),
            ("waiting", |numbers| numbers.queue_depth, number),
            ("most waiting", |numbers| numbers.queue_high_water, number),
            ("waited", |numbers| numbers.queued, number),
            ("served", |numbers| numbers.wait_ends.of(WaitEnd::Served), number),
            ("stolen", |numbers| numbers.wait_ends.of(WaitEnd::Stolen), number),
            (
                "timed out",
                |numbers| numbers.wait_ends.of(WaitEnd::TimedOut),
                number,
            ),
            ("left", |numbers| numbers.wait_ends.of(WaitEnd::Left), number),
            ("arrived", |numbers| numbers.steals_in, number),
            ("lingers cut", |numbers| numbers.linger_cuts, number),
        ],
    )
}
