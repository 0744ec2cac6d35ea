//! Line charts as SVG.

use super::html::Html;
use super::scale::{Axis, Scale};

/// Below the plot are its figures and the name of the axis; above it are rows of names.
const BOTTOM: f64 = 44.0;
const TOP: f64 = 30.0;
const KEY_ROW: f64 = 18.0;
const PLOT_HEIGHT: f64 = 226.0;
/// About how wide a letter is.
const LETTER: f64 = 7.5;
/// The sign before a line's name, with the space around it.
const KEY_SIGN: f64 = 44.0;
/// A longer name of a line is cut.
const NAME_MAX: usize = 26;
/// Lines that can be told from each other.
const STYLES: usize = 4;
/// More points of one line are thinned out: nobody sees them.
const POINTS_MAX: usize = 400;

const LINES: [&str; STYLES] = [
    "<polyline class=\"s0\" points=\"",
    "<polyline class=\"s1\" points=\"",
    "<polyline class=\"s2\" points=\"",
    "<polyline class=\"s3\" points=\"",
];
const POINTS: [&str; STYLES] = [
    "<circle class=\"p0\" r=\"3\" cx=\"",
    "<circle class=\"p1\" r=\"3\" cx=\"",
    "<circle class=\"p2\" r=\"3\" cx=\"",
    "<circle class=\"p3\" r=\"3\" cx=\"",
];
const KEYS: [&str; STYLES] = [
    "<path class=\"s0\" d=\"M",
    "<path class=\"s1\" d=\"M",
    "<path class=\"s2\" d=\"M",
    "<path class=\"s3\" d=\"M",
];

const HOLLOW: &str = "<circle class=\"hollow\" r=\"4\" cx=\"";

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// By x.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The kinds of screens that a picture is drawn for. On a narrow one it has fewer units, so that its letters stay
/// large.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    open: &'static str,
    width: f64,
    left: f64,
    right: f64,
    /// Rows of names above the plot.
    rows: usize,
}

const WIDE: Frame = Frame {
    open: "<svg class=\"wide\" viewBox=\"0 0 560 ",
    width: 560.0,
    left: 80.0,
    right: 30.0,
    rows: 1,
};
const NARROW: Frame = Frame {
    open: "<svg class=\"narrow\" viewBox=\"0 0 360 ",
    width: 360.0,
    left: 66.0,
    right: 20.0,
    rows: 1,
};

/// A line across the picture, with a word at it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    /// At a figure of the horizontal axis.
    At(f64, String),
    /// At a figure of the vertical one.
    Level(f64, String),
}

/// A line chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What it shows, in a few words and in a sentence for those who cannot see it.
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) x: (String, Scale, fn(f64) -> String),
    pub(crate) y: (String, Scale, fn(f64) -> String),
    pub(crate) series: Vec<Series>,
    pub(crate) marks: Vec<Mark>,
    /// Points that do not belong to the lines, and why; they are hollow.
    pub(crate) apart: Option<Series>,
}

impl Chart {
    /// The picture, once for wide screens and once for narrow ones, of which a page shows one. Lines beyond the fourth
    /// are left out, because nobody could tell them apart.
    pub(crate) fn html(&self) -> Html {
        let series = &self.series[..self.series.len().min(STYLES)];
        let apart = self.apart.as_ref().filter(|apart| !apart.points.is_empty());
        let points = || series.iter().chain(apart).flat_map(|series| &series.points);
        let marked = |is_level: bool| {
            self.marks.iter().filter_map(move |mark| match mark {
                Mark::At(x, _) if !is_level => Some(*x),
                Mark::Level(y, _) if is_level => Some(*y),
                _ => None,
            })
        };
        let across = Axis::over(self.x.1, points().map(|point| point.0).chain(marked(false)));
        let up = Axis::over(self.y.1, points().map(|point| point.1).chain(marked(true)));
        let mut html = Html::new();
        html.markup("<figure>");
        for frame in [WIDE, NARROW] {
            let keys = self.keys(&frame, series, apart);
            let rows = keys.iter().map(|key| key.row + 1).max().unwrap_or(1);
            let drawing = Drawing {
                frame: Frame { rows, ..frame },
                across: &across,
                up: &up,
            };
            html.markup(frame.open).number(drawing.frame.height());
            html.markup("\" role=\"img\" aria-label=\"").text(&self.title);
            html.markup("\">").element("<title>", &self.title, "</title>");
            html.element("<desc>", &self.description, "</desc>\n");
            self.axes(&mut html, &drawing);
            for (style, series) in series.iter().enumerate() {
                drawing.line(&mut html, style, &series.points);
            }
            for point in apart.iter().flat_map(|apart| &apart.points) {
                if let Some((x, y)) = drawing.place(*point) {
                    html.markup(HOLLOW).number(x).markup("\" cy=\"").number(y);
                    html.markup("\"/>");
                }
            }
            keys.iter().for_each(|key| key.draw(&mut html));
            self.marks.iter().for_each(|mark| drawing.mark(&mut html, mark));
            html.markup("</svg>");
        }
        html.element("<figcaption>", &self.description, "</figcaption></figure>\n");
        html
    }

