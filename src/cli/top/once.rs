//! The view as plain text, once: for scripts, and wherever there is no terminal.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use super::live::now;
use super::one_server;
use super::page::Sort;
use super::readers::Reader;
use super::servers::Server;
use crate::cli::terminal::{print_error, print_line};
use crate::scrape::AdminAddress;

/// Asks each server twice, an interval apart, because rates need two answers, and prints what it knows then. Whether
/// all of them answered.
pub(super) fn run(addresses: Vec<AdminAddress>, interval: Duration) -> bool {
    let mut readers: Vec<Reader> = addresses.iter().cloned().map(Reader::new).collect();
    let mut servers: Vec<Server> = addresses.into_iter().map(Server::new).collect();
    ask(&mut readers, &mut servers);
    thread::sleep(interval);
    ask(&mut readers, &mut servers);
    let width = width();
    let mut is_first = true;
    let mut are_all_there = true;
    for server in &servers {
        if let Some(reason) = server.failure() {
            print_error(&format!("{}: {reason}", server.address));
            are_all_there = false;
            continue;
        }
        if !is_first {
            print_line("");
        }
        is_first = false;
        let page = one_server::page(server, None, Sort::Load, now(), width);
        let lines = page.head.iter().map(|line| line.plain());
        let lines = lines
            .chain([String::new()])
            .chain(page.body.iter().map(|line| line.plain()));
        lines.for_each(|line| print_line(&line));
    }
    are_all_there
}

/// One request to each server, all at the same time.
fn ask(readers: &mut [Reader], servers: &mut [Server]) {
    thread::scope(|scope| {
        for (reader, server) in readers.iter_mut().zip(servers) {
            scope.spawn(|| {
                let (at, reading) = reader.read();
                server.on_reading(at, reading);
            });
        }
    });
}

/// The width of the terminal; whoever reads a file or a pipe gets all there is.
fn width() -> usize {
    if !io::stdout().is_terminal() {
        return usize::MAX;
    }
    crossterm::terminal::size().map_or(80, |(columns, _)| columns.into())
}
