//! What `weir tune` says.

use crate::config::WHICH_ADVICE;
use crate::page::{Mark, Scale, Series, cut, plot, rate, time};
use crate::scrape::Figures;
use crate::tune::{Ended, Found, Limit, Load, Observation, Recommended, Rule, Saturation, Step};

/// Over the rows of steps.
pub(super) const HEAD: &str =
    "load              served/s       P50        P99   handlers   waiting   refused";

/// Requests that go out later than this share of P99 are worth a word.
const LATE_SHARE: f64 = 0.1;

/// So many letters of a failure are enough in a row.
const FAILURE_MAX: usize = 120;

/// Which server is looked at.
pub(super) fn before(server: &str, url: &str, called: &str) -> Vec<String> {
    vec![format!("{server} at {url}: calls of {called}")]
}

/// The pool as it is.
pub(super) fn pool(figures: &Figures) -> String {
    let shards = figures.shards.len();
    let places = figures.over_shards(|shard| shard.queue.depth_max);
    format!(
        "its pool: {:.0} handlers on {}, {places:.0} places to wait",
        figures.pool.size,
        counted(shards, "shard")
    )
}

/// What is done now.
pub(super) fn step(step: &Step) -> String {
    format!("{} for {:.1} s", load(step.load).trim_end(), step.seconds)
}

/// A step that is over.
pub(super) fn row(seen: &Observation) -> String {
    let handlers = seen.utilization().map_or("-".to_owned(), |utilization| {
        format!("{:.0} %", utilization * 100.0)
    });
    let waiting = seen
        .server
        .as_ref()
        .map_or("-".to_owned(), |inside| format!("{:.1}", inside.queued));
    let mut row = format!(
        "{:<16} {:>9} {:>9} {:>10} {handlers:>10} {waiting:>9} {:>9}",
        load(seen.load),
        rate(seen.served),
        latency(seen, seen.latency.p50),
        latency(seen, seen.latency.p99),
        seen.refused,
    );
    if seen.failed > 0 {
        let failure = cut(seen.failure.as_deref().unwrap_or("no answer"), FAILURE_MAX);
        row.push_str(&format!("   {} failed: {failure}", seen.failed));
    } else if seen.is_cut {
        row.push_str("   cut short: overload");
    } else if seen.late > LATE_SHARE * seen.latency.p99 {
        row.push_str("   the generator was late");
    }
    row
}

/// P99 against the rate, for those who have a terminal.
pub(super) fn curve(found: &Found, columns: usize) -> Vec<String> {
    // A step that was cut short has no rate to be drawn at.
    let steps = found
        .steps
        .iter()
        .filter(|step| step.latency.count > 0 && !step.is_cut);
    let points: Vec<(f64, f64)> = steps.map(|step| (step.offered(), step.latency.p99)).collect();
    if points.len() < 3 {
        return Vec::new();
    }
    let mut marks = Vec::new();
    let mut legend = "P99 against the rate".to_owned();
    if let Some(at) = found.knee.and_then(|knee| knee.rate()) {
        marks.push(Mark::At(at, String::new()));
        legend.push_str("; | is the knee");
    }
    if let Some(objective) = found.objective {
        marks.push(Mark::Level(objective, String::new()));
        legend.push_str(", - the objective");
    }
    let series = Series {
        name: "P99".to_owned(),
        points,
    };
    let size = (columns.min(78), 12);
    let drawn = plot(
        &[series],
        &marks,
        (Scale::Linear, rate),
        (Scale::Linear, time),
        size,
    );
    [String::new(), legend].into_iter().chain(drawn).collect()
}

/// A latency, if there was an answer to have one.
fn latency(seen: &Observation, seconds: f64) -> String {
    match seen.latency.count {
        0 => "-".to_owned(),
        _ => time(seconds),
    }
}

/// What all of it means.
pub(super) fn after(found: &Found) -> Vec<String> {
    let mut lines = vec![String::new()];
    match &found.ended {
        Ended::Complete => {}
        Ended::TimeIsUp => lines.push(
            "The time was over before all was known, so there are no flags; --max-time gives it more. What is known:"
                .to_owned(),
        ),
        Ended::Interrupted => lines.push("INTERRUPTED. What is known so far:".to_owned()),
        Ended::Failed(why) => lines.push(format!(
            "The server stopped answering: {why}. What was known by then:"
        )),
    }
    match &found.saturation {
        Some(saturation) => {
            lines.extend(saturated(saturation));
        }
        None => {
            lines.push("How much the server carries is not known yet.".to_owned());
            return lines;
        }
    }
    lines.extend(knee(found));
    lines.extend(within(found));
    lines.extend(laws(found));
    if let Some(recommended) = &found.recommended {
        lines.extend(flags(recommended));
    }
    lines
}

