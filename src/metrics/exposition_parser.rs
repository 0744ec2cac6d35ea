//! A strict reader of the Prometheus text format, for tests.
//!
//! Panics with the offending line on anything the format or its conventions forbid: samples outside their family, a
//! family or series twice, a counter without `_total`, buckets that do not add up.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of a series, sorted by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// All samples of an exposition.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<(String, Labels), f64>);

impl Samples {
    /// The value of one series.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.0.get(&(name.to_owned(), labels.collect())).copied()
    }

    /// All series of a name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, f64)> {
        let own = self.0.iter().filter(move |((its, _), _)| its == name);
        own.map(|((_, labels), value)| (labels, *value))
    }

    /// The sum over all series of a name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|(_, value)| value).sum()
    }

    fn check_histogram(&self, family: &str) {
        let [bucket, sum, count] = ["bucket", "sum", "count"].map(|part| format!("{family}_{part}"));
        let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for (labels, value) in self.of(&bucket) {
            let mut labels = labels.clone();
            let le = labels
                .remove("le")
                .unwrap_or_else(|| panic!("{bucket} without `le`"));
            let le = if le == "+Inf" {
                f64::INFINITY
            } else {
                le.parse().unwrap()
            };
            series.entry(labels).or_default().push((le, value));
        }
        assert_eq!(
            series.len(),
            self.of(&count).count(),
            "{family}: series and counts"
        );
        for (labels, mut buckets) in series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                buckets.is_sorted_by(|a, b| a.1 <= b.1),
                "{family}{labels:?} is not cumulative"
            );
            let last = buckets.last().copied();
            let counted = self.0.get(&(count.clone(), labels.clone())).copied();
            assert_eq!(
                last,
                counted.map(|counted| (f64::INFINITY, counted)),
                "{family}{labels:?}"
            );
            assert!(
                self.0.contains_key(&(sum.clone(), labels)),
                "{family} without sum"
            );
        }
    }
}

/// Reads an exposition.
pub(crate) fn parse(text: &str) -> Samples {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line must end");
    let mut samples = Samples::default();
    let mut families = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(help) = lines.next() {
        let (name, _) = words(help, "# HELP ");
        assert!(families.insert(name.to_owned()), "family twice: {help}");
        let (typed, kind) = words(lines.next().unwrap_or_default(), "# TYPE ");
        assert_eq!(typed, name, "TYPE must follow HELP");
        check_name(name, true);
        let is_counter = kind == "counter";
        assert_eq!(name.ends_with("_total"), is_counter, "{name} is a {kind}");
        let mut series = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (sample, labels, value) = parse_sample(line);
            let suffix = sample
                .strip_prefix(name)
                .unwrap_or_else(|| panic!("outside its family: {line}"));
            let suffixes: &[&str] = if kind == "histogram" {
                &["_bucket", "_sum", "_count"]
            } else {
                &[""]
            };
            assert!(suffixes.contains(&suffix), "not a {kind}: {line}");
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(
                samples.0.insert((sample, labels), value).is_none(),
                "series twice: {line}"
            );
            series += 1;
        }
        assert!(series > 0, "a family without samples: {help}");
        match kind {
            "histogram" => samples.check_histogram(name),
            "counter" | "gauge" => {}
            other => panic!("unknown type {other}"),
        }
    }
    samples
}

fn words<'a>(line: &'a str, prefix: &str) -> (&'a str, &'a str) {
    let rest = line
        .strip_prefix(prefix)
        .unwrap_or_else(|| panic!("`{prefix}` expected, found: {line}"));
    rest.split_once(' ')
        .unwrap_or_else(|| panic!("incomplete: {line}"))
}

fn check_name(name: &str, may_have_colon: bool) {
    let first = name.chars().next().unwrap_or_else(|| panic!("an empty name"));
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || (may_have_colon && c == ':');
    assert!(
        !first.is_ascii_digit() && name.chars().all(is_fine),
        "bad name `{name}`"
    );
}

fn parse_sample(line: &str) -> (String, Labels, f64) {
    let name_end = line
        .find(['{', ' '])
        .unwrap_or_else(|| panic!("incomplete: {line}"));
    let (name, mut rest) = line.split_at(name_end);
    check_name(name, true);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest
                .split_once("=\"")
                .unwrap_or_else(|| panic!("bad labels: {line}"));
            check_name(label, false);
            let (value, after) = parse_label_value(after);
            assert!(
                labels.insert(label.to_owned(), value).is_none(),
                "label twice: {line}"
            );
            match after.split_at_checked(1) {
                Some((",", after)) => rest = after,
                Some(("}", after)) => {
                    rest = after;
                    break;
                }
                _ => panic!("bad labels: {line}"),
            }
        }
    }
    let value = rest
        .strip_prefix(' ')
        .unwrap_or_else(|| panic!("no value: {line}"));
    (
        name.to_owned(),
        labels,
        value.parse().unwrap_or_else(|_| panic!("bad value: {line}")),
    )
}

/// The value up to its closing quote, unescaped, and what follows the quote.
fn parse_label_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                other => panic!("bad escape {other:?} in {text}"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("unclosed label value in {text}")
}

#[test]
fn it_reads_what_the_format_documents() {
    let samples = parse(concat!(
        "# HELP a_total Help with \"quotes\".\n# TYPE a_total counter\n",
        "a_total{x=\"q\\\"\\\\\\n,}\",y=\"\"} 3\na_total 4.5\n",
        "# HELP h Help.\n# TYPE h histogram\n",
        "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 9\nh_count 2\n",
    ));
    assert_eq!(
        samples.value("a_total", &[("x", "q\"\\\n,}"), ("y", "")]),
        Some(3.0)
    );
    assert_eq!(samples.sum("a_total"), 7.5);
    assert_eq!(samples.value("h_count", &[]), Some(2.0));
}

#[test]
fn it_refuses_what_the_format_forbids() {
    let gauge = "# HELP a Help.\n# TYPE a gauge\n";
    let histogram = "# HELP h Help.\n# TYPE h histogram\n";
    let wrong = [
        format!("{gauge}a 1"),
        format!("{gauge}a 1\na 2\n"),
        format!("{gauge}b 1\n"),
        format!("{gauge}a{{1x=\"\"}} 1\n"),
        format!("{gauge}a{{x=\"\\t\"}} 1\n"),
        format!("{gauge}a{{x=\"}} 1\n"),
        format!("{gauge}a one\n"),
        format!("{gauge}a 1\n{gauge}a{{x=\"\"}} 1\n"),
        gauge.to_owned(),
        "a 1\n".to_owned(),
        "# HELP a Help.\n# TYPE a counter\na 1\n".to_owned(),
        format!("{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 1\n"),
        format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 2\n"),
        format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_count 1\n"),
    ];
    for text in wrong {
        let refused = std::panic::catch_unwind(|| parse(&text)).is_err();
        assert!(refused, "was accepted:\n{text}");
    }
}
