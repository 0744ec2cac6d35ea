//! What the screen shows of the servers, and what keys change about it.
//!
//! ```text
//! servers ──Enter, 1-9──► one server ──Enter──► one shard
//!         ◄────Esc──────             ◄───Esc───
//! ```
//!
//! With one server there is no list of them. Nothing here draws or waits: readings, keys and the time are passed in.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::page::{Now, Page, Sort};
use super::servers::{Reading, Server};
use super::table::{Cell, Line, Tone};
use super::{one_server, one_shard, overview};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Servers,
    Server,
    Shard,
}

/// What a key asks for beyond the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Stop,
    GoOn,
    Quit,
}

/// The view.
#[derive(Debug)]
pub(super) struct View {
    servers: Vec<Server>,
    place: Place,
    sort: Sort,
    is_paused: bool,
    is_helping: bool,
    chosen_server: usize,
    chosen_shard: Option<u32>,
    scrolled: usize,
    /// By how many parts of the body the next screen is to be scrolled: only a screen knows where they begin.
    tabs: usize,
    /// Whether the next screen must show the chosen row, wherever it was scrolled to.
    is_following: bool,
}

/// Keys and what they do; all of the help fits 80 columns and 24 rows.
const HELP: [(&str, &str); 10] = [
    ("q, Ctrl-C; Ctrl-Z", "end; stop, until the shell's `fg`"),
    (
        "p, blank",
        "pause: the screen stays as it is, until the next time",
    ),
    ("s", "sort by load, latency, errors or name"),
    ("up, down, k, j", "choose a server or a shard"),
    ("Enter", "look at what is chosen"),
    ("Esc, Backspace", "back"),
    ("1 to 9", "the server of that number on the command line"),
    ("page up, page down", "scroll; Home and End go to the ends"),
    ("Tab", "scroll to the next table"),
    ("?, h", "this help"),
];

const READING: [&str; 11] = [
    "!        80 % of handlers or queue taken, or else something to look at",
    "!!       95 % taken, calls refused or late, a server or program that is away",
    "-, ~     not known yet; a name that was cut. Rates are of the last ten seconds",
    "LEASED   handlers that have a call or linger, of those there are",
    "QUEUE    calls that wait for a handler, of those that may; OLDEST the longest",
    "WAITS/S  calls that found no handler free; LATE/S refused after the timeout",
    "IN/S     calls that came from other shards' queues; OUT/S that went to them",
    "CALLS/S  requests that take a handler; STALLS no progress with work in hand",
    "P99      99 of 100 took at most this, as exactly as the histogram's bounds tell",
    "START    the mean time until a process was ready; DEATHS unasked for, ever",
    "KEY      opens the server",
];

impl View {
    pub(super) fn new(servers: Vec<Server>) -> Self {
        let place = if servers.len() > 1 {
            Place::Servers
        } else {
            Place::Server
        };
        Self {
            servers,
            place,
            sort: Sort::default(),
            is_paused: false,
            is_helping: false,
            chosen_server: 0,
            chosen_shard: None,
            scrolled: 0,
            tabs: 0,
            is_following: false,
        }
    }

    /// Takes what a server answered; a paused view ignores it.
    pub(super) fn on_reading(&mut self, server: usize, at: std::time::Instant, reading: Reading) {
        if !self.is_paused
            && let Some(server) = self.servers.get_mut(server)
        {
            server.on_reading(at, reading);
        }
    }

