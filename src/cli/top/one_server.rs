//! One server: itself, its shards, its tools, its children, and what it refused.

use super::numbers::{UNKNOWN, bar, bytes, count, of, percent, quantile, rate, seconds};
use super::page::{Now, Page, Sort, presence_cell, share_tone, uptime, zero_tone};
use super::servers::{Presence, Server};
use super::table::{Cell, Column, Line, Table, Tone, name, number};
use crate::scrape::{ChildFigures, Counted, Figures, ShardFigures, ToolFigures};

const SHARDS: [Column; 12] = [
    number("SHARD", 0),
    name("POOL", 2),
    number("LEASED", 0),
    number("USE", 0),
    number("QUEUE", 0),
    number("OLDEST", 1),
    number("WAITS/S", 2),
    number("LATE/S", 3),
    number("IN/S", 2),
    number("OUT/S", 2),
    number("CALLS/S", 0),
    number("STALLS", 4),
];

const TOOLS: [Column; 7] = [
    name("TOOL OR METHOD", 0),
    number("CALLS/S", 0),
    number("P50", 1),
    number("P99", 0),
    number("ERRORS/S", 1),
    number("LIMIT", 2),
    number("WAITING", 2),
];

const CHILDREN: [Column; 12] = [
    name("PROGRAM", 0),
    number("UP", 0),
    number("STARTING", 2),
    number("STOPPING", 5),
    number("CALLS", 1),
    number("WAITING", 1),
    number("CALLS/S", 1),
    number("P99", 1),
    number("REFUSED/S", 3),
    number("DEATHS", 1),
    number("START", 4),
    number("MEMORY", 3),
];

const TROUBLES: [Column; 4] = [
    name("WHAT", 0),
    name("REASON", 0),
    number("EVER", 0),
    number("EACH SECOND", 0),
];

/// The width of a pool's bar.
const BAR_WIDTH: usize = 6;

/// Everything about a server; `chosen` is the shard that Enter opens.
pub(super) fn page(server: &Server, chosen: Option<u32>, sort: Sort, now: Now, width: usize) -> Page {
    let mut page = Page {
        head: head(server, now, width),
        ..Page::default()
    };
    let Some(figures) = server.figures() else {
        return page;
    };
    page.part("", shards(figures, chosen, sort, width));
    if !figures.tools.is_empty() {
        page.part("", tools(figures, sort, width));
    }
    if !figures.children.is_empty() {
        page.part("", children(figures, sort, width));
    }
    if !figures.troubles.is_empty() {
        page.part("", troubles(figures, sort, width));
    }
    if matches!(server.presence(now.at), Presence::Away(..)) {
        // These are the last ones it gave.
        let cells = page.body.iter_mut().flat_map(|line| &mut line.cells);
        cells.for_each(|cell| cell.tone = Tone::Faint);
    }
    page
}

/// The server itself, in four lines; without figures only whether it answers.
pub(super) fn head(server: &Server, now: Now, width: usize) -> Vec<Line> {
    let mut lines = presence(server, now, width);
    if let Some(figures) = server.figures() {
        lines.extend([process(figures), work(figures), store(figures)].map(|cells| Line::of(cells, width)));
    }
    lines
}

/// Whether it answers, and since when it runs; a reason that is long has a line of its own.
pub(super) fn presence(server: &Server, now: Now, width: usize) -> Vec<Line> {
    let address = Cell::foreign(&server.address.to_string()).toned(Tone::Strong);
    let mut cells = vec![address, presence_cell(server, now.at)];
    if let Presence::Away(_, reason) = server.presence(now.at) {
        let whole = Line::of(cells.iter().cloned().chain([Cell::foreign(&reason)]), width);
        return if whole.plain().ends_with(Cell::foreign(&reason).text.trim_end()) {
            vec![whole]
        } else {
            vec![Line::of(cells, width), Line::new(vec![Cell::foreign(&reason)])]
        };
    }
    if let Some(figures) = server.figures() {
        let span = figures.span.map(|span| seconds(span.as_secs_f64()));
        let span = span.unwrap_or_else(|| UNKNOWN.to_owned());
        cells.extend([
            Cell::foreign(&format!("weir {}", figures.version)),
            Cell::new(format!("uptime {}", uptime(figures, now))),
            Cell::new(format!("rates over {span}")).toned(Tone::Faint),
        ]);
    }
    vec![Line::of(cells, width)]
}

