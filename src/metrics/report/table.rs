//! Rows of cells under titles, and wrapped lines, none wider than a report may be.

use std::fmt::Write;

/// How many columns a line of a report may take.
pub(super) const COLUMNS: usize = 100;
/// How many columns of a line a name in the first column may take.
const NAME_CHARS_MAX: usize = 32;

/// Rows of cells under titles: the first column to the left, all others to the right. Columns that do not fit on one
/// line go on in a second table below, with the first column again.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    is_last_optional: bool,
}

impl Table {
    pub(super) fn new<'a>(titles: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            rows: vec![titles.into_iter().map(str::to_owned).collect()],
            is_last_optional: false,
        }
    }

    /// The last column is left out where there is no room for it.
    pub(super) fn with_optional_last(mut self) -> Self {
        self.is_last_optional = true;
        self
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        if let Some(name) = cells.first_mut()
            && let Some((end, _)) = name.char_indices().nth(NAME_CHARS_MAX)
        {
            name.truncate(end);
            name.pop();
            name.push('…');
        }
        self.rows.push(cells);
    }

    /// Writes the table under a heading; nothing if it has no rows.
    pub(super) fn write(mut self, text: &mut String, heading: &str) {
        if self.rows.len() == 1 {
            return;
        }
        let mut widths = self.widths();
        if self.is_last_optional && line_width(&widths, 1..widths.len()) > COLUMNS {
            self.rows.iter_mut().for_each(|row| drop(row.pop()));
            widths.pop();
        }
        line(text, format_args!("\n{heading}"));
        let mut begin = 1;
        while begin < widths.len() {
            let fits = |end: &usize| line_width(&widths, begin..*end) <= COLUMNS;
            // There is at least one column, however wide.
            let end = (begin + 1..=widths.len())
                .take_while(fits)
                .last()
                .unwrap_or(begin + 1);
            if begin > 1 {
                line(text, format_args!(""));
            }
            for row in &self.rows {
                let mut written = format!("  {:<1$}", row[0], widths[0]);
                for column in begin..end {
                    let _ = write!(written, "  {:>1$}", row[column], widths[column]);
                }
                line(text, format_args!("{}", written.trim_end()));
            }
            begin = end;
        }
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }
}

/// The width of a line of the first column and these.
fn line_width(widths: &[usize], columns: std::ops::Range<usize>) -> usize {
    let first = widths.first().map_or(0, |width| width + 2);
    first + widths[columns].iter().map(|width| width + 2).sum::<usize>()
}

pub(super) fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}

/// Writes a paragraph behind an empty line, broken between words.
pub(super) fn wrap(text: &mut String, heading: &str, words: &str, columns: usize) {
    let mut current = format!("\n{}", heading.trim_end());
    // The line feed is no column.
    let mut width = current.chars().count() - 1;
    for word in words.split(' ') {
        let chars = word.chars().count();
        if width + 1 + chars > columns {
            current.push_str("\n ");
            width = 1;
        }
        current.push(' ');
        current.push_str(word);
        width += 1 + chars;
    }
    line(text, format_args!("{current}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(titles: &[&str], rows: &[&[&str]]) -> Vec<String> {
        let mut table = Table::new(titles.iter().copied());
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()));
        }
        let mut text = String::new();
        table.write(&mut text, "Heading");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_stand_under_their_titles() {
        assert_eq!(
            written(&["a", "long", "c"], &[&["1", "2", "333"], &["long", "5", ""]]),
            [
                "",
                "Heading",
                "  a     long    c",
                "  1        2  333",
                "  long     5"
            ]
        );
        assert!(written(&["a", "b"], &[]).is_empty());
    }

    #[test]
    fn what_is_too_wide_goes_on_below_with_its_first_column() {
        let wide = "w".repeat(46);
        let lines = written(&["a", "b", "c", "d"], &[&["1", &wide, &wide, "4"]]);
        assert_eq!(lines.len(), 7, "{lines:#?}");
        assert!(lines[4].is_empty() && lines[5].starts_with("  a") && lines[6].ends_with("  4"));
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS));
    }

    #[test]
    fn paragraphs_break_between_words() {
        let mut text = String::new();
        wrap(&mut text, "Said: ", "one two three", 12);
        assert_eq!(text, "\nSaid: one\n  two three\n");
    }
}
