//! The page of `weir tune --html`: what was found, for somebody who has read nothing about it.

use super::text::{counted, flag_line, knee, larger, laws, load, saturated, within};
use crate::page::{Chart, Html, Mark, Page, Scale, Series, Table, rate, time};
use crate::tune::{Ended, Found, Inside, Limit, Load, Observation};

/// What the page is about.
pub(super) struct About<'a> {
    pub(super) server: &'a str,
    pub(super) url: &'a str,
    pub(super) called: &'a str,
    pub(super) when: &'a str,
}

/// The whole page.
pub(super) fn page(found: &Found, about: &About<'_>) -> String {
    let sections = [
        Some(summary(found)),
        recommendation(found),
        curve(found),
        throughput(found),
        waits(found),
        balance(found),
        rules(found),
        Some(steps(found)),
    ];
    Page {
        title: format!("How much {} carries", about.server),
        lead: format!(
            "{}: calls of {}. Measured on {}.",
            about.url, about.called, about.when
        ),
        sections: sections.into_iter().flatten().collect(),
        foot: format!(
            "Written by weir tune {}. Figures are of one machine at one time; measure again after changes.",
            env!("CARGO_PKG_VERSION")
        ),
    }
    .text()
}

fn summary(found: &Found) -> Html {
    let mut html = Html::new();
    match &found.ended {
        Ended::Complete => {}
        Ended::TimeIsUp => {
            html.paragraph("The time was over before all was known; --max-time gives it more.");
        }
        Ended::Interrupted => {
            html.paragraph("The search was interrupted; this is what was known by then.");
        }
        Ended::Failed(why) => {
            html.paragraph(&format!(
                "The server stopped answering ({why}); this is what was known by then."
            ));
        }
    }
    html.markup("<dl class=\"figures\">");
    if let Some(saturation) = &found.saturation {
        figure(
            &mut html,
            "Most it carries",
            &format!("{}/s", rate(saturation.rate)),
        );
    }
    if let (Some(within), Some(objective)) = (&found.within, found.objective) {
        let name = format!("Within P99 of {}", time(objective));
        figure(&mut html, &name, &format!("{}/s", rate(within.rate)));
        if let Some(utilization) = within.utilization {
            figure(&mut html, "Handlers busy there", &percent(utilization));
        }
        figure(&mut html, "P99 there", &time(within.p99));
    }
    html.markup("</dl>\n");
    match &found.saturation {
        Some(saturation) => {
            for line in saturated(saturation) {
                html.paragraph(line.trim_start());
            }
        }
        None => {
            html.paragraph("How much the server carries is not known.");
        }
    }
    within(found).iter().for_each(|line| {
        html.paragraph(line);
    });
    html.paragraph(
        "P99 is the time within which 99 of 100 answers come; the hundredth takes longer. A handler is what serves one call \
         at a time; when all are busy, calls wait in the queue. Utilization is the share of handlers that are busy.",
    );
    html
}

fn figure(html: &mut Html, name: &str, value: &str) {
    html.markup("<div>");
    html.element("<dt>", name, "</dt>")
        .element("<dd>", value, "</dd>");
    html.markup("</div>");
}

fn recommendation(found: &Found) -> Option<Html> {
    let recommended = found.recommended.as_ref()?;
    let mut html = Html::new();
    html.heading("What to run");
    html.element("<pre>", &flag_line(recommended), "</pre>\n");
    html.paragraph(&format!(
        "These flags are for {} requests a second. A full queue of {} places per shard is worked off in about half of the \
         timeout: who would wait longer is told \"not now\" instead, and may try again.",
        rate(found.within?.rate),
        recommended.queue_depth
    ));
    if let Some(line) = larger(recommended) {
        html.paragraph(&line);
    }
    Some(html)
}

/// The steps whose rate was offered.
fn offered(found: &Found) -> impl Iterator<Item = &Observation> {
    found.steps.iter().filter(|step| step.latency.count > 0)
}

