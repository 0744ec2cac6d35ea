//! One shard: everything that is counted for it alone.

use super::numbers::{bar, count, of, percent, rate, seconds};
use super::one_server::{queue_tone, wait_tone};
use super::page::{Page, share_tone, zero_tone};
use super::table::{Cell, Column, Table, Tone, name, number};
use crate::scrape::ShardFigures;

/// The width of the bar.
const BAR_WIDTH: usize = 40;

const COLUMNS: [Column; 3] = [name("", 0), number("NOW", 0), name("", 1)];

/// The shard's figures below each other, with what each says.
pub(super) fn page(shard: &ShardFigures, width: usize) -> Page {
    let mut page = Page::default();
    let share = shard.pool.utilization();
    let title = format!(
        "shard {}  {}  {} leased",
        shard.shard,
        bar(share, BAR_WIDTH),
        percent(share)
    );
    let mut table = Table::new(&COLUMNS);
    for (name, value, says) in rows(shard) {
        table.row(vec![Cell::new(name), value, Cell::new(says).toned(Tone::Faint)]);
    }
    page.part(&title, table.lines(width).split_off(1));
    page
}

type Row = (&'static str, Cell, &'static str);

/// As many as fit 24 lines when nothing is unusual.
fn rows(shard: &ShardFigures) -> Vec<Row> {
    let mut rows = pool(shard);
    rows.extend(queue(shard));
    rows.extend(rest(shard));
    rows.extend(unusual(shard));
    rows
}

fn pool(shard: &ShardFigures) -> Vec<Row> {
    let pool = &shard.pool;
    let is_exhausted = pool.size > 0.0 && pool.high_water >= pool.size;
    let high = if is_exhausted { Tone::Warning } else { Tone::Plain };
    let leased = Cell::new(of(pool.busy + pool.lingering, pool.size));
    vec![
        (
            "handlers leased",
            leased.toned(share_tone(pool.utilization())),
            "of those there are",
        ),
        (
            "most leased",
            Cell::new(count(pool.high_water)).toned(high),
            "at one time, since the start",
        ),
    ]
}

/// What is there only with other options, or when something is wrong.
fn unusual(shard: &ShardFigures) -> Vec<Row> {
    let cuts = shard.linger_cuts.unwrap_or(0.0);
    let failures = shard.connections.accept_failures;
    let rows = [
        (
            shard.pool.lingering + cuts,
            "lingering",
            Cell::new(count(shard.pool.lingering)),
            "handlers that wait for a connection's next request",
        ),
        (
            shard.pool.lingering + cuts,
            "lingers cut/s",
            Cell::new(rate(shard.linger_cuts)),
            "because others waited",
        ),
        (
            failures,
            "failed accepts",
            Cell::new(count(failures)).toned(Tone::Warning),
            "since the start",
        ),
    ];
    let there = rows.into_iter().filter(|(number, ..)| *number > 0.0);
    there.map(|(_, name, cell, says)| (name, cell, says)).collect()
}

fn queue(shard: &ShardFigures) -> Vec<Row> {
    let queue = &shard.queue;
    let timed_out = zero_tone(queue.timed_out.unwrap_or(0.0), Tone::Critical);
    let left = zero_tone(queue.left.unwrap_or(0.0), Tone::Warning);
    vec![
        (
            "waiting",
            Cell::new(of(queue.depth, queue.depth_max)).toned(queue_tone(shard)),
            "calls, of those that may",
        ),
        (
            "oldest wait",
            Cell::new(seconds(queue.oldest_wait_seconds)).toned(wait_tone(queue.oldest_wait_seconds)),
            "as of the shard's last tick",
        ),
        (
            "most waiting",
            Cell::new(count(queue.high_water)),
            "at one time, since the start",
        ),
        (
            "waits/s",
            Cell::new(rate(queue.waits)),
            "calls that found no handler free",
        ),
        (
            "served/s",
            Cell::new(rate(queue.served)),
            "waits that ended with a handler here",
        ),
        (
            "timed out/s",
            Cell::new(rate(queue.timed_out)).toned(timed_out),
            "refused after the queue timeout",
        ),
        (
            "left/s",
            Cell::new(rate(queue.left)).toned(left),
            "clients that did not wait for it",
        ),
        (
            "stolen in/s",
            Cell::new(rate(shard.steals_in)),
            "calls that came from other shards' queues",
        ),
        (
            "stolen out/s",
            Cell::new(rate(shard.steals_out)),
            "calls that other shards took from its queue",
        ),
    ]
}

fn rest(shard: &ShardFigures) -> Vec<Row> {
    let connections = &shard.connections;
    vec![
        (
            "calls/s",
            Cell::new(rate(shard.work)),
            "requests that take a handler",
        ),
        (
            "control/s",
            Cell::new(rate(shard.control)),
            "requests answered from memory",
        ),
        (
            "in flight",
            Cell::new(count(shard.in_flight)),
            "requests whose answer is not with the kernel",
        ),
        (
            "streams",
            Cell::new(count(shard.streams)),
            "event streams that are open",
        ),
        ("connections", Cell::new(count(connections.open)), "open here"),
        (
            "opened, closed/s",
            Cell::new(format!(
                "{}, {}",
                rate(connections.accepted),
                rate(connections.closed)
            )),
            "connections",
        ),
        (
            "ring buffers free",
            Cell::new(of(shard.ring.free, shard.ring.buffers)),
            "of those there are",
        ),
        (
            "starved/s",
            Cell::new(rate(shard.ring.starved)),
            "receives that found no ring buffer",
        ),
        (
            "stalls",
            Cell::new(count(shard.stalls)).toned(zero_tone(shard.stalls, Tone::Warning)),
            "times it made no progress with work in hand",
        ),
    ]
}
