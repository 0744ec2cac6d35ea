//! Tables that fit a width, as lines of toned texts: what a screen shows in colours and a script as plain text.
//!
//! A tone is never a colour alone: what needs attention carries `!`, what is wrong `!!`. Texts of servers are escaped
//! where they become a cell, so that none reaches a terminal as it is.

use ratatui::text::Span;

use super::super::logging;

/// A column of names gives way to others as long as it keeps this width; after that, others are left out.
const NAME_WIDTH_KEPT: usize = 24;

/// The width of a column of names that no other column is left out for.
const NAME_WIDTH_MIN: usize = 4;

/// The most characters of a text of a server: more than fit on any screen.
const FOREIGN_CHARACTERS_MAX: usize = 300;

/// How a text is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// Beside the point.
    Faint,
    /// The head of a table, or the name of a key.
    Strong,
    /// Needs attention.
    Warning,
    /// Is wrong.
    Critical,
}

/// A text with its tone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Cell {
    /// A text of this program's own.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone: Tone::Plain,
        }
    }

    /// A text that a server, or whoever named its tools, has chosen.
    pub(super) fn foreign(text: &str) -> Self {
        let end = text
            .char_indices()
            .nth(FOREIGN_CHARACTERS_MAX)
            .map_or(text.len(), |(end, _)| end);
        Self::new(logging::escape_text(&text[..end]))
    }

    /// The same in another tone, with its mark.
    #[must_use]
    pub(super) fn toned(mut self, tone: Tone) -> Self {
        self.text.push_str(match tone {
            Tone::Warning => "!",
            Tone::Critical => "!!",
            Tone::Plain | Tone::Faint | Tone::Strong => "",
        });
        self.tone = tone;
        self
    }

    fn width(&self) -> usize {
        width(&self.text)
    }
}

/// One line of a screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub(super) cells: Vec<Cell>,
    pub(super) is_selected: bool,
}

impl Line {
    pub(super) fn new(cells: Vec<Cell>) -> Self {
        Self {
            cells,
            is_selected: false,
        }
    }

    /// Texts beside each other, as many as fit, with two blanks between them.
    pub(super) fn of(cells: impl IntoIterator<Item = Cell>, width_max: usize) -> Self {
        let mut line = Self::default();
        let mut used = 0;
        for cell in cells {
            let gap = if line.cells.is_empty() { "" } else { "  " };
            if used + gap.len() + cell.width() > width_max {
                break;
            }
            used += gap.len() + cell.width();
            if !gap.is_empty() {
                line.cells.push(Cell::new(gap));
            }
            line.cells.push(cell);
        }
        line
    }

    /// The text alone, without blanks at its end.
    pub(super) fn plain(&self) -> String {
        let text: String = self.cells.iter().map(|cell| cell.text.as_str()).collect();
        text.trim_end().to_owned()
    }
}

/// On which side the texts of a column are flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) side: Side,
    /// Columns of the highest rank are left out first where the width does not do; those of rank 0 never.
    pub(super) rank: u8,
}

/// A column of numbers.
pub(super) const fn number(title: &'static str, rank: u8) -> Column {
    Column {
        title,
        side: Side::Right,
        rank,
    }
}

/// A column of texts.
pub(super) const fn name(title: &'static str, rank: u8) -> Column {
    Column {
        title,
        side: Side::Left,
        rank,
    }
}