fn curve(found: &Found) -> Option<Html> {
    let has_pool = offered(found).any(|step| step.utilization().is_some());
    let saturation = found.saturation.as_ref()?.rate;
    // Without metrics the rate stands for the utilization.
    let x_of = |step: &Observation| {
        if has_pool {
            step.utilization()
        } else {
            Some(step.offered() / saturation)
        }
    };
    let points = |y: fn(&Observation) -> f64| -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = offered(found)
            .filter_map(|step| Some((x_of(step)?, y(step))))
            .collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        points
    };
    let mut marks = Vec::new();
    if let Some((knee, rate)) = found.knee.and_then(|knee| Some((knee, knee.rate()?))) {
        let at = knee.utilization.filter(|_| has_pool).unwrap_or(rate / saturation);
        marks.push(Mark::At(at, format!("knee, {}", percent(at))));
    }
    if let Some(objective) = found.objective {
        marks.push(Mark::Level(objective, format!("objective, {}", time(objective))));
    }
    let what = if has_pool {
        "handlers that are busy"
    } else {
        "the saturation rate"
    };
    let mut html = Html::new();
    html.heading("Latency against utilization");
    html.paragraph(
        "As long as handlers are free, nearly every call is served at once, and the curve is flat. Where it leaves its plateau \
         - the knee - calls begin to wait for each other, and a little more load costs a lot of time.",
    );
    knee(found).iter().for_each(|line| {
        html.paragraph(line);
    });
    let chart = Chart {
        title: "P99 and P50 against utilization".to_owned(),
        description: format!(
            "Each point is a few seconds of load at one rate; to the right is the share of {what}, upwards the latency."
        ),
        x: (format!("share of {what}"), Scale::Linear, percent),
        y: ("latency".to_owned(), Scale::Log, time),
        series: vec![
            Series {
                name: "P99".to_owned(),
                points: points(|step| step.latency.p99),
            },
            Series {
                name: "P50".to_owned(),
                points: points(|step| step.latency.p50),
            },
        ],
        marks,
    };
    html.piece(&chart.html());
    let mut table = Table::new(
        "Latency at each rate that was offered",
        &[
            "offered",
            "busy handlers",
            "P50",
            "P99",
            "P99 lies within",
            "answers",
        ],
    );
    for step in offered(found) {
        table.row(vec![
            format!("{}/s", rate(step.offered())),
            step.utilization().map_or("-".to_owned(), percent),
            time(step.latency.p50),
            time(step.latency.p99),
            format!(
                "{} to {}",
                time(step.latency.p99_low),
                time(step.latency.p99_high)
            ),
            step.latency.count.to_string(),
        ]);
    }
    html.piece(&table.html());
    Some(html)
}

fn throughput(found: &Found) -> Option<Html> {
    let saturation = found.saturation.as_ref()?.rate;
    let mut html = Html::new();
    html.heading("What was asked, and what was answered");
    html.paragraph(
        "A server that carries a rate answers as many requests as it is asked. The line bends where it cannot, which is at the \
         saturation rate.",
    );
    let points = offered(found).map(|step| (step.offered(), step.served)).collect();
    let chart = Chart {
        title: "Answers per second against requests per second".to_owned(),
        description: format!("The saturation rate is {} requests a second.", rate(saturation)),
        x: ("requests offered per second".to_owned(), Scale::Linear, rate),
        y: ("good answers per second".to_owned(), Scale::Linear, rate),
        series: vec![Series {
            name: "answered".to_owned(),
            points,
        }],
        marks: vec![Mark::Level(saturation, "saturation".to_owned())],
    };
    html.piece(&chart.html());
    Some(html)
}

fn waits(found: &Found) -> Option<Html> {
    let insides: Vec<(&Observation, &Inside)> = offered(found)
        .filter_map(|step| Some((step, step.server.as_ref()?)))
        .collect();
    if insides.is_empty() {
        return None;
    }
    let mut html = Html::new();
    html.heading("Waits and refusals");
    html.paragraph("A call that finds no handler free waits in the queue; one that finds the queue full is refused at once.");
    let points: Vec<(f64, f64)> = insides
        .iter()
        .filter_map(|(step, inside)| Some((step.offered(), inside.wait_p99?)))
        .collect();
    if points.len() > 1 {
        let chart = Chart {
            title: "P99 of waits against the rate".to_owned(),
            description: "Of the calls that had to wait, 99 of 100 waited no longer than this.".to_owned(),
            x: ("requests offered per second".to_owned(), Scale::Linear, rate),
            y: ("wait".to_owned(), Scale::Linear, time),
            series: vec![Series {
                name: "P99".to_owned(),
                points,
            }],
            marks: Vec::new(),
        };
        html.piece(&chart.html());
    }
    let mut table = Table::new(
        "Waits at each rate",
        &[
            "offered",
            "calls that waited",
            "P99 of waits",
            "most in the queue",
            "refused",
            "failed",
        ],
    );
    for (step, inside) in insides {
        table.row(vec![
            format!("{}/s", rate(step.offered())),
            inside.waited.map_or("-".to_owned(), percent),
            inside.wait_p99.map_or("-".to_owned(), time),
            format!("{:.0} of {:.0}", inside.queued_max, inside.queue_places),
            step.refused.to_string(),
            step.failed.to_string(),
        ]);
    }
    html.piece(&table.html());
    Some(html)
}

