//! The report as a page for a browser.

use super::advice::{Facts, advise};
use super::merged::{Report, ShardReport};
use crate::config::WHICH_ADVICE;
use crate::metrics::counter::Counts;
use crate::metrics::histogram::Latency;
use crate::metrics::labels::{Label, RequestClass, Stage};
use crate::page::{Html, Named, Page, Table, by_percentile, time, time_of};

/// Tools whose curves are drawn: more lines nobody could tell apart. The table has all.
const TOOLS_MAX: usize = 4;

pub(super) fn render(report: &Report) -> String {
    let sections = [
        Some(summary(report)),
        Some(stages(report)),
        tools(report),
        Some(shards(report)),
        Some(endings(report)),
    ];
    let uptime = time(report.uptime.as_secs_f64());
    Page {
        title: "What this server did".to_owned(),
        lead: format!(
            "It was up for {uptime}, on {} shard{}.",
            report.shards.len(),
            if report.shards.len() == 1 { "" } else { "s" }
        ),
        sections: sections.into_iter().flatten().collect(),
        foot: format!("Written by weir {} at its exit.", env!("CARGO_PKG_VERSION")),
    }
    .text()
}

fn named<'a>(name: &str, latency: &'a Latency) -> Named<'a> {
    Named {
        name: name.to_owned(),
        count: latency.count(),
        at: Box::new(|share| latency.quantile(share).as_secs_f64()),
    }
}

fn summary(report: &Report) -> Html {
    let mut html = Html::new();
    let total = report.all_histograms.stage(Stage::Total);
    html.markup("<dl class=\"figures\">");
    for (name, value) in [
        ("Requests served", report.all.requests_total().to_string()),
        (
            "P50, first byte to answer",
            time_of(total.count(), total.quantile(0.5).as_secs_f64()),
        ),
        (
            "P99, first byte to answer",
            time_of(total.count(), total.quantile(0.99).as_secs_f64()),
        ),
        ("Refused", report.all.refusals.total().to_string()),
    ] {
        html.markup("<div>").element("<dt>", name, "</dt>");
        html.element("<dd>", &value, "</dd>").markup("</div>");
    }
    html.markup("</dl>\n");
    let facts = Facts::of(report);
    let advice = advise(&facts);
    html.paragraph(&format!(
        "Is the pool of handlers right? {}.",
        advice.line(&facts)
    ));
    if advice.is_about_the_pool() {
        html.paragraph(WHICH_ADVICE);
    }
    html.paragraph(
        "P99 is the time within which 99 of 100 requests were answered; the hundredth took longer. A handler serves one call \
         at a time; when all are busy, calls wait in the queue, and are refused when that is full.",
    );
    html
}

fn stages(report: &Report) -> Html {
    let mut html = Html::new();
    html.heading("Where the time went");
    html.paragraph("The whole time of requests, and how long calls waited for a handler.");
    let histograms = &report.all_histograms;
    let curves = [
        named("first byte to answer", histograms.stage(Stage::Total)),
        named("wait for a handler", histograms.waits()),
    ];
    html.piece(&by_percentile("Latency by percentile", &curves));
    let all = Stage::ALL.iter().filter(|stage| **stage != Stage::Total);
    let mut all: Vec<Named<'_>> = all
        .map(|stage| named(stage.as_str(), histograms.stage(*stage)))
        .collect();
    all.sort_by(|one, other| (other.at)(0.99).total_cmp(&(one.at)(0.99)));
    if all.iter().any(|stage| stage.count > 0) {
        html.paragraph(
            "The parts of that time, stage by stage, the longest first; the four longest have curves. Queue is waiting for a \
             handler, a worker or other calls of the tool; execute is the tool's own time; decode and encode are reading the \
             request and writing the answer, route is finding the tool, read and write are waiting for the client's network.",
        );
        html.piece(&by_percentile("Latency of each stage", &all));
    }
    html
}

