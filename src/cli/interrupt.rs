//! Signals that end a measurement early, with what there is by then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// As shells have it: 128 and the signal's number.
pub(super) const EXIT_INTERRUPTED: u8 = 130;

/// The first SIGINT or SIGTERM has the run end with what it has, and the second ends the process at once.
///
/// # Errors
/// Fails when the signals cannot be taken.
pub(super) fn hear_interrupts(interrupt: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let status = i32::from(EXIT_INTERRUPTED);
        flag::register_conditional_shutdown(signal, status, Arc::clone(interrupt))?;
        flag::register(signal, Arc::clone(interrupt))?;
    }
    Ok(())
}
