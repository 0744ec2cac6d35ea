//! The page of `weir tune --html`: what was found, for somebody who has read nothing about it.

use super::text::{counted, flag_line, flag_time, knee, larger, laws, load, saturated, within};
use crate::config::WHICH_ADVICE;
use crate::page::{Chart, Html, Mark, Page, Scale, Series, Table, rate, time, time_of};
use crate::tune::{Ended, Found, Inside, Limit, Load, Observation, Recommended};

/// A step that the driver ended before its time.
const CUT_SHORT: &str = "cut short: overload";

/// What the page is about.
pub(super) struct About<'a> {
    pub(super) server: &'a str,
    pub(super) url: &'a str,
    pub(super) called: &'a str,
    /// The command that measured it.
    pub(super) command: &'a str,
    pub(super) when: &'a str,
}

/// The whole page.
pub(super) fn page(found: &Found, about: &About<'_>) -> String {
    let sections = [
        Some(summary(found)),
        Some(recommendation(found)),
        curve(found),
        throughput(found),
        waits(found),
        balance(found),
        rules(found),
        Some(steps(found, about)),
    ];
    Page {
        title: format!("How much {} carries", about.server),
        lead: format!(
            "{}: calls of {}. {}Measured on {} by putting more and more load on it.",
            about.url,
            about.called,
            goal(found),
            about.when
        ),
        sections: sections.into_iter().flatten().collect(),
        foot: format!(
            "Written by weir tune {}. Figures are of one machine at one time; measure again after changes.",
            env!("CARGO_PKG_VERSION")
        ),
    }
    .text()
}