    fn axes(&self, html: &mut Html, drawing: &Drawing<'_>) {
        let frame = &drawing.frame;
        let (edge, base) = (frame.width - frame.right, frame.base());
        for tick in drawing.up.ticks() {
            let Some(y) = drawing.up.share(tick).map(|share| frame.y_of(share)) else {
                continue;
            };
            html.markup("<path class=\"grid\" d=\"M")
                .number(frame.left)
                .markup(" ")
                .number(y);
            html.markup("H").number(edge).markup("\"/>");
            html.markup("<text text-anchor=\"end\" x=\"")
                .number(frame.left - 7.0);
            html.markup("\" y=\"").number(y + 4.5).markup("\">");
            html.text(&(self.y.2)(tick)).markup("</text>\n");
        }
        let mut last = f64::NEG_INFINITY;
        for tick in drawing.across.ticks() {
            let Some(x) = drawing.across.share(tick).map(|share| frame.x_of(share)) else {
                continue;
            };
            html.markup("<path class=\"axis\" d=\"M")
                .number(x)
                .markup(" ")
                .number(base);
            html.markup("v5\"/>");
            let label = (self.x.2)(tick);
            // Labels that would touch are left out.
            let half = 4.6 * label.chars().count() as f64;
            let x = x.min(frame.width - half);
            if x - half < last {
                continue;
            }
            last = x + half;
            html.markup("<text text-anchor=\"middle\" x=\"").number(x);
            html.markup("\" y=\"").number(base + 19.0).markup("\">");
            html.text(&label).markup("</text>\n");
        }
        html.markup("<path class=\"axis\" d=\"M")
            .number(frame.left)
            .markup(" ")
            .number(base);
        html.markup("H").number(edge).markup("\"/>");
        html.markup("<text text-anchor=\"middle\" x=\"")
            .number((frame.left + edge) / 2.0);
        html.markup("\" y=\"")
            .number(frame.height() - 6.0)
            .markup("\">")
            .text(&self.x.0)
            .markup("</text>\n");
        html.markup("<text x=\"4\" y=\"14\">")
            .text(&self.y.0)
            .markup("</text>\n");
    }

    /// The lines' names at the right of the top, in as many rows as they take beside the name of the axis.
    fn keys(&self, frame: &Frame, series: &[Series], apart: Option<&Series>) -> Vec<Key> {
        if series.len() + usize::from(apart.is_some()) < 2 {
            return Vec::new();
        }
        let lines = series.iter().enumerate();
        let lines = lines.map(|(style, series)| (Some(style), series));
        let all = lines.chain(apart.map(|apart| (None, apart)));
        let (mut row, mut x) = (0, frame.width - frame.right);
        let mut taken = 12.0 + LETTER * self.y.0.chars().count() as f64;
        let mut keys = Vec::new();
        for (style, series) in all {
            let name = cut(&series.name, NAME_MAX);
            let width = LETTER * name.chars().count() as f64;
            if x - width - KEY_SIGN < taken {
                (row, x, taken) = (row + 1, frame.width - frame.right, 0.0);
            }
            keys.push(Key {
                style,
                name,
                row,
                x,
                width,
            });
            x -= width + KEY_SIGN;
        }
        keys
    }
}