fn process(figures: &Figures) -> Vec<Cell> {
    let process = &figures.process;
    let connections = figures.over_shards(|shard| shard.connections.open);
    let with_max = |word: &str, number: f64, max: Option<f64>| {
        let (text, share) = match max {
            Some(max) if max > 0.0 => (of(number, max), number / max),
            _ => (count(number), 0.0),
        };
        let tone = if share >= 0.9 { Tone::Warning } else { Tone::Plain };
        Cell::new(format!("{word} {text}")).toned(tone)
    };
    let mut cells = vec![
        Cell::new(format!("CPUs {}", rate(process.cpus))),
        Cell::new(format!("memory {}", bytes(process.resident_bytes))),
        with_max("connections", connections, figures.connections_max),
    ];
    if let Some(open) = process.descriptors {
        cells.push(with_max("descriptors", open, process.descriptors_max));
    }
    cells
}

/// The most telling first, because a narrow screen leaves the rest out.
fn work(figures: &Figures) -> Vec<Cell> {
    let over_shards = |rate_of: fn(&ShardFigures) -> Option<f64>| rate(figures.rate_over_shards(rate_of));
    let refused = figures.refusals();
    let tone = zero_tone(refused.unwrap_or(0.0), Tone::Critical);
    vec![
        Cell::new(format!("calls/s {}", over_shards(|shard| shard.work))),
        Cell::new(format!("refused/s {}", rate(refused))).toned(tone),
        Cell::new(format!("P99 {}", quantile(figures.work.quantile(0.99)))),
        Cell::new(format!("P50 {}", quantile(figures.work.quantile(0.5)))),
        Cell::new(format!("waits P99 {}", quantile(figures.waits.quantile(0.99)))),
        Cell::new(format!("control/s {}", over_shards(|shard| shard.control))),
    ]
}

fn store(figures: &Figures) -> Vec<Cell> {
    let pool = figures.pool;
    let share = pool.utilization();
    let mut cells = vec![
        Cell::new(format!(
            "handlers {} {}",
            of(pool.busy + pool.lingering, pool.size),
            percent(share)
        ))
        .toned(share_tone(share)),
        Cell::new(format!(
            "streams {}",
            count(figures.over_shards(|shard| shard.streams))
        )),
    ];
    if let Some(workers) = &figures.workers {
        cells.push(Cell::new(format!(
            "workers {}",
            of(workers.busy, workers.calls_max)
        )));
        if workers.queued > 0.0 {
            cells.push(Cell::new(format!("queued {}", count(workers.queued))).toned(Tone::Warning));
        }
        if workers.abandoned > 0.0 {
            cells.push(Cell::new(format!("abandoned {}", count(workers.abandoned))).toned(Tone::Warning));
        }
    }
    let tasks = figures.tasks.by_status.iter();
    cells.extend(tasks.map(|(status, number)| Cell::foreign(&format!("tasks {status} {}", count(*number)))));
    if figures.tasks.bytes > 0.0 {
        cells.push(Cell::new(format!("in {}", bytes(Some(figures.tasks.bytes)))));
    }
    cells
}

fn shards(figures: &Figures, chosen: Option<u32>, sort: Sort, width: usize) -> Vec<Line> {
    let mut order: Vec<&ShardFigures> = figures.shards.iter().collect();
    sort.apply(
        &mut order,
        |shard| shard.pool.utilization(),
        |shard| shard.queue.oldest_wait_seconds,
        |shard| shard.queue.timed_out.unwrap_or(0.0) + shard.stalls,
    );
    let mut table = Table::new(&SHARDS);
    order.iter().for_each(|shard| table.row(shard_row(shard)));
    let mut lines = table.lines(width);
    for (line, shard) in lines.iter_mut().skip(1).zip(&order) {
        line.is_selected = Some(shard.shard) == chosen;
    }
    lines
}

fn shard_row(shard: &ShardFigures) -> Vec<Cell> {
    let (pool, queue) = (&shard.pool, &shard.queue);
    let share = pool.utilization();
    let tone = share_tone(share);
    let late = queue.timed_out.unwrap_or(0.0);
    vec![
        Cell::new(shard.shard.to_string()),
        Cell {
            text: bar(share, BAR_WIDTH),
            tone,
        },
        Cell::new(of(pool.busy + pool.lingering, pool.size)),
        Cell::new(percent(share)).toned(tone),
        Cell::new(of(queue.depth, queue.depth_max)).toned(queue_tone(shard)),
        Cell::new(seconds(queue.oldest_wait_seconds)).toned(wait_tone(queue.oldest_wait_seconds)),
        Cell::new(rate(queue.waits)),
        Cell::new(rate(queue.timed_out)).toned(zero_tone(late, Tone::Critical)),
        Cell::new(rate(shard.steals_in)),
        Cell::new(rate(shard.steals_out)),
        Cell::new(rate(shard.work)),
        Cell::new(count(shard.stalls)).toned(zero_tone(shard.stalls, Tone::Warning)),
    ]
}

