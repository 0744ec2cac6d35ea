//! Line plots for a terminal.

use super::chart::{Mark, Series};
use super::scale::{Axis, Scale};

/// The signs of the lines, in their order.
const SIGNS: [char; 4] = ['*', 'o', '+', 'x'];
/// Of the space at the left for figures.
const MARGIN: usize = 10;

/// A plot of so many columns and lines, of plain ASCII besides what `y` and names have in them. Later lines are drawn
/// over earlier ones.
pub(crate) fn plot(
    series: &[Series],
    marks: &[Mark],
    (x, show_x): (Scale, fn(f64) -> String),
    (y, show_y): (Scale, fn(f64) -> String),
    (columns, lines): (usize, usize),
) -> Vec<String> {
    let (columns, lines) = (columns.max(MARGIN + 20) - MARGIN, lines.max(4));
    let points = || series.iter().flat_map(|series| &series.points);
    let level = |mark: &Mark| match mark {
        Mark::Level(y, _) => Some(*y),
        Mark::At(..) => None,
    };
    let across = Axis::over(x, points().map(|point| point.0));
    let up = Axis::over(
        y,
        points()
            .map(|point| point.1)
            .chain(marks.iter().filter_map(level)),
    );
    let column = |figure: f64| {
        across
            .share(figure)
            .map(|share| (share * (columns - 1) as f64).round() as usize)
    };
    let line = |figure: f64| {
        up.share(figure)
            .map(|share| lines - 1 - (share * (lines - 1) as f64).round() as usize)
    };
    let mut cells = vec![vec![' '; columns]; lines];
    for mark in marks {
        match mark {
            Mark::At(at, _) => {
                if let Some(column) = column(*at) {
                    cells.iter_mut().for_each(|row| row[column] = '|');
                }
            }
            Mark::Level(at, _) => {
                if let Some(line) = line(*at) {
                    cells[line].fill('-');
                }
            }
        }
    }
    for (index, series) in series.iter().enumerate() {
        let placed = series
            .points
            .iter()
            .filter_map(|(x, y)| Some((column(*x)?, line(*y)?)));
        for (column, line) in placed {
            cells[line][column] = SIGNS[index % SIGNS.len()];
        }
    }
    let mut labels = vec![String::new(); lines];
    for tick in up.ticks() {
        if let Some(line) = line(tick) {
            labels[line] = show_y(tick);
        }
    }
    let mut out: Vec<String> = labels
        .iter()
        .zip(&cells)
        .map(|(label, row)| {
            let row: String = row.iter().collect();
            format!("{label:>width$} |{}", row.trim_end(), width = MARGIN - 2)
        })
        .collect();
    out.push(format!(
        "{:>width$} +{}",
        "",
        "-".repeat(columns),
        width = MARGIN - 2
    ));
    out.push(under(&across, columns, show_x));
    out
}

/// The figures along the bottom, as far as they do not touch.
fn under(across: &Axis, columns: usize, show: fn(f64) -> String) -> String {
    let mut text = " ".repeat(MARGIN);
    for tick in across.ticks() {
        let label = show(tick);
        let Some(share) = across.share(tick) else { continue };
        let wanted = MARGIN + (share * (columns - 1) as f64).round() as usize;
        let begin = (wanted.saturating_sub(label.chars().count() / 2)).max(MARGIN);
        let begin = begin.min(MARGIN + columns - label.chars().count().min(columns));
        let length = text.chars().count();
        if begin > length || length == MARGIN {
            text.push_str(&" ".repeat(begin.saturating_sub(length)));
            text.push_str(&label);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(f64, f64)], size: (usize, usize)) -> Vec<String> {
        let series = Series {
            name: "a".to_owned(),
            points: points.to_vec(),
        };
        let show: fn(f64) -> String = |figure| format!("{figure}");
        let marks = [Mark::At(50.0, "m".to_owned()), Mark::Level(8.0, "l".to_owned())];
        plot(
            &[series],
            &marks,
            (Scale::Linear, show),
            (Scale::Linear, show),
            size,
        )
    }

    #[test]
    fn a_rising_line_rises() {
        let lines = drawn(
            &[(0.0, 0.0), (25.0, 2.5), (50.0, 5.0), (75.0, 7.5), (100.0, 10.0)],
            (60, 11),
        );
        let columns: Vec<usize> = lines.iter().filter_map(|line| line.find('*')).collect();
        assert_eq!(columns.len(), 5, "{lines:#?}");
        assert!(columns.is_sorted_by(|one, other| one > other), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("----")) && lines[0].contains('|'));
        assert!(lines.last().unwrap().contains("50"), "{lines:#?}");
    }

    #[test]
    fn it_keeps_to_its_width_whatever_it_shows() {
        for points in [&[][..], &[(1.0, 1e300)], &[(f64::NAN, 1.0), (2.0, f64::INFINITY)]] {
            for size in [(0, 0), (80, 12), (200, 40)] {
                let lines = drawn(points, size);
                assert!(
                    lines
                        .iter()
                        .all(|line| line.chars().count() <= size.0.max(30) + 310),
                    "{lines:#?}"
                );
            }
        }
    }
}
