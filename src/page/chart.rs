//! Line charts as SVG.

use super::html::Html;
use super::scale::{Axis, Scale};

/// The picture, in its own units; it is as wide as its page lets it be.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;
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

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// By x.
    pub(crate) points: Vec<(f64, f64)>,
}

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
}

impl Chart {
    /// The picture. Lines beyond the fourth are left out, because nobody could tell them apart.
    pub(crate) fn html(&self) -> Html {
        let series = &self.series[..self.series.len().min(STYLES)];
        let points = || series.iter().flat_map(|series| &series.points);
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
        html.markup("<figure><svg viewBox=\"0 0 560 300\" role=\"img\" aria-label=\"")
            .text(&self.title)
            .markup("\">");
        html.element("<title>", &self.title, "</title>");
        html.element("<desc>", &self.description, "</desc>\n");
        self.axes(&mut html, &across, &up);
        for (style, series) in series.iter().enumerate() {
            line(&mut html, style, &series.points, &across, &up);
        }
        self.keys(&mut html, series);
        for mark in &self.marks {
            draw_mark(&mut html, mark, &across, &up);
        }
        html.markup("</svg>");
        html.element("<figcaption>", &self.description, "</figcaption></figure>\n");
        html
    }

    fn axes(&self, html: &mut Html, across: &Axis, up: &Axis) {
        for tick in up.ticks() {
            let Some(y) = up.share(tick).map(y_of) else {
                continue;
            };
            html.markup("<path class=\"grid\" d=\"M")
                .number(LEFT)
                .markup(" ")
                .number(y);
            html.markup("H").number(WIDTH - RIGHT).markup("\"/>");
            html.markup("<text text-anchor=\"end\" x=\"").number(LEFT - 7.0);
            html.markup("\" y=\"").number(y + 4.5).markup("\">");
            html.text(&(self.y.2)(tick)).markup("</text>\n");
        }
        let mut last = f64::NEG_INFINITY;
        for tick in across.ticks() {
            let Some(x) = across.share(tick).map(x_of) else {
                continue;
            };
            html.markup("<path class=\"axis\" d=\"M")
                .number(x)
                .markup(" ")
                .number(HEIGHT - BOTTOM);
            html.markup("v5\"/>");
            let label = (self.x.2)(tick);
            // Labels that would touch are left out.
            let half = 4.6 * label.chars().count() as f64;
            if x - half < last {
                continue;
            }
            last = x + half;
            html.markup("<text text-anchor=\"middle\" x=\"")
                .number(x.min(WIDTH - half));
            html.markup("\" y=\"")
                .number(HEIGHT - BOTTOM + 19.0)
                .markup("\">");
            html.text(&label).markup("</text>\n");
        }
        html.markup("<path class=\"axis\" d=\"M")
            .number(LEFT)
            .markup(" ")
            .number(HEIGHT - BOTTOM);
        html.markup("H").number(WIDTH - RIGHT).markup("\"/>");
        html.markup("<text text-anchor=\"middle\" x=\"")
            .number((LEFT + WIDTH - RIGHT) / 2.0);
        html.markup("\" y=\"")
            .number(HEIGHT - 6.0)
            .markup("\">")
            .text(&self.x.0)
            .markup("</text>\n");
        html.markup("<text x=\"4\" y=\"14\">")
            .text(&self.y.0)
            .markup("</text>\n");
    }

    /// The lines' names, from the right of the top.
    fn keys(&self, html: &mut Html, series: &[Series]) {
        if series.len() < 2 {
            return;
        }
        let mut x = WIDTH - RIGHT;
        for (style, series) in series.iter().enumerate().rev() {
            html.markup("<text class=\"name\" text-anchor=\"end\" x=\"")
                .number(x);
            html.markup("\" y=\"14\">").text(&series.name).markup("</text>");
            x -= 7.5 * series.name.chars().count().min(30) as f64 + 6.0;
            html.markup(KEYS[style])
                .number(x - 26.0)
                .markup(" 10H")
                .number(x)
                .markup("\"/>\n");
            x -= 38.0;
        }
    }
}

fn x_of(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn y_of(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

fn line(html: &mut Html, style: usize, points: &[(f64, f64)], across: &Axis, up: &Axis) {
    let step = points.len().div_ceil(POINTS_MAX).max(1);
    let thinned = points
        .iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || index + 1 == points.len());
    let placed: Vec<(f64, f64)> = thinned
        .filter_map(|(_, (x, y))| Some((x_of(across.share(*x)?), y_of(up.share(*y)?))))
        .collect();
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

fn draw_mark(html: &mut Html, mark: &Mark, across: &Axis, up: &Axis) {
    match mark {
        Mark::At(x, name) => {
            let Some(share) = across.share(*x) else { return };
            let x = x_of(share);
            html.markup("<path class=\"mark\" d=\"M")
                .number(x)
                .markup(" ")
                .number(TOP);
            html.markup("V").number(HEIGHT - BOTTOM).markup("\"/>");
            // The name stands on the side where there is room.
            if share < 0.5 {
                html.markup("<text class=\"marked\" x=\"").number(x + 5.0);
            } else {
                html.markup("<text class=\"marked\" text-anchor=\"end\" x=\"")
                    .number(x - 5.0);
            }
            html.markup("\" y=\"")
                .number(HEIGHT - BOTTOM - 8.0)
                .markup("\">")
                .text(name)
                .markup("</text>\n");
        }
        Mark::Level(y, name) => {
            let Some(y) = up.share(*y).map(y_of) else { return };
            html.markup("<path class=\"mark\" d=\"M")
                .number(LEFT)
                .markup(" ")
                .number(y);
            html.markup("H").number(WIDTH - RIGHT).markup("\"/>");
            html.markup("<text class=\"marked\" x=\"").number(LEFT + 5.0);
            html.markup("\" y=\"")
                .number(y - 5.0)
                .markup("\">")
                .text(name)
                .markup("</text>\n");
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
                    .all(|number| (0.0..=WIDTH).contains(number)),
                "{svg}"
            );
            assert!(!svg.contains("<t>") && !svg.contains("<a>") && !svg.contains("<m>"));
            assert!(!svg.contains("NaN") && svg.len() < 100_000);
            assert!(svg.contains("role=\"img\"") && svg.contains("<desc>"));
        }
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let points = [(0.0, f64::NAN), (1.0, 0.0), (2.0, f64::INFINITY), (3.0, 4.0)];
        let html = chart(&points).html();
        assert_eq!(html.as_str().matches("<circle").count(), 2);
    }
}