/// A queue is there to be used; nearly full it is about to refuse.
pub(super) fn queue_tone(shard: &ShardFigures) -> Tone {
    let queue = &shard.queue;
    if queue.depth_max > 0.0 {
        share_tone(queue.depth / queue.depth_max)
    } else {
        Tone::Plain
    }
}

/// From a second on somebody notices.
pub(super) fn wait_tone(wait_seconds: f64) -> Tone {
    if wait_seconds >= 1.0 {
        Tone::Warning
    } else {
        Tone::Plain
    }
}

fn tools(figures: &Figures, sort: Sort, width: usize) -> Vec<Line> {
    let mut order: Vec<&ToolFigures> = figures.tools.iter().collect();
    sort.apply(
        &mut order,
        |tool| tool.rate.unwrap_or(0.0),
        |tool| tool.p99.map_or(0.0, |p99| p99.seconds()),
        |tool| tool.errors.unwrap_or(0.0),
    );
    let mut table = Table::new(&TOOLS);
    for tool in order {
        let errors = tool.errors.unwrap_or(0.0);
        let (limit, waiting) = match &tool.limit {
            None => (Cell::default(), Cell::default()),
            Some(limit) => {
                let share = limit.in_flight / limit.in_flight_max.max(1.0);
                (
                    Cell::new(of(limit.in_flight, limit.in_flight_max)).toned(share_tone(share)),
                    Cell::new(count(limit.waiting)).toned(zero_tone(limit.waiting, Tone::Warning)),
                )
            }
        };
        table.row(vec![
            Cell::foreign(&tool.name),
            Cell::new(rate(tool.rate)),
            Cell::new(quantile(tool.p50)),
            Cell::new(quantile(tool.p99)),
            Cell::new(rate(tool.errors)).toned(zero_tone(errors, Tone::Warning)),
            limit,
            waiting,
        ]);
    }
    table.lines(width)
}

fn children(figures: &Figures, sort: Sort, width: usize) -> Vec<Line> {
    let mut order: Vec<&ChildFigures> = figures.children.iter().collect();
    sort.apply(
        &mut order,
        |child| child.calls.unwrap_or(0.0),
        |child| child.p99.map_or(0.0, |p99| p99.seconds()),
        |child| child.deaths + child.refused.unwrap_or(0.0),
    );
    let mut table = Table::new(&CHILDREN);
    for child in order {
        let [starting, up, stopping] = child.states;
        let server = Cell::foreign(&child.server);
        let server = if child.is_quarantined {
            Cell::new(format!("{} quarantined", server.text)).toned(Tone::Critical)
        } else {
            server
        };
        let refused = child.refused.unwrap_or(0.0);
        table.row(vec![
            server,
            Cell::new(count(up)),
            Cell::new(count(starting)),
            Cell::new(count(stopping)),
            Cell::new(count(child.in_flight)),
            Cell::new(count(child.waiting)).toned(zero_tone(child.waiting, Tone::Warning)),
            Cell::new(rate(child.calls)),
            Cell::new(quantile(child.p99)),
            Cell::new(rate(child.refused)).toned(zero_tone(refused, Tone::Critical)),
            Cell::new(count(child.deaths)).toned(zero_tone(child.deaths, Tone::Warning)),
            Cell::new(child.start_seconds.map_or_else(|| UNKNOWN.to_owned(), seconds)),
            Cell::new(bytes(Some(child.resident_bytes))),
        ]);
    }
    table.lines(width)
}

fn troubles(figures: &Figures, sort: Sort, width: usize) -> Vec<Line> {
    let mut order: Vec<&Counted> = figures.troubles.iter().collect();
    let rate_of = |trouble: &&Counted| trouble.rate.unwrap_or(0.0);
    sort.apply(&mut order, rate_of, |_| 0.0, rate_of);
    let mut table = Table::new(&TROUBLES);
    for trouble in order {
        let tone = zero_tone(trouble.rate.unwrap_or(0.0), Tone::Warning);
        table.row(vec![
            Cell::new(trouble.what),
            Cell::foreign(&trouble.reason),
            Cell::new(count(trouble.total)),
            Cell::new(rate(trouble.rate)).toned(tone),
        ]);
    }
    table.lines(width)
}