fn tools(report: &Report) -> Option<Html> {
    let tools = report.tools.iter();
    let tools = tools.filter_map(|(row, name)| Some(named(name, report.all_histograms.tool(row)?)));
    let mut tools: Vec<Named<'_>> = tools.filter(|tool| tool.count > 0).collect();
    if tools.is_empty() {
        return None;
    }
    tools.sort_by_key(|tool| std::cmp::Reverse(tool.count));
    let mut html = Html::new();
    html.heading("Tools");
    if tools.len() > TOOLS_MAX {
        html.paragraph("The curves are those of the tools that were called most; the table has all.");
    }
    html.piece(&by_percentile("Latency of each tool", &tools));
    Some(html)
}

fn shards(report: &Report) -> Html {
    let mut html = Html::new();
    html.heading("Balance between shards");
    html.paragraph(
        "A shard is a thread with a pool of handlers of its own. Work is requests that need a handler, such as calls of tools. \
         Requests should be about alike; a shard whose handlers were all busy at one time gives waiting calls to others \
         that have some free.",
    );
    let head = [
        "shard",
        "requests",
        "work",
        "most handlers busy",
        "most in the queue",
        "P99",
        "refused",
    ];
    let mut table = Table::new("Each shard", &head);
    report.shards.iter().for_each(|shard| table.row(shard_row(shard)));
    html.piece(&table.html());
    html
}

fn shard_row(shard: &ShardReport) -> Vec<String> {
    let numbers = &shard.numbers;
    let p99 = shard
        .histograms
        .as_ref()
        .map(|histograms| histograms.stage(Stage::Total).quantile(0.99));
    vec![
        shard.shard.to_string(),
        numbers.requests_total().to_string(),
        numbers.requests_of(RequestClass::Work).to_string(),
        format!("{} of {}", numbers.pool_high_water, numbers.pool_size),
        numbers.queue_high_water.to_string(),
        p99.filter(|p99| !p99.is_zero())
            .map_or("-".to_owned(), |p99| time(p99.as_secs_f64())),
        numbers.refusals.total().to_string(),
    ]
}

fn endings(report: &Report) -> Html {
    let mut html = Html::new();
    html.heading("How requests ended, and what was refused");
    html.paragraph(
        "Ended is what became of calls and other operations, errors with their JSON-RPC code; refused is an answer that says \
         \"not now\"; closed counts connections that the server gave up, with the reason.",
    );
    let mut table = Table::new("Counts of the whole server", &["what", "which", "count"]);
    for (outcome, count) in report.all.outcomes.iter().filter(|(_, count)| *count > 0) {
        let (name, code) = (outcome.name(), outcome.as_str());
        let which = if code.starts_with('-') {
            format!("{name} ({code})")
        } else {
            name.to_owned()
        };
        table.row(vec!["ended".to_owned(), which, count.to_string()]);
    }
    counted(&mut table, "refused", &report.all.refusals);
    counted(&mut table, "closed", &report.all.evictions);
    html.piece(&table.html());
    html
}

fn counted<E: Label, const N: usize>(table: &mut Table, what: &str, counts: &Counts<E, N>) {
    for (member, count) in counts.iter().filter(|(_, count)| *count > 0) {
        table.row(vec![
            what.to_owned(),
            member.as_str().replace('_', " "),
            count.to_string(),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::metrics::contention::ContentionFigures;
    use crate::metrics::labels::ToolLabels;
    use crate::metrics::report::tests::example;

    #[test]
    fn the_page_has_the_reports_figures() {
        let page = render(&example());
        // The stage that takes longest is the first of its table.
        let stages = page.split("Latency of each stage").last().unwrap_or_default();
        assert!(!stages.contains("execute") || stages.find("execute") < stages.find("decode"));
        for part in [
            "<dd>10</dd>",
            "up for 3723.00 s, on 2 shards",
            "<th scope=\"row\">echo</th>",
            "9 of 256",
            "handlers",
            "</html>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("NaN"));
        assert!(!page.contains("…</p>"), "a sentence is cut: {page}");
    }

    #[test]
    fn hostile_names_stay_names_and_nothing_served_is_a_page_too() {
        let tools = Arc::new(ToolLabels::new(["<script>x</script>"], 8));
        let report = Report::new(
            tools,
            Duration::ZERO,
            Vec::new(),
            None,
            ContentionFigures::default(),
        );
        let page = render(&report);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("<dd>0</dd>") && page.contains("<dd>none answered</dd>"));
        assert!(!page.contains("<svg"), "there is nothing to draw: {page}");
    }
}