/// What was asked of the server.
fn goal(found: &Found) -> String {
    let Some(objective) = found.objective else {
        return String::new();
    };
    let whose = if found.is_objective_given {
        "as --p99 says"
    } else {
        "twice as long as they take while nothing waits, because no --p99 was given"
    };
    format!(
        "The objective: 99 of 100 answers within {}, {whose}. ",
        time(objective)
    )
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
    if found.saturation.is_none() {
        figure(&mut html, "Most it carries", "not known");
    }
    html.markup("</dl>\n");
    match &found.saturation {
        Some(saturation) => {
            for line in saturated(saturation) {
                html.paragraph(line.trim_start());
            }
        }
        None => {
            html.paragraph(
                "How much the server carries is not known: the search ended before more clients had no more answers. Run it \
                 again, or give it more --max-time.",
            );
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

/// The last look at the server from inside.
fn newest(found: &Found) -> Option<&Inside> {
    let all = found.idle.iter().chain(&found.fills).chain(&found.steps);
    all.filter_map(|seen| seen.server.as_ref()).next_back()
}

/// The flags as they are beside those that should be.
fn recommendation(found: &Found) -> Html {
    let mut html = Html::new();
    html.heading("What to run");
    let recommended = found.recommended.as_ref();
    if found.idle.is_none() {
        html.paragraph("Nothing was measured, so there is nothing to recommend.");
        return html;
    }
    let Some(now) = newest(found) else {
        html.paragraph(
            "No flags can be recommended, because the server's metrics were not read. Start it with --admin 127.0.0.1:9464, and \
             say --admin here if they are elsewhere.",
        );
        return html;
    };
    let shards = now.shards.len().max(1) as f64;
    let told = |figure: fn(&Recommended) -> String| recommended.map_or("not known".to_owned(), figure);
    let mut table = Table::new(
        "Flags of weir serve",
        &["flag", "now", "recommended", "what it is"],
    );
    let rows: [(&str, String, String, &str); 4] = [
        (
            "--shards",
            format!("{shards:.0}"),
            told(|flags| flags.shards.to_string()),
            "threads that serve, at most one for each CPU",
        ),
        (
            "--pool-size",
            format!("{:.0}", now.handlers / shards),
            told(|flags| flags.pool_size.to_string()),
            "handlers of each shard: calls that it runs at one time",
        ),
        (
            "--queue-depth",
            format!("{:.0}", now.queue_places / shards),
            told(|flags| flags.queue_depth.to_string()),
            "calls of each shard that may wait for a handler",
        ),
        (
            "--queue-timeout",
            "-".to_owned(),
            told(|flags| flag_time(flags.queue_timeout)),
            "how long a call may wait until it is refused; what it is now is not in the metrics",
        ),
    ];
    for (flag, now, then, what) in rows {
        table.row(vec![flag.to_owned(), now, then, what.to_owned()]);
    }
    html.piece(&table.html());
    let (Some(recommended), Some(within)) = (recommended, found.within) else {
        html.paragraph(
            "Flags are recommended when a search comes to its end and some rate holds the objective, which was not so here. Run it \
             again with more --max-time, or a --p99 that the server can hold.",
        );
        return html;
    };
    html.paragraph(&format!(
        "To carry {} requests a second, start the server with these, beside the flags that it has for other things (its \
         address, its tools):",
        rate(within.rate)
    ));
    html.element("<pre>", &flag_line(recommended), "</pre>\n");
    html.paragraph(&format!(
        "A full queue of {} places is worked off in about half of the timeout: who would wait longer is told \"not now\" \
         instead (503), and may try again.",
        recommended.queue_depth
    ));
    if let Some(line) = larger(recommended) {
        html.paragraph(&line);
    }
    html.paragraph(WHICH_ADVICE);
    html
}

/// The steps whose rate was offered.
fn offered(found: &Found) -> impl Iterator<Item = &Observation> {
    found.steps.iter().filter(|step| step.latency.count > 0)
}

/// The points of the steps that lasted, and of those that were cut short, which say less.
fn points(
    found: &Found,
    x: impl Fn(&Observation) -> Option<f64>,
    y: impl Fn(&Observation) -> f64,
    is_cut: bool,
) -> Vec<(f64, f64)> {
    let steps = offered(found).filter(|step| step.is_cut == is_cut);
    let mut points: Vec<(f64, f64)> = steps.filter_map(|step| Some((x(step)?, y(step)))).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// Hollow points for steps that were cut short.
fn cut_short(points: Vec<(f64, f64)>) -> Option<Series> {
    Some(Series {
        name: CUT_SHORT.to_owned(),
        points,
    })
}

fn curve(found: &Found) -> Option<Html> {
    let saturation = found.saturation.as_ref()?.rate;
    // Where nothing was answered there is nothing to draw.
    offered(found).next()?;
    let has_pool = offered(found).any(|step| step.utilization().is_some());
    // Without metrics the rate stands for the utilization.
    let x_of = |step: &Observation| {
        if has_pool {
            step.utilization()
        } else {
            Some(step.offered() / saturation)
        }
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
                points: points(found, x_of, |step| step.latency.p99, false),
            },
            Series {
                name: "P50".to_owned(),
                points: points(found, x_of, |step| step.latency.p50, false),
            },
        ],
        marks,
        apart: cut_short(points(found, x_of, |step| step.latency.p99, true)),
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
            "",
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
            if step.is_cut {
                CUT_SHORT.to_owned()
            } else {
                String::new()
            },
        ]);
    }
    html.piece(&table.html());
    if offered(found).any(|step| step.is_cut) {
        html.paragraph(
            "A step that was cut short was ended because the server began to refuse or its queue stayed full: it did not carry \
             that rate, and the figures of so short a time say no more than that.",
        );
    }
    Some(html)
}

