//! The view on a terminal: waits for readings, keys and signals, and draws after each.
//!
//! Ctrl-Z and SIGTSTP give the terminal back and stop the program, as a shell expects it; SIGCONT takes the terminal
//! again, whatever has become of it.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{self, KeyEventKind};
use rustix::process::{Signal, getpid, getsid, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::page::Now;
use super::readers::{self, Event};
use super::screen::{Palette, Screen};
use super::servers::Server;
use super::view::{Next, View};
use crate::scrape::AdminAddress;

/// How long the screen may stay when nothing happens: times in it go on.
const TICK: Duration = Duration::from_secs(1);

/// Shows the servers until somebody has seen enough.
///
/// # Errors
/// Fails when the terminal cannot be used, or there can be no more threads.
pub(super) fn run(addresses: Vec<AdminAddress>, interval: Duration) -> io::Result<()> {
    let (sender, events) = channel();
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGCONT])?;
    let mut screen = Screen::take(Palette::of_environment())?;
    start_signals(signals, sender.clone())?;
    start_keys(sender.clone())?;
    for (place, address) in addresses.iter().enumerate() {
        readers::start(place, address.clone(), interval, sender.clone())?;
    }
    let mut view = View::new(addresses.into_iter().map(Server::new).collect());
    screen.show(&mut view, now())?;
    loop {
        match take(&events, &mut view) {
            Next::Stay => {}
            Next::Stop => stop(&mut screen)?,
            Next::GoOn => screen.take_again()?,
            Next::Quit => return Ok(()),
        }
        screen.show(&mut view, now())?;
    }
}

/// Waits for something, and takes all that has come by then, so that a slow terminal is not sent every step.
fn take(events: &Receiver<Event>, view: &mut View) -> Next {
    let mut event = match events.recv_timeout(TICK) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => return Next::Quit,
    };
    while let Some(taken) = event {
        let next = match taken {
            Event::Reading(server, at, reading) => {
                view.on_reading(server, at, *reading);
                Next::Stay
            }
            Event::Terminal(event::Event::Key(key)) if key.kind != KeyEventKind::Release => view.on_key(key),
            // Drawing asks for the size.
            Event::Terminal(_) => Next::Stay,
            Event::Stop => Next::Stop,
            Event::GoOn => Next::GoOn,
            Event::End => Next::Quit,
        };
        if next != Next::Stay {
            return next;
        }
        event = events.try_recv().ok();
    }
    Next::Stay
}

/// Stops until somebody sends SIGCONT, which is an event then.
///
/// # Errors
/// Fails when there can be no such signal.
fn stop(screen: &mut Screen) -> io::Result<()> {
    // Without a shell above it, as under `ssh -t HOST weir top`, nobody would let it go on.
    if getsid(None)? == getpid() {
        return Ok(());
    }
    screen.give_back();
    // All of the job, as the terminal does it for Ctrl-Z: a script around this program would wait for it otherwise.
    // SIGTSTP would come back to this program's own handler.
    kill_current_process_group(Signal::STOP)?;
    Ok(())
}

fn start_signals(mut signals: Signals, events: Sender<Event>) -> io::Result<()> {
    let work = move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGTSTP => Event::Stop,
                SIGCONT => Event::GoOn,
                _ => Event::End,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("top-signals".to_owned())
        .spawn(work)?;
    Ok(())
}

fn start_keys(events: Sender<Event>) -> io::Result<()> {
    let work = move || {
        loop {
            // A terminal that has gone says so for ever.
            let event = event::read().map_or(Event::End, Event::Terminal);
            let is_last = matches!(event, Event::End);
            if events.send(event).is_err() || is_last {
                return;
            }
        }
    };
    thread::Builder::new().name("top-keys".to_owned()).spawn(work)?;
    Ok(())
}

/// The time on both clocks.
pub(super) fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Now {
        at: Instant::now(),
        wall_seconds: since_1970.unwrap_or_default().as_secs_f64(),
    }
}