/// Rows under titles. The first column, if it is flush left, gives way first.
#[derive(Debug)]
pub(super) struct Table<'a> {
    columns: &'a [Column],
    rows: Vec<Vec<Cell>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(columns: &'a [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row, with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{cells:?}");
        self.rows.push(cells);
    }

    /// The titles and then the rows, in at most this width.
    pub(super) fn lines(&self, width_max: usize) -> Vec<Line> {
        let (shown, widths, gap) = self.layout(width_max);
        let line = |cells: &dyn Fn(usize) -> Cell| {
            let mut line = Line::default();
            for (place, (&column, &width)) in shown.iter().zip(&widths).enumerate() {
                let cell = cells(column);
                let text = padded(&fitted(&cell.text, width), width, self.columns[column].side);
                let gap = if place == 0 { "" } else { gap };
                line.cells.push(Cell {
                    text: format!("{gap}{text}"),
                    tone: cell.tone,
                });
            }
            line
        };
        let title = |column: usize| Cell::new(self.columns[column].title).toned(Tone::Strong);
        let rows = self.rows.iter().map(|row| line(&|column| row[column].clone()));
        std::iter::once(line(&title)).chain(rows).collect()
    }

    /// Which columns are shown, how wide, and what is between them.
    fn layout(&self, width_max: usize) -> (Vec<usize>, Vec<usize>, &'static str) {
        let natural = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].width());
            cells
                .chain([width(self.columns[column].title)])
                .max()
                .unwrap_or(0)
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        loop {
            let mut widths: Vec<usize> = shown.iter().map(|&column| natural(column)).collect();
            let needed =
                |gap: &str| widths.iter().sum::<usize>() + gap.len() * widths.len().saturating_sub(1);
            if let Some(gap) = ["  ", " "].into_iter().find(|gap| needed(gap) <= width_max) {
                return (shown, widths, gap);
            }
            let last = shown.iter().max_by_key(|column| self.columns[**column].rank);
            let last = last.copied().filter(|column| self.columns[*column].rank > 0);
            let is_name = shown
                .first()
                .is_some_and(|&first| self.columns[first].side == Side::Left);
            let kept = if last.is_some() {
                NAME_WIDTH_KEPT
            } else {
                NAME_WIDTH_MIN
            };
            let rest = widths
                .first()
                .and_then(|first| (first + width_max).checked_sub(needed(" ")));
            match (rest.filter(|rest| is_name && *rest >= kept), last) {
                (Some(rest), _) => {
                    widths[0] = rest;
                    return (shown, widths, " ");
                }
                (None, Some(last)) => shown.retain(|column| *column != last),
                // What is left is cut where the screen ends.
                (None, None) => return (shown, widths, " "),
            }
        }
    }
}

/// The columns that a text takes on a screen.
fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text, cut to this width; `~` shows that it was.
fn fitted(text: &str, width_max: usize) -> String {
    if width(text) <= width_max {
        return text.to_owned();
    }
    let mut cut = text.to_owned();
    while width(&cut) + 1 > width_max && cut.pop().is_some() {}
    if width_max > 0 {
        cut.push('~');
    }
    cut
}

fn padded(text: &str, width_min: usize, side: Side) -> String {
    let blanks = " ".repeat(width_min.saturating_sub(width(text)));
    match side {
        Side::Left => format!("{text}{blanks}"),
        Side::Right => format!("{blanks}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        name("TOOL", 0),
        number("RATE", 0),
        number("P50", 2),
        number("P99", 1),
    ];

    fn plain(table: &Table<'_>, width: usize) -> Vec<String> {
        table.lines(width).iter().map(Line::plain).collect()
    }

    fn table(name: &str) -> Table<'_> {
        let mut table = Table::new(&COLUMNS);
        table.row(vec![
            Cell::foreign(name),
            Cell::new("5"),
            Cell::new("1.5ms"),
            Cell::new("20ms").toned(Tone::Warning),
        ]);
        table
    }

    #[test]
    fn columns_line_up_and_give_way_by_rank() {
        let table = table("search_everything");
        assert_eq!(
            plain(&table, 80),
            [
                "TOOL               RATE    P50    P99",
                "search_everything     5  1.5ms  20ms!"
            ]
        );
        // One blank, then the columns give way, then the name.
        assert_eq!(
            plain(&table, 34),
            [
                "TOOL              RATE   P50   P99",
                "search_everything    5 1.5ms 20ms!"
            ]
        );
        assert_eq!(
            plain(&table, 33),
            ["TOOL               RATE    P99", "search_everything     5  20ms!"]
        );
        assert_eq!(plain(&table, 18)[1], "search_every~    5");
        assert_eq!(plain(&table, 3).len(), 2);
    }

    #[test]
    fn a_long_name_gives_way_before_columns() {
        let table = table("search_everything_there_ever_was_and_more");
        assert_eq!(
            plain(&table, 46)[1],
            "search_everything_there_ever~    5 1.5ms 20ms!"
        );
        assert_eq!(plain(&table, 40)[1], "search_everything_there_ever~    5 20ms!");
    }

    #[test]
    fn widths_are_those_of_a_screen() {
        let table = table("検索");
        assert_eq!(
            plain(&table, 80),
            ["TOOL  RATE    P50    P99", "検索     5  1.5ms  20ms!"]
        );
        assert_eq!(fitted("検索検索", 6), "検索~");
        assert_eq!(fitted("検索", 0), "");
    }

    #[test]
    fn texts_of_servers_do_nothing_to_a_terminal() {
        let cell = Cell::foreign("a\u{1b}[2J\u{9b}31m\r\n\u{202e}b");
        assert_eq!(cell.text, "a\\u{1b}[2J\\u{9b}31m\\r\\n\\u{202e}b");
    }

    #[test]
    fn texts_beside_each_other_end_where_the_width_does() {
        let cells = ["one", "two", "three"].map(Cell::new);
        assert_eq!(Line::of(cells.clone(), 15).plain(), "one  two  three");
        assert_eq!(Line::of(cells, 14).plain(), "one  two");
    }
}
