//! The page of `weir bench --html`.

use std::time::SystemTime;

use hdrhistogram::Histogram;

use super::super::typed::typed;
use super::arguments::Planned;
use super::text::{before, compared_cells, generator, outcomes, said_when};

use crate::load::{Change, Measurement};
use crate::page::{Chart, Html, Named, Page, Scale, Series, Table, by_percentile, rate, time, time_of};

/// The whole page.
pub(super) fn page(
    planned: &Planned,
    measurement: &Measurement,
    changes: &[Change],
    began: SystemTime,
) -> String {
    let sections = [
        Some(summary(planned, measurement)),
        Some(latencies(planned, measurement)),
        time_line(measurement),
        Some(answers(measurement)),
        comparison(changes),
        Some(own(planned, measurement)),
    ];
    Page {
        title: format!(
            "{} under load",
            planned.server.as_deref().unwrap_or(&planned.place)
        ),
        lead: format!(
            "{}. Measured on {}.",
            before(planned).join("; "),
            httpdate::fmt_http_date(began)
        ),
        sections: sections.into_iter().flatten().collect(),
        foot: format!("Written by weir bench {}.", env!("CARGO_PKG_VERSION")),
    }
    .text()
}

fn summary(planned: &Planned, measurement: &Measurement) -> Html {
    let mut html = Html::new();
    if measurement.interrupted.is_some() {
        html.paragraph("The run was interrupted; these are the figures so far.");
    }
    let seconds = measurement.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let answered = measurement.tally.answered();
    let latencies = measurement.tally.latencies();
    let at = |share: f64| time_of(latencies.len(), latencies.value_at_quantile(share) as f64 / 1e9);
    html.markup("<dl class=\"figures\">");
    let errors: u64 = measurement.tally.others().values().sum();
    for (name, value) in [
        ("Good answers per second", rate(answered as f64 / seconds)),
        ("P50", at(0.5)),
        ("P99", at(0.99)),
        ("Refused or failed", errors.to_string()),
    ] {
        html.markup("<div>").element("<dt>", name, "</dt>");
        html.element("<dd>", &value, "</dd>").markup("</div>");
    }
    html.markup("</dl>\n");
    if answered == 0 {
        html.paragraph(
            "No request had a good answer. What they had instead is in the table below; mend that, or ask for something that \
             the server has (--tool, --args), and run it again.",
        );
    }
    html.paragraph(
        "P50 is the time within which half of the answers came, P99 that within which 99 of 100 did; the hundredth took \
         longer.",
    );
    html.paragraph(if planned.plan.open().is_some() {
        "Requests were due at fixed rates, whatever the server did (an open loop). A latency begins when its request was due, \
         so that a stall cannot hide: this is what users see."
    } else {
        "Each client asked again as soon as it had its answer (a closed loop). This shows what the server can do; a server that \
         stalls is asked less meanwhile, so its latencies are better than users would see."
    });
    html
}

fn latencies(planned: &Planned, measurement: &Measurement) -> Html {
    let all = named("all answers", measurement.tally.latencies());
    let names = planned.plan.work.names();
    let kinds = measurement.tally.kinds().iter().zip(&names);
    let kinds = kinds.map(|(histogram, name)| named(name, histogram));
    let all: Vec<Named<'_>> = [all].into_iter().chain(kinds).collect();
    let mut html = Html::new();
    html.heading("Latency by percentile");
    html.piece(&by_percentile("Latency by percentile", &all));
    html
}

/// Latencies in nanoseconds, and their name.
pub(super) fn named<'a>(name: &str, histogram: &'a Histogram<u64>) -> Named<'a> {
    Named {
        name: name.to_owned(),
        count: histogram.len(),
        at: Box::new(|share| histogram.value_at_quantile(share) as f64 / 1e9),
    }
}