fn throughput(found: &Found) -> Option<Html> {
    let saturation = found.saturation.as_ref()?.rate;
    offered(found).next()?;
    let mut html = Html::new();
    html.heading("What was asked, and what was answered");
    html.paragraph(
        "A server that carries a rate answers as many requests as it is asked. The line bends where it cannot, which is at the \
         saturation rate.",
    );
    let of = |is_cut| points(found, |step| Some(step.offered()), |step| step.served, is_cut);
    let chart = Chart {
        title: "Answers per second against requests per second".to_owned(),
        description: format!("The saturation rate is {} requests a second.", rate(saturation)),
        x: ("requests offered per second".to_owned(), Scale::Linear, rate),
        y: ("good answers per second".to_owned(), Scale::Linear, rate),
        series: vec![Series {
            name: "answered".to_owned(),
            points: of(false),
        }],
        marks: vec![Mark::Level(saturation, "saturation".to_owned())],
        apart: cut_short(of(true)),
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
    html.paragraph(
        "A call that finds no handler free waits in the queue; one that finds the queue full is refused at once. The most in \
         the queue is what was seen in looks at the metrics, five a second; it was more between them now and then.",
    );
    let of = |is_cut| -> Vec<(f64, f64)> {
        let steps = insides.iter().filter(|(step, _)| step.is_cut == is_cut);
        steps
            .filter_map(|(step, inside)| Some((step.offered(), inside.wait_p99?)))
            .collect()
    };
    if of(false).len() > 1 {
        let chart = Chart {
            title: "P99 of waits against the rate".to_owned(),
            description: "Of the calls that had to wait, 99 of 100 waited no longer than this.".to_owned(),
            x: ("requests offered per second".to_owned(), Scale::Linear, rate),
            y: ("wait".to_owned(), Scale::Linear, time),
            series: vec![Series {
                name: "P99".to_owned(),
                points: of(false),
            }],
            marks: Vec::new(),
            apart: cut_short(of(true)),
        };
        html.piece(&chart.html());
    }
    let mut table = Table::new(
        "Waits at each rate",
        &[
            "offered",
            "calls that waited",
            "P99 of waits",
            "most seen in the queue",
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

fn steps(found: &Found, about: &About<'_>) -> Html {
    let mut html = Html::new();
    html.heading("How it was found");
    html.paragraph("The command, to measure again after a change:");
    html.element("<pre>", about.command, "</pre>\n");
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
            time_of(seen.latency.count, seen.latency.p50),
            time_of(seen.latency.count, seen.latency.p99),
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
    use crate::tune::{Goal, Latency, Saturation, Search};

    fn found(ended: Ended) -> Found {
        let goal = Goal {
            p99: Some(2.0),
            budget: 60.0,
            rate_max: None,
            clients_max: 1,
        };
        let mut search = Search::new(goal);
        search.end(ended);
        search.found()
    }

    fn step(load: Load, count: u64, is_cut: bool) -> Observation {
        Observation {
            load,
            seconds: 1.0,
            spent: 1.0,
            served: count as f64,
            latency: Latency {
                count,
                p50: 0.01,
                p99: 0.02,
                ..Latency::default()
            },
            refused: 0,
            failed: 0,
            failure: None,
            late: 0.0,
            hindrance: None,
            is_cut,
            server: Some(Inside {
                shards: vec![0.5, 0.5],
                handlers: 8.0,
                queue_places: 64.0,
                leased: 4.0,
                ..Inside::default()
            }),
        }
    }

    #[test]
    fn flags_stand_beside_those_that_are_and_steps_that_were_cut_are_apart() {
        let mut found = found(Ended::Complete);
        found.idle = Some(step(Load::Clients(1), 0, false));
        found.saturation = Some(Saturation {
            rate: 100.0,
            limit: Limit::Pool,
            because: "the pool".to_owned(),
        });
        let about = About {
            server: "it",
            url: "http://x",
            called: "sleep",
            command: "weir tune http://x",
            when: "today",
        };
        // The only step had no answer, so there is no curve, and no time of 0.
        let text = page(&found, &about);
        assert!(
            !text.contains("<svg") && text.contains("<td>none answered</td>"),
            "{text}"
        );
        found.steps = vec![
            step(Load::Rate(50.0), 50, false),
            step(Load::Rate(90.0), 90, false),
            step(Load::Rate(110.0), 3, true),
        ];
        let text = page(&found, &about);
        for part in [
            "99 of 100 answers within 2.00 s, as --p99 says",
            "<th scope=\"row\">--pool-size</th><td>4</td><td>not known</td>",
            "<th scope=\"row\">--queue-depth</th><td>32</td>",
            "<pre>weir tune http://x</pre>",
            CUT_SHORT,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Two charts have the step, in two sizes, and its name; a third would be of waits, which nobody saw.
        assert_eq!(text.matches("class=\"hollow\"").count(), 8);
        // The lines have the two others: P99, P50 and answers.
        assert_eq!(text.matches("<circle class=\"p").count(), 2 * 2 * 3);
    }

    #[test]
    fn a_search_that_saw_nothing_has_a_page_and_nothing_breaks_out_of_it() {
        let text = page(
            &found(Ended::Failed("<b>gone</b>".to_owned())),
            &About {
                server: "<script>alert(1)</script>",
                url: "http://\"onload=x",
                called: "</pre><img>",
                command: "</pre><img>",
                when: "today",
            },
        );
        for part in ["<script", "<b>gone", "<img>", "\"onload"] {
            assert!(!text.contains(part), "{part}");
        }
        assert!(text.contains("&lt;b&gt;gone"));
    }
}
