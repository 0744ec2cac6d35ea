//! A line that says how a run goes, on a terminal.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::millis;
use crate::load::{Live, Plan};

/// Silent where nobody looks.
pub(super) struct Progress {
    bar: ProgressBar,
    length: Duration,
}

impl Progress {
    pub(super) fn new(plan: &Plan) -> Progress {
        let length = plan.measured().end;
        // The bar goes to stderr, and knows itself whether that is a terminal.
        let target = if stdout().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(length.as_millis() as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        Progress { bar, length }
    }

    /// What happened since the last time, at this time from the start.
    pub(super) fn show(&self, at: Duration, live: &Live) {
        self.bar.set_position(at.min(self.length).as_millis() as u64);
        self.bar.set_message(said(live));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn said(live: &Live) -> String {
    let seconds = live.length.as_secs_f64().max(f64::MIN_POSITIVE);
    let rate = live.good as f64 / seconds;
    let refused = if live.refused > 0 {
        format!("  {:.0} refused/s", live.refused as f64 / seconds)
    } else {
        String::new()
    };
    let failed = if live.failed > 0 {
        format!("  {:.0} errors/s", live.failed as f64 / seconds)
    } else {
        String::new()
    };
    format!("{rate:.0} requests/s  P99 {}{refused}{failed}", millis(live.p99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_rates_and_what_is_wrong() {
        let mut live = Live {
            length: Duration::from_millis(200),
            good: 500,
            refused: 0,
            failed: 0,
            p99: Duration::from_micros(1_234),
        };
        assert_eq!(said(&live), "2500 requests/s  P99 1.23 ms");
        (live.refused, live.failed) = (10, 1);
        assert_eq!(
            said(&live),
            "2500 requests/s  P99 1.23 ms  50 refused/s  5 errors/s"
        );
    }
}
