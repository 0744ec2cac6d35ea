//! A thread for each server, which asks it for its metrics at every interval.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::servers::Reading;
use crate::scrape::{AdminAddress, Samples, fetch};

/// For how long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the view waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// What a request to one of the servers came to, and when it was made.
    Reading(usize, Instant, Reading),
    /// A key, or another size of the terminal.
    Terminal(crossterm::event::Event),
    /// A signal wants the program to end, or the terminal has gone, or there is a fault in here.
    End,
}

/// Asks a server once; the reason otherwise.
pub(super) fn read(address: &AdminAddress) -> Reading {
    let text = fetch(address, PATIENCE).map_err(|error| error.to_string())?;
    Samples::parse(&text).map_err(|error| error.to_string())
}

/// Asks a server at every interval, until nobody takes its answers. A server that takes longer is asked again at once.
///
/// # Errors
/// Fails when there can be no more threads.
pub(super) fn start(
    place: usize,
    address: AdminAddress,
    interval: Duration,
    events: Sender<Event>,
) -> std::io::Result<()> {
    let work = move || {
        loop {
            let began = Instant::now();
            let reading = catch_unwind(AssertUnwindSafe(|| read(&address)));
            // The terminal was given back for the panic's message, so there is nothing left to draw on.
            let (event, is_last) = match reading {
                Ok(reading) => (Event::Reading(place, Instant::now(), reading), false),
                Err(_) => (Event::End, true),
            };
            if events.send(event).is_err() || is_last {
                return;
            }
            thread::sleep(interval.saturating_sub(began.elapsed()));
        }
    };
    thread::Builder::new().name(format!("top-{place}")).spawn(work)?;
    Ok(())
}