/// Good answers per second, and P99, of each interval.
pub(super) fn over_time(measurement: &Measurement) -> (Series, Series) {
    let length = measurement.timeline.length.as_secs_f64();
    // The last interval is cut off, and its rate would look like a fall.
    let whole = (measurement.elapsed.as_secs_f64() / length + 1e-3) as usize;
    let intervals = measurement
        .timeline
        .intervals
        .iter()
        .take(whole.max(1))
        .enumerate();
    let at = |index: usize| index as f64 * length;
    let rates = intervals.clone();
    let rates = rates.map(|(index, interval)| (at(index), interval.latencies.len() as f64 / length));
    let p99 = intervals.filter(|(_, interval)| !interval.latencies.is_empty());
    let p99 =
        p99.map(|(index, interval)| (at(index), interval.latencies.value_at_quantile(0.99) as f64 / 1e6));
    let series = |name: &str, points: Vec<(f64, f64)>| Series {
        name: name.to_owned(),
        points,
    };
    (series("answers", rates.collect()), series("P99", p99.collect()))
}

fn time_line(measurement: &Measurement) -> Option<Html> {
    let (rates, p99) = over_time(measurement);
    if rates.points.len() < 3 {
        return None;
    }
    let mut html = Html::new();
    html.heading("Over time");
    html.paragraph(
        "A flat line is a server that fares the same all the time; a step is something that happened then. The last row of the \
         table may be of less than a second.",
    );
    let seconds: fn(f64) -> String = |seconds| format!("{seconds} s");
    let mut table = Table::new(
        "Second by second",
        &["from", "answers/s", "P99", "refused", "failed"],
    );
    let length = measurement.timeline.length.as_secs_f64();
    for (index, interval) in measurement.timeline.intervals.iter().enumerate() {
        table.row(vec![
            seconds(index as f64 * length),
            rate(interval.latencies.len() as f64 / measurement.interval_seconds(index)),
            if interval.latencies.is_empty() {
                "-".to_owned()
            } else {
                time(interval.latencies.value_at_quantile(0.99) as f64 / 1e6)
            },
            interval.refused.to_string(),
            interval.failed.to_string(),
        ]);
    }
    for (title, y, show, series) in [
        ("P99 over time", "P99", time as fn(f64) -> String, p99),
        ("Good answers per second over time", "answers/s", rate, rates),
    ] {
        // Where nothing was answered there is nothing to draw.
        if series.points.iter().all(|point| point.1 == 0.0) {
            continue;
        }
        let chart = Chart {
            title: title.to_owned(),
            description: format!("{title}, from the end of the warm-up."),
            x: ("time".to_owned(), Scale::Linear, seconds),
            y: (y.to_owned(), Scale::Linear, show),
            series: vec![series],
            marks: Vec::new(),
            apart: None,
        };
        html.piece(&chart.html());
    }
    html.piece(&table.html());
    Some(html)
}

fn answers(measurement: &Measurement) -> Html {
    let mut html = Html::new();
    html.heading("Answers of each kind");
    html.paragraph(
        "A good answer is one that was expected, even if it is an error (--expect). A refusal is an honest \"not now\" of a server that has no room (503 or 429); everything else that is no good answer \
         is an error.",
    );
    let mut table = Table::new(
        "What became of the requests",
        &["outcome", "count", "the first said"],
    );
    table.row(vec![
        "good answers".to_owned(),
        measurement.tally.answered().to_string(),
        String::new(),
    ]);
    outcomes(measurement).into_iter().for_each(|row| table.row(row));
    html.piece(&table.html());
    if let Some(said) = said_when(measurement) {
        html.paragraph(&format!(
            "When to come again, as refusals said (Retry-After): {said}."
        ));
    }
    html
}

fn comparison(changes: &[Change]) -> Option<Html> {
    if changes.is_empty() {
        return None;
    }
    let mut html = Html::new();
    html.heading("Beside the earlier run");
    html.paragraph("A change counts if it is more than the figure varies within the runs.");
    let mut table = Table::new("Both runs", &["figure", "before", "now", "change", "verdict"]);
    changes
        .iter()
        .for_each(|change| table.row(compared_cells(change).to_vec()));
    html.piece(&table.html());
    Some(html)
}

fn own(planned: &Planned, measurement: &Measurement) -> Html {
    let mut html = Html::new();
    html.heading("How it was measured");
    html.paragraph(
        "The command, to measure again after a change; --out and --compare put two runs beside each other:",
    );
    html.element("<pre>", &typed(), "</pre>\n");
    html.heading("The load generator itself");
    html.paragraph("If it has no time left, the figures are its own and not the server's.");
    for line in generator(&planned.plan, measurement) {
        if !line.is_empty() {
            html.paragraph(&line);
        }
    }
    html
}
