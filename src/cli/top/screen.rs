//! The terminal: taken over at the start, given back at any end, and drawn on in between.

use std::io;

use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text;
use ratatui::{DefaultTerminal, Frame, Terminal};

use super::page::Now;
use super::table::{Cell, Tone};
use super::view::View;

/// Whether tones may be colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Palette {
    Colours,
    /// As <https://no-color.org> has it: bold, dim and reversed stay.
    NoColours,
}

impl Palette {
    /// What the environment asks for.
    pub(super) fn of_environment() -> Self {
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Self::NoColours,
            _ => Self::Colours,
        }
    }

    fn style(self, tone: Tone) -> Style {
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Warning => Style::new().fg(Color::Yellow),
            Tone::Critical => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        };
        match self {
            Self::Colours => style,
            Self::NoColours => Style { fg: None, ..style },
        }
    }
}

/// The terminal in this program's hands: its own screen, and keys as they are pressed. Dropping it, and any panic,
/// gives it back as it was.
pub(super) struct Screen {
    /// Nothing while it is given back for a time.
    terminal: Option<DefaultTerminal>,
    palette: Palette,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// Fails when it is none, or goes away.
    pub(super) fn take(palette: Palette) -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self {
                terminal: Some(terminal),
                palette,
            }),
            Err(error) => {
                // Half of it may have been done.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    /// Gives the terminal back for a time. Nothing is shown until it is taken again.
    pub(super) fn give_back(&mut self) {
        if let Some(mut terminal) = self.terminal.take() {
            let _ = terminal.show_cursor();
            // A terminal that has gone needs nothing.
            let _ = ratatui::try_restore();
        }
    }

    /// Takes the terminal over again, and knows nothing of what is on it: all is drawn anew.
    ///
    /// # Errors
    /// Fails when the terminal has gone.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        // Its modes are set only from those they were before.
        self.give_back();
        enable_raw_mode()?;
        let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        execute!(terminal.backend_mut(), EnterAlternateScreen)?;
        self.terminal = Some(terminal);
        Ok(())
    }

    /// Shows the view, by sending what has changed since the last time.
    ///
    /// # Errors
    /// Fails when the terminal has gone.
    pub(super) fn show(&mut self, view: &mut View, now: Now) -> io::Result<()> {
        let palette = self.palette;
        if let Some(terminal) = &mut self.terminal {
            terminal.draw(|frame| draw(frame, view, palette, now))?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Draws the view over the whole of a frame.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View, palette: Palette, now: Now) {
    let area = frame.area();
    let lines = view.lines(now, area.width.into(), area.height.into());
    for (row, line) in area.rows().zip(&lines) {
        let style = if line.is_selected {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        let spans = line
            .cells
            .iter()
            .map(|cell: &Cell| text::Span::styled(cell.text.as_str(), palette.style(cell.tone)));
        let text = text::Line::from_iter(spans);
        frame.render_widget(text, row);
        frame.buffer_mut().set_style(row, style);
    }
}