/// A text of at most so many letters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut letters = text.chars();
    let mut cut: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        cut.pop();
        cut.push('…');
    }
    cut
}

/// A line's name, and where it stands.
struct Key {
    /// Without one it is that of the hollow points.
    style: Option<usize>,
    name: String,
    row: usize,
    /// Its right end.
    x: f64,
    width: f64,
}

impl Key {
    fn draw(&self, html: &mut Html) {
        let y = 14.0 + KEY_ROW * self.row as f64;
        let x = self.x - self.width - 6.0;
        html.markup("<text class=\"name\" text-anchor=\"end\" x=\"")
            .number(self.x);
        html.markup("\" y=\"")
            .number(y)
            .markup("\">")
            .text(&self.name)
            .markup("</text>");
        match self.style {
            Some(style) => html
                .markup(KEYS[style])
                .number((x - 26.0).max(0.0))
                .markup(" ")
                .number(y - 4.0)
                .markup("H")
                .number(x)
                .markup("\"/>\n"),
            None => html
                .markup(HOLLOW)
                .number(x - 4.0)
                .markup("\" cy=\"")
                .number(y - 4.0)
                .markup("\"/>\n"),
        };
    }
}

impl Frame {
    /// The top of the plot.
    fn top(&self) -> f64 {
        TOP + KEY_ROW * (self.rows - 1) as f64
    }

    /// The bottom of the plot.
    fn base(&self) -> f64 {
        self.top() + PLOT_HEIGHT
    }

    fn height(&self) -> f64 {
        self.base() + BOTTOM
    }

    fn x_of(&self, share: f64) -> f64 {
        self.left + share * (self.width - self.left - self.right)
    }

    fn y_of(&self, share: f64) -> f64 {
        self.base() - share * PLOT_HEIGHT
    }
}

/// A frame with its axes.
struct Drawing<'a> {
    frame: Frame,
    across: &'a Axis,
    up: &'a Axis,
}

