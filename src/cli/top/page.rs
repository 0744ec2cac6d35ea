//! What a screen shows: lines that stay at its top, lines that scroll, and keys at its bottom.

use std::time::Instant;

use super::numbers::{UNKNOWN, whole_seconds};
use super::servers::{Presence, Server};
use super::table::{Cell, Line, Tone};
use crate::scrape::Figures;

/// Shares from which on a pool needs attention, and has nothing left to speak of; see "Watching it" in `tuning.md`.
const BUSY: f64 = 0.8;
const FULL: f64 = 0.95;

/// Lines for one screen.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) head: Vec<Line>,
    pub(super) body: Vec<Line>,
}

impl Page {
    /// Adds a part to the body, below an empty line and its title.
    pub(super) fn part(&mut self, title: &str, lines: Vec<Line>) {
        if !self.body.is_empty() {
            self.body.push(Line::default());
        }
        if !title.is_empty() {
            self.body
                .push(Line::new(vec![Cell::new(title).toned(Tone::Faint)]));
        }
        self.body.extend(lines);
    }
}

/// The time, as it is on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Seconds since 1970.
    pub(super) wall_seconds: f64,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// The busiest first.
    #[default]
    Load,
    /// The slowest first.
    Latency,
    /// Those that fail most first.
    Errors,
    /// By number or name.
    Name,
}

impl Sort {
    /// The next of them.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Load => Self::Latency,
            Self::Latency => Self::Errors,
            Self::Errors => Self::Name,
            Self::Name => Self::Load,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Name => "name",
        }
    }

    /// The rows with the largest of the numbers first; those that are equal, and all of them by name, as they were.
    pub(super) fn apply<T>(
        self,
        rows: &mut [T],
        load: impl Fn(&T) -> f64,
        slow: impl Fn(&T) -> f64,
        failed: impl Fn(&T) -> f64,
    ) {
        let by =
            |number: &dyn Fn(&T) -> f64, rows: &mut [T]| rows.sort_by(|a, b| number(b).total_cmp(&number(a)));
        match self {
            Self::Load => by(&load, rows),
            Self::Latency => by(&slow, rows),
            Self::Errors => by(&failed, rows),
            Self::Name => {}
        }
    }
}

/// The tone of a share of something that runs out.
pub(super) fn share_tone(share: f64) -> Tone {
    match share {
        share if share >= FULL => Tone::Critical,
        share if share >= BUSY => Tone::Warning,
        _ => Tone::Plain,
    }
}

/// Of a number that should be zero.
pub(super) fn zero_tone(number: f64, otherwise: Tone) -> Tone {
    if number > 0.0 { otherwise } else { Tone::Plain }
}

/// What there is to say about whether a server answers.
pub(super) fn presence_cell(server: &Server, now: Instant) -> Cell {
    match server.presence(now) {
        Presence::Awaited => Cell::new("asking"),
        Presence::Up => Cell::new("up"),
        Presence::Restarted(ago) => {
            let text = format!("restarted {} ago", whole_seconds(ago.as_secs_f64()));
            Cell::new(text).toned(Tone::Warning)
        }
        Presence::Away(time, _) => {
            Cell::new(format!("away for {}", whole_seconds(time.as_secs_f64()))).toned(Tone::Critical)
        }
    }
}

/// For how long the process has run.
pub(super) fn uptime(figures: &Figures, now: Now) -> String {
    let started = figures.process.start_time_seconds;
    started.map_or_else(
        || UNKNOWN.to_owned(),
        |started| whole_seconds(now.wall_seconds - started),
    )
}