    /// Does what a key is for.
    pub(super) fn on_key(&mut self, key: KeyEvent) -> Next {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return Next::Quit,
            KeyCode::Char('z') if is_control => return Next::Stop,
            KeyCode::Char('q') => return Next::Quit,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('?' | 'h') => {
                self.is_helping = !self.is_helping;
                self.scrolled = 0;
            }
            KeyCode::Char(digit @ '1'..='9') => self.open(usize::from(digit as u8 - b'1')),
            KeyCode::Up | KeyCode::Char('k') => self.choose(-1),
            KeyCode::Down | KeyCode::Char('j') => self.choose(1),
            KeyCode::Enter | KeyCode::Right => self.enter(),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.leave(),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(PAGE_LINES),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_add(PAGE_LINES),
            KeyCode::Home => self.scrolled = 0,
            KeyCode::End => self.scrolled = usize::MAX,
            KeyCode::Tab => self.tabs += 1,
            _ => {}
        }
        Next::Stay
    }

    fn open(&mut self, server: usize) {
        if server < self.servers.len() {
            (self.chosen_server, self.chosen_shard) = (server, None);
            self.go(Place::Server);
        }
    }

    fn go(&mut self, place: Place) {
        self.place = place;
        self.is_helping = false;
        self.scrolled = 0;
        self.is_following = true;
    }

    fn enter(&mut self) {
        match self.place {
            Place::Servers => self.open(self.chosen_server),
            Place::Server if self.shards().is_empty() => {}
            Place::Server => {
                // Without a choice it is the first one.
                self.chosen_shard = self.chosen_shard.or_else(|| self.shards().first().copied());
                self.go(Place::Shard);
            }
            Place::Shard => {}
        }
    }

    fn leave(&mut self) {
        match self.place {
            _ if self.is_helping => self.is_helping = false,
            Place::Shard => self.go(Place::Server),
            Place::Server if self.servers.len() > 1 => self.go(Place::Servers),
            Place::Server | Place::Servers => {}
        }
    }

    /// Moves the choice by one, in the order of numbers.
    fn choose(&mut self, step: isize) {
        self.is_following = true;
        let moved = |at: usize, count: usize| at.saturating_add_signed(step).min(count.saturating_sub(1));
        if self.place == Place::Servers {
            self.chosen_server = moved(self.chosen_server, self.servers.len());
            return;
        }
        let shards = self.shards();
        let at = shards.iter().position(|shard| Some(*shard) == self.chosen_shard);
        let next = at.map_or(0, |at| moved(at, shards.len()));
        self.chosen_shard = shards.get(next).copied();
    }

    /// The numbers of the shards of the server that is looked at.
    fn shards(&self) -> Vec<u32> {
        let figures = self.servers.get(self.chosen_server).and_then(Server::figures);
        figures.map_or_else(Vec::new, |figures| {
            figures.shards.iter().map(|shard| shard.shard).collect()
        })
    }

    /// The lines of a screen of this size: always `height` of them, the keys on the last.
    pub(super) fn lines(&mut self, now: Now, width: usize, height: usize) -> Vec<Line> {
        let page = self.page(now, width);
        let room = height.saturating_sub(page.head.len() + 1);
        self.scroll(&page.body, room);
        let body = page.body.into_iter().skip(self.scrolled).take(room);
        let mut lines: Vec<Line> = page.head.into_iter().chain(body).collect();
        lines.truncate(height.saturating_sub(1));
        lines.resize_with(height.saturating_sub(1), Line::default);
        lines.push(self.keys(width));
        lines.truncate(height);
        lines
    }

    fn page(&self, now: Now, width: usize) -> Page {
        let mut page = if self.is_helping {
            help()
        } else {
            self.place_page(now, width)
        };
        if self.is_paused {
            let paused = Cell::new("PAUSED; p goes on").toned(Tone::Warning);
            page.head.push(Line::new(vec![paused]));
        }
        if !page.head.is_empty() {
            page.head.push(Line::default());
        }
        page
    }

    fn place_page(&self, now: Now, width: usize) -> Page {
        let Some(server) = self.servers.get(self.chosen_server) else {
            return Page::default();
        };
        match self.place {
            Place::Servers => overview::page(&self.servers, self.chosen_server, self.sort, now, width),
            Place::Server => one_server::page(server, self.chosen_shard, self.sort, now, width),
            Place::Shard => {
                let head = one_server::presence(server, now, width);
                let shards = server
                    .figures()
                    .map(|figures| figures.shards.as_slice())
                    .unwrap_or_default();
                let shard = shards.iter().find(|shard| Some(shard.shard) == self.chosen_shard);
                let page = shard
                    .map(|shard| one_shard::page(shard, width))
                    .unwrap_or_default();
                // The server may have fewer shards than before.
                Page { head, ..page }
            }
        }
    }

    /// Keeps what is scrolled inside the body, and follows the choice.
    fn scroll(&mut self, body: &[Line], room: usize) {
        for _ in 0..std::mem::take(&mut self.tabs) {
            let parts = body.iter().enumerate().filter(|(_, line)| line.cells.is_empty());
            let mut starts = parts.map(|(at, _)| at + 1);
            // Behind the last part comes the first again.
            self.scrolled = starts.find(|start| *start > self.scrolled).unwrap_or(0);
        }
        let selected = body.iter().position(|line| line.is_selected);
        if let (true, Some(selected)) = (self.is_following, selected) {
            if selected < self.scrolled {
                self.scrolled = selected.saturating_sub(1);
            } else if selected >= self.scrolled + room {
                self.scrolled = selected + 1 - room;
            }
        }
        self.is_following = false;
        self.scrolled = self.scrolled.min(body.len().saturating_sub(room));
    }

    fn keys(&self, width: usize) -> Line {
        let sort = format!("sort: {}", self.sort.as_str());
        let mut keys = vec![
            ("q", "quit"),
            ("p", if self.is_paused { "go on" } else { "pause" }),
            ("s", &*sort),
        ];
        if self.place == Place::Shard {
            keys.push(("up/down", "other shard"));
        } else {
            keys.push((
                "up/down Enter",
                if self.place == Place::Servers {
                    "server"
                } else {
                    "shard"
                },
            ));
        }
        if self.place == Place::Shard || (self.place == Place::Server && self.servers.len() > 1) {
            keys.push(("Esc", "back"));
        }
        if self.servers.len() > 1 {
            keys.push(("1-9", "server"));
        }
        let help = ("?", "help");
        let help_width = 2 + help.0.len() + 1 + help.1.len();
        let mut line = Line::default();
        let mut used = 0;
        // Where not all fit, the last are left out, but never the key that tells of them.
        let fitting = keys.iter().take_while(|(key, does)| {
            used += if used == 0 { 0 } else { 2 } + key.len() + 1 + does.len();
            used + help_width <= width
        });
        for (key, does) in fitting.chain([&help]) {
            let gap = if line.cells.is_empty() { "" } else { "  " };
            line.cells.push(Cell::new(gap));
            line.cells.push(Cell::new(*key).toned(Tone::Strong));
            line.cells.push(Cell::new(format!(" {does}")));
        }
        line
    }
}

/// By how much the keys for pages scroll.
const PAGE_LINES: usize = 10;

fn help() -> Page {
    let mut page = Page::default();
    let keys = HELP.iter().map(|(key, does)| {
        let key = Cell::new(format!("{key:20}")).toned(Tone::Strong);
        Line::new(vec![key, Cell::new(*does)])
    });
    page.part("", keys.collect());
    page.part(
        "",
        READING
            .iter()
            .map(|text| Line::new(vec![Cell::new(*text)]))
            .collect(),
    );
    page
}
