//! A thread for each server, which asks it for its metrics at every interval.
//!
//! All that takes long happens there: a server may have thousands of tools, or be nasty, and keys do not wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::servers::Reading;
use crate::scrape::{AdminAddress, Figures, Samples, Window, fetch};

/// For how long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the view waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// What a request to one of the servers came to, and when it was answered.
    Reading(usize, Instant, Box<Reading>),
    /// A key, or another size of the terminal.
    Terminal(crossterm::event::Event),
    /// A signal wants the program to stop for now.
    Stop,
    /// A signal lets the program go on; whoever had the terminal since may have changed it.
    GoOn,
    /// A signal wants the program to end, or the terminal has gone, or there is a fault in here.
    End,
}

/// Whoever asks one server, with its last answers.
#[derive(Debug)]
pub(super) struct Reader {
    address: AdminAddress,
    window: Window,
}

impl Reader {
    pub(super) fn new(address: AdminAddress) -> Self {
        Self {
            address,
            window: Window::default(),
        }
    }

    /// Asks the server once: when it answered, and what.
    pub(super) fn read(&mut self) -> (Instant, Reading) {
        let text = fetch(&self.address, PATIENCE);
        let at = Instant::now();
        let reading = text
            .map_err(|error| error.to_string())
            .and_then(|text| self.take(at, &text));
        (at, reading)
    }

    /// Takes metrics of the server, as they were at `at`.
    pub(super) fn take(&mut self, at: Instant, text: &str) -> Reading {
        let samples = Samples::parse(text).map_err(|error| error.to_string())?;
        self.window.push(at, samples);
        Figures::of(&self.window).ok_or_else(|| "these are not the metrics of a Weir server".to_owned())
    }
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
    let mut reader = Reader::new(address);
    let work = move || {
        loop {
            let began = Instant::now();
            let reading = catch_unwind(AssertUnwindSafe(|| reader.read()));
            // The terminal was given back for the panic's message, so there is nothing left to draw on.
            let (event, is_last) = match reading {
                Ok((at, reading)) => (Event::Reading(place, at, Box::new(reading)), false),
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
