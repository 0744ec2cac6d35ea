//! What is known of each server: its last figures, and whether it answers.

use std::time::{Duration, Instant};

use crate::scrape::{AdminAddress, Figures};

/// For how long a restart is told.
const RESTART_TOLD: Duration = Duration::from_secs(30);

/// What one request for metrics came to; otherwise the reason, in this program's words.
pub(super) type Reading = Result<Figures, String>;

/// Whether a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// It was not asked yet, or has not answered yet.
    Awaited,
    /// Its figures are those of now.
    Up,
    /// It is another process than before, for this long.
    Restarted(Duration),
    /// It has not answered for this long, and why.
    Away(Duration, String),
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: AdminAddress,
    figures: Option<Figures>,
    restarted: Option<Instant>,
    failing: Option<(Instant, String)>,
}

impl Server {
    pub(super) fn new(address: AdminAddress) -> Self {
        Self {
            address,
            figures: None,
            restarted: None,
            failing: None,
        }
    }

    /// Takes what a request at `at` came to.
    pub(super) fn on_reading(&mut self, at: Instant, reading: Reading) {
        match reading {
            Ok(figures) => {
                let restarts = self.figures.as_ref().map_or(0, |known| known.restarts);
                if figures.restarts > restarts {
                    self.restarted = Some(at);
                }
                self.figures = Some(figures);
                self.failing = None;
            }
            Err(reason) => {
                let since = self.failing.take().map_or(at, |(since, _)| since);
                self.failing = Some((since, reason));
            }
        }
    }

    /// The figures of its last answer.
    pub(super) fn figures(&self) -> Option<&Figures> {
        self.figures.as_ref()
    }

    /// Why the last request came to nothing, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failing.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// Whether it answers.
    pub(super) fn presence(&self, now: Instant) -> Presence {
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some((failed, reason)) = &self.failing {
            return Presence::Away(since(*failed), reason.clone());
        }
        if self.figures.is_none() {
            return Presence::Awaited;
        }
        match self.restarted.map(since) {
            Some(ago) if ago < RESTART_TOLD => Presence::Restarted(ago),
            _ => Presence::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::readers::Reader;
    use super::*;

    #[test]
    fn a_server_goes_away_and_comes_back() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let address: AdminAddress = "127.0.0.1:1".parse().unwrap();
        let mut reader = Reader::new(address.clone());
        let mut reading = |seconds, count: u32| {
            let text = format!("weir_build_info{{version=\"1\"}} 1\nweir_received_bytes_total {count}\n");
            reader.take(at(seconds), &text)
        };
        let mut server = Server::new(address.clone());
        assert_eq!(server.presence(at(0)), Presence::Awaited);
        server.on_reading(at(0), Err("nobody".to_owned()));
        assert_eq!(
            server.presence(at(3)),
            Presence::Away(Duration::from_secs(3), "nobody".to_owned())
        );
        server.on_reading(at(3), reading(3, 9));
        assert_eq!(server.presence(at(3)), Presence::Up);
        // Away counts from the first failure, with the last reason, and the figures stay.
        server.on_reading(at(4), Err("gone".to_owned()));
        server.on_reading(at(6), Err("refused".to_owned()));
        assert_eq!(
            server.presence(at(9)),
            Presence::Away(Duration::from_secs(5), "refused".to_owned())
        );
        assert!(server.figures().is_some());
        server.on_reading(at(10), reading(10, 1));
        assert_eq!(
            server.presence(at(12)),
            Presence::Restarted(Duration::from_secs(2))
        );
        assert_eq!(server.presence(at(60)), Presence::Up);
        server.on_reading(at(61), Reader::new(address).take(at(61), "x 1\n"));
        assert!(matches!(server.presence(at(61)), Presence::Away(_, reason) if reason.contains("Weir")));
    }
}