impl Drawing<'_> {
    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let (x, y) = (self.across.share(x)?, self.up.share(y)?);
        Some((self.frame.x_of(x), self.frame.y_of(y)))
    }

    fn line(&self, html: &mut Html, style: usize, points: &[(f64, f64)]) {
        let step = points.len().div_ceil(POINTS_MAX).max(1);
        let thinned = points
            .iter()
            .enumerate()
            .filter(|(index, _)| index % step == 0 || index + 1 == points.len());
        let placed: Vec<(f64, f64)> = thinned.filter_map(|(_, point)| self.place(*point)).collect();
        html.markup(LINES[style]);
        for (x, y) in &placed {
            html.number(*x).markup(",").number(*y).markup(" ");
        }
        html.markup("\"/>\n");
        // Few points are measurements, many are a curve.
        if placed.len() <= 40 {
            for (x, y) in &placed {
                html.markup(POINTS[style])
                    .number(*x)
                    .markup("\" cy=\"")
                    .number(*y)
                    .markup("\"/>");
            }
        }
    }

    fn mark(&self, html: &mut Html, mark: &Mark) {
        let frame = &self.frame;
        match mark {
            Mark::At(x, name) => {
                let Some(share) = self.across.share(*x) else {
                    return;
                };
                let x = frame.x_of(share);
                html.markup("<path class=\"mark\" d=\"M")
                    .number(x)
                    .markup(" ")
                    .number(frame.top());
                html.markup("V").number(frame.base()).markup("\"/>");
                // The name stands on the side where there is room.
                if share < 0.5 {
                    html.markup("<text class=\"marked\" x=\"").number(x + 5.0);
                } else {
                    html.markup("<text class=\"marked\" text-anchor=\"end\" x=\"")
                        .number(x - 5.0);
                }
                html.markup("\" y=\"")
                    .number(frame.base() - 8.0)
                    .markup("\">")
                    .text(name)
                    .markup("</text>\n");
            }
            Mark::Level(y, name) => {
                let Some(y) = self.up.share(*y).map(|share| frame.y_of(share)) else {
                    return;
                };
                html.markup("<path class=\"mark\" d=\"M")
                    .number(frame.left)
                    .markup(" ")
                    .number(y);
                html.markup("H").number(frame.width - frame.right).markup("\"/>");
                html.markup("<text class=\"marked\" x=\"")
                    .number(frame.left + 5.0);
                html.markup("\" y=\"")
                    .number(y - 5.0)
                    .markup("\">")
                    .text(name)
                    .markup("</text>\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)]) -> Chart {
        Chart {
            title: "<t>".to_owned(),
            description: "d".to_owned(),
            x: ("x".to_owned(), Scale::Linear, |x| format!("{x}")),
            y: ("y".to_owned(), Scale::Log, |y| format!("{y}")),
            series: ["<a>", "b"]
                .map(|name| Series {
                    name: name.to_owned(),
                    points: points.to_vec(),
                })
                .to_vec(),
            marks: vec![Mark::At(0.5, "<m>".to_owned()), Mark::Level(2.0, "l".to_owned())],
            apart: Some(Series {
                name: "<h>".to_owned(),
                points: points.iter().take(1).copied().collect(),
            }),
        }
    }

    /// The numbers of each attribute that places something.
    fn coordinates(svg: &str) -> Vec<f64> {
        let attributes = svg.split('"').skip(1).step_by(2);
        let places =
            attributes.filter(|value| value.starts_with(|c: char| c.is_ascii_digit()) && value.contains('.'));
        places
            .flat_map(|value| value.split([' ', ',']))
            .filter(|number| !number.is_empty())
            .map(|number| number.parse().unwrap())
            .collect()
    }

    #[test]
    fn all_of_it_is_within_the_picture_and_escaped() {
        let mut random = fastrand::Rng::with_seed(3);
        for count in [0, 1, 2, 30, 5_000] {
            let points: Vec<(f64, f64)> = (0..count)
                .map(|index| (f64::from(index), 10_f64.powf(random.f64() * 20.0 - 10.0)))
                .collect();
            let html = chart(&points).html();
            let svg = html.as_str();
            assert!(
                coordinates(svg)
                    .iter()
                    .all(|number| (0.0..=WIDE.width).contains(number)),
                "{svg}"
            );
            assert!(!svg.contains("<t>") && !svg.contains("<a>") && !svg.contains("<m>"));
            assert!(!svg.contains("<h>") && svg.contains("class=\"hollow\"") == (count > 0));
            assert!(!svg.contains("NaN") && svg.len() < 100_000);
            assert!(svg.contains("role=\"img\"") && svg.contains("<desc>"));
        }
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let points = [(0.0, f64::NAN), (1.0, 0.0), (2.0, f64::INFINITY), (3.0, 4.0)];
        let html = chart(&points).html();
        // Two lines have one point each, in two sizes.
        assert_eq!(html.as_str().matches("<circle class=\"p").count(), 4);
    }

    #[test]
    fn names_of_lines_take_as_many_rows_as_they_need() {
        let mut chart = chart(&[(1.0, 1.0)]);
        chart.series[0].name = "n".repeat(100);
        let rows = |frame: &Frame| {
            let keys = chart.keys(frame, &chart.series, chart.apart.as_ref());
            for key in &keys {
                assert!(key.x - key.width - KEY_SIGN >= 0.0, "{} {}", key.x, key.width);
                assert!(key.name.chars().count() <= NAME_MAX);
            }
            keys.iter().map(|key| key.row).max()
        };
        assert_eq!((rows(&WIDE), rows(&NARROW)), (Some(0), Some(1)));
        chart.series[1].name = "m".repeat(100);
        let rows = |frame: &Frame| {
            let keys = chart.keys(frame, &chart.series, chart.apart.as_ref());
            keys.iter().map(|key| key.row).max()
        };
        assert_eq!((rows(&WIDE), rows(&NARROW)), (Some(1), Some(1)));
        assert_eq!([cut("abc", 3), cut("abcd", 3)], ["abc", "ab…"]);
    }
}