fn balance(found: &Found) -> Option<Html> {
    let shards = offered(found).filter_map(|step| Some((step, &step.server.as_ref()?.shards)));
    let shards: Vec<(&Observation, &Vec<f64>)> = shards.filter(|(_, shards)| shards.len() > 1).collect();
    let (_, first) = shards.first()?;
    let mut html = Html::new();
    html.heading("Balance between shards");
    html.paragraph(
        "Each shard has a pool of its own, and takes waiting calls from others. These should be about alike.",
    );
    let names: Vec<String> = (0..first.len()).map(|shard| format!("shard {shard}")).collect();
    let head: Vec<&str> = ["offered"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    let mut table = Table::new("Share of each shard's handlers that was busy", &head);
    for (step, shards) in &shards {
        let cells = shards.iter().map(|share| percent(*share));
        table.row(
            [format!("{}/s", rate(step.offered()))]
                .into_iter()
                .chain(cells)
                .collect(),
        );
    }
    html.piece(&table.html());
    Some(html)
}

fn rules(found: &Found) -> Option<Html> {
    let lines = laws(found);
    if lines.is_empty() {
        return None;
    }
    let mut html = Html::new();
    html.heading("How the rules of thumb fare");
    for line in lines {
        html.paragraph(&line);
    }
    html.paragraph(
        "Little's law holds for every queue: the number of calls in flight is their rate times the time that each takes. The \
         classic rule keeps a quarter of the handlers free for bursts.",
    );
    Some(html)
}

fn steps(found: &Found) -> Html {
    let mut html = Html::new();
    html.heading("How it was found");
    html.paragraph(
        "First one client alone, then more and more clients, each of which asks again as soon as it has its answer: that shows \
         the most that is carried, and nothing is refused. Then requests at fixed rates below it, at random times as many \
         independent users make them.",
    );
    let mut table = Table::new(
        "Closed loops: so many clients, each with one request at a time",
        &["load", "answered", "P50", "P99", "busy handlers", "server's CPUs"],
    );
    for seen in found.idle.iter().chain(&found.fills) {
        let inside = seen.server.as_ref();
        table.row(vec![
            match seen.load {
                Load::Clients(clients) => counted(clients, "client"),
                other @ Load::Rate(_) => load(other),
            },
            format!("{}/s", rate(seen.served)),
            time(seen.latency.p50),
            time(seen.latency.p99),
            seen.utilization().map_or("-".to_owned(), percent),
            inside
                .and_then(|inside| inside.cpus)
                .map_or("-".to_owned(), |cpus| format!("{cpus:.2}")),
        ]);
    }
    html.piece(&table.html());
    if let Some(saturation) = &found.saturation
        && matches!(saturation.limit, Limit::Generator { .. } | Limit::Unknown)
    {
        html.paragraph(
            "What the server itself could carry was not reached, so it is at least as much as stands here.",
        );
    }
    html
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Goal, Search};

    #[test]
    fn a_search_that_saw_nothing_has_a_page_and_nothing_breaks_out_of_it() {
        let goal = Goal {
            p99: None,
            budget: 60.0,
            rate_max: None,
            clients_max: 1,
        };
        let mut search = Search::new(goal);
        search.end(Ended::Failed("<b>gone</b>".to_owned()));
        let text = page(
            &search.found(),
            &About {
                server: "<script>alert(1)</script>",
                url: "http://\"onload=x",
                called: "</pre><img>",
                when: "today",
            },
        );
        for part in ["<script", "<b>gone", "<img>", "\"onload"] {
            assert!(!text.contains(part), "{part}");
        }
        assert!(text.contains("&lt;b&gt;gone"));
    }
}
