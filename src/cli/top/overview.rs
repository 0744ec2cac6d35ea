//! One line for each server.

use super::numbers::{bytes, count, of, percent, quantile, rate};
use super::page::{Now, Page, Sort, presence_cell, share_tone, uptime, zero_tone};
use super::servers::{Presence, Server};
use super::table::{Cell, Column, Line, Table, Tone, name, number};
use crate::scrape::Figures;

const COLUMNS: [Column; 13] = [
    name("SERVER", 0),
    number("KEY", 6),
    name("STATE", 0),
    number("USE", 0),
    number("QUEUE", 1),
    number("CALLS/S", 1),
    number("REFUSED/S", 2),
    number("P50", 7),
    number("P99", 2),
    number("CPUS", 3),
    number("MEMORY", 4),
    number("CONNS", 5),
    number("UPTIME", 6),
];

/// The table of the servers; `chosen` is the one that Enter opens, by its place on the command line.
pub(super) fn page(servers: &[Server], chosen: usize, sort: Sort, now: Now, width: usize) -> Page {
    let mut page = Page::default();
    let mut order: Vec<usize> = (0..servers.len()).collect();
    let number =
        |place: &usize, number: &dyn Fn(&Figures) -> f64| servers[*place].figures().map_or(0.0, number);
    sort.apply(
        &mut order,
        |place| number(place, &|figures| figures.pool.utilization()),
        |place| {
            number(place, &|figures| {
                figures.work.quantile(0.99).map_or(0.0, |p99| p99.seconds())
            })
        },
        |place| number(place, &|figures| figures.refusals().unwrap_or(0.0)),
    );
    let mut table = Table::new(&COLUMNS);
    for &place in &order {
        table.row(row(place, &servers[place], now));
    }
    page.body = table.lines(width);
    for (line, place) in page.body.iter_mut().skip(1).zip(&order) {
        line.is_selected = *place == chosen;
    }
    let reasons = order
        .iter()
        .filter_map(|place| match servers[*place].presence(now.at) {
            Presence::Away(_, reason) => {
                let text = format!("{}: {reason}", servers[*place].address);
                Some(Line::new(vec![Cell::foreign(&text)]))
            }
            _ => None,
        });
    let reasons: Vec<Line> = reasons.collect();
    if !reasons.is_empty() {
        page.part(
            "why servers are away; their figures are the last ones they gave",
            reasons,
        );
    }
    page
}

fn row(place: usize, server: &Server, now: Now) -> Vec<Cell> {
    let mut cells = vec![
        Cell::foreign(&server.address.to_string()),
        Cell::new(if place < 9 {
            (place + 1).to_string()
        } else {
            String::new()
        }),
        presence_cell(server, now.at),
    ];
    let Some(figures) = server.figures() else {
        cells.resize(COLUMNS.len(), Cell::new("-"));
        return cells;
    };
    let use_share = figures.pool.utilization();
    let (depth, depth_max) = (
        figures.over_shards(|shard| shard.queue.depth),
        figures.over_shards(|shard| shard.queue.depth_max),
    );
    let connections = figures.over_shards(|shard| shard.connections.open);
    let refusals = figures.refusals();
    cells.extend([
        Cell::new(percent(use_share)).toned(share_tone(use_share)),
        Cell::new(of(depth, depth_max)).toned(zero_tone(depth, Tone::Warning)),
        Cell::new(rate(figures.rate_over_shards(|shard| shard.work))),
        Cell::new(rate(refusals)).toned(zero_tone(refusals.unwrap_or(0.0), Tone::Critical)),
        Cell::new(quantile(figures.work.quantile(0.5))),
        Cell::new(quantile(figures.work.quantile(0.99))),
        Cell::new(rate(figures.process.cpus)),
        Cell::new(bytes(figures.process.resident_bytes)),
        Cell::new(count(connections)),
        Cell::new(uptime(figures, now)),
    ]);
    if matches!(server.presence(now.at), Presence::Away(..)) {
        for cell in &mut cells[3..] {
            cell.tone = Tone::Faint;
        }
    }
    cells
}