pub(super) fn knee(found: &Found) -> Vec<String> {
    let Some(knee) = &found.knee else {
        return Vec::new();
    };
    let Some(high) = knee.rate_high else {
        return vec![format!(
            "Knee: 99 of 100 answers take up to {} while little waits, and not more than a quarter longer at any rate that \
             was tried, up to {} requests/s.",
            time(knee.plateau),
            rate(knee.rate_low)
        )];
    };
    let utilization = knee.utilization.map_or(String::new(), |utilization| {
        format!(", where {:.0} % of the handlers are busy", utilization * 100.0)
    });
    let sure = match (knee.is_sure, knee.misfits) {
        (true, _) => "beyond what chance explains".to_owned(),
        (false, 0) => "though chance could explain the step above".to_owned(),
        (false, misfits) => format!("with {misfits} of {} steps on the wrong side", knee.steps),
    };
    vec![format!(
        "Knee: 99 of 100 answers take up to {} while little waits, and more than a quarter longer from between {} and {} \
         requests/s on{utilization} ({sure}).",
        time(knee.plateau),
        rate(knee.rate_low),
        rate(high)
    )]
}

pub(super) fn within(found: &Found) -> Vec<String> {
    let Some(objective) = found.objective else {
        return Vec::new();
    };
    let whose = if found.is_objective_given {
        String::new()
    } else {
        " (twice the plateau; --p99 sets another)".to_owned()
    };
    match &found.within {
        Some(within) => vec![format!(
            "Objective: P99 stays within {}{whose}, and nothing is refused, up to {}{} requests/s; it was {} there{}.",
            time(objective),
            if within.is_confirmed { "" } else { "at least " },
            rate(within.rate),
            time(within.p99),
            if within.is_confirmed { ", twice" } else { "" }
        )],
        None if found
            .idle
            .as_ref()
            .is_some_and(|idle| idle.latency.p99 > objective) =>
        {
            vec![format!(
                "Objective: P99 does not stay within {}{whose} at any rate: a call takes that long by itself, which no pool \
             changes.",
                time(objective)
            )]
        }
        None => vec![format!(
            "Objective: P99 did not stay within {}{whose} at any rate that was tried.",
            time(objective)
        )],
    }
}

/// The highest rate, and why it is.
pub(super) fn saturated(saturation: &Saturation) -> [String; 2] {
    let most = rate(saturation.rate);
    if matches!(saturation.limit, Limit::RateMax { .. }) {
        return [
            format!(
                "Saturation: not reached. {most} requests/s were the most that might be sent (--rate-max)."
            ),
            "  What the server carries beyond is not known.".to_owned(),
        ];
    }
    [
        format!("Saturation: {most} requests/s are about the most that this server carries."),
        format!("  The limit is {}.", saturation.because),
    ]
}

/// How the rules of thumb fare.
pub(super) fn laws(found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(little) = &found.little {
        lines.push(format!(
            "Little's law: rate x time in service = {:.1} calls in flight; {:.1} handlers were busy, {}.",
            little.computed,
            little.counted,
            if little.agrees {
                "so it fits"
            } else {
                "so it does not fit: calls hold handlers in other ways, too"
            }
        ));
    }
    if let Some(classic) = &found.classic {
        let verdict = match classic.rule {
            Rule::Fits => "within a tenth of it, so the rule fits",
            Rule::Wastes => "the rule wants more than the objective needs",
            Rule::FallsShort => "the rule wants fewer, with which calls would wait too long",
            Rule::SaysNothing => {
                "handlers are not what limits this server, so the rule only says how many are enough"
            }
        };
        lines.push(format!(
            "The classic rule (busy / 0.75): {:.1} / 0.75 = {:.0} handlers, where {:.0} carried it: {verdict}.",
            classic.in_flight, classic.handlers_by_rule, classic.handlers
        ));
    }
    lines
}

fn flags(recommended: &Recommended) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        "For that rate, beside the flags that it has for other things:".to_owned(),
        format!("  {}", flag_line(recommended)),
        "  A full queue of that depth is worked off in about half of the timeout.".to_owned(),
    ];
    lines.extend(larger(recommended).map(|line| format!("  {line}")));
    lines.push(format!("  {WHICH_ADVICE}"));
    lines
}

/// What to type.
pub(super) fn flag_line(recommended: &Recommended) -> String {
    format!(
        "weir serve --shards {} --pool-size {} --queue-depth {} --queue-timeout {}",
        recommended.shards,
        recommended.pool_size,
        recommended.queue_depth,
        flag_time(recommended.queue_timeout)
    )
}

/// What a larger pool should carry.
pub(super) fn larger(recommended: &Recommended) -> Option<String> {
    let larger = recommended.larger.as_ref()?;
    Some(format!(
        "The CPU would carry more: --pool-size {} should carry {} requests/s. Try it, and tune again.",
        larger.pool_size,
        rate(larger.rate)
    ))
}

pub(super) fn load(load: Load) -> String {
    match load {
        Load::Clients(clients) => counted(clients, "client"),
        Load::Rate(offered) => format!("{}/s", rate(offered)),
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// As flags take it.
pub(super) fn flag_time(seconds: f64) -> String {
    let millis = (seconds * 1e3).round().max(1.0);
    if millis >= 1e3 && millis % 1e3 == 0.0 {
        format!("{:.0}s", millis / 1e3)
    } else {
        format!("{millis:.0}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_duration;

    #[test]
    fn flags_are_what_serve_takes() {
        for (seconds, flag) in [(0.1, "100ms"), (2.0, "2s"), (0.0001, "1ms")] {
            assert_eq!(flag_time(seconds), flag);
            assert!(parse_duration(flag).is_ok());
        }
    }
}
