//! Ends all descendants of this process.

use std::time::Duration;

use rustix::process::Signal;

use super::reap::{Waited, try_reap};
use super::signals::Signals;
use super::tree::Tree;

/// Time after which it looks again; it doubles up to the second figure while somebody does not end.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Kills and reaps until nobody is left. This process must be a subreaper: whoever loses its parent is its child then,
/// so without children there are no descendants.
pub(super) fn end_descendants(signals: &Signals) {
    let mut pause = PAUSE;
    loop {
        if let Ok(tree) = Tree::read() {
            let descendants = tree.descendants();
            let alive = descendants.iter().filter(|process| !process.is_zombie);
            alive.for_each(|process| process.signal(Signal::KILL));
        }
        loop {
            match try_reap() {
                Waited::Reaped(_) => pause = PAUSE,
                Waited::Running => break,
                Waited::Childless => return,
            }
        }
        signals.wait(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
