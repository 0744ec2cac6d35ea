//! All samples of one exposition.
//!
//! Reads what the format allows, and refuses the whole of a text that has one bad line, because half of one would show
//! wrong numbers. Types and help texts are left out: who asks for a metric knows what it is.

use std::collections::BTreeMap;

use super::labels::Labels;
use super::line;

/// The most samples of one exposition. A server with a hundred tools that fail in every way has some 40,000.
const SAMPLES_MAX: usize = 200_000;

/// What is wrong with an exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A line that the format does not have.
    #[error("line {line} of its metrics is not in the format of Prometheus: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it; nothing of the line itself.
        reason: &'static str,
    },
    /// More samples than a tool can be expected to keep.
    #[error("its metrics have more than {SAMPLES_MAX} samples")]
    TooMany,
}

/// The samples, by name and labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples(BTreeMap<String, BTreeMap<Labels, f64>>);

impl Samples {
    /// Reads an exposition.
    ///
    /// # Errors
    /// Fails at the first line that is neither a sample nor a comment, at a series that is there twice, at anything
    /// behind OpenMetrics' `# EOF`, and when there are too many.
    pub fn parse(text: &str) -> Result<Self, SampleError> {
        let mut samples = Self::default();
        let (mut count, mut is_over) = (0, false);
        for (number, line) in text.lines().enumerate() {
            let at = |reason| SampleError::Line {
                line: number + 1,
                reason,
            };
            let line = line.trim_matches([' ', '\t']);
            if is_over && !line.is_empty() {
                return Err(at("something behind the end"));
            }
            is_over = is_over || line == "# EOF";
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if count == SAMPLES_MAX {
                return Err(SampleError::TooMany);
            }
            count += 1;
            let (name, labels, value) = line::sample(line).map_err(at)?;
            if !samples.0.contains_key(name) {
                samples.0.insert(name.to_owned(), BTreeMap::new());
            }
            let family = samples.0.entry(name.to_owned()).or_default();
            if family.insert(labels, value).is_some() {
                return Err(at("a series twice"));
            }
        }
        Ok(samples)
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// All series of a name, by their labels.
    pub fn of(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let series = self.0.get(name).into_iter().flatten();
        series.map(|(labels, value)| (labels, *value))
    }

    /// The sum over the series of a name that have these labels; `None` if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_match = |series: &Labels| labels.iter().all(|(label, value)| series.value(label) == *value);
        let mut found = self.of(name).filter(|(series, _)| is_match(series)).peekable();
        found.peek()?;
        Some(found.map(|(_, value)| value).sum())
    }

    /// The value of precisely this series.
    pub(super) fn value(&self, name: &str, labels: &Labels) -> Option<f64> {
        self.0.get(name)?.get(labels).copied()
    }

    /// The values of a label over the series of a name, each once, in order.
    pub fn values_of(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<String> = self
            .of(name)
            .map(|(labels, _)| labels.value(label).to_owned())
            .collect();
        values.sort();
        values.dedup();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exposition_is_read_whole() {
        let text = "# HELP a_total Help.\r\n# TYPE a_total counter\r\na_total{x=\"1\",y=\"b\"} 3\r\n\n  a_total{y=\"c\"} 4.5\n\
                    #comment\nnan NaN\n# EOF\n";
        let samples = Samples::parse(text).unwrap();
        assert_eq!(samples.sum("a_total", &[]), Some(7.5));
        assert_eq!(samples.sum("a_total", &[("x", "1")]), Some(3.0));
        assert_eq!(samples.sum("a_total", &[("x", "")]), Some(4.5));
        assert_eq!(samples.sum("a_total", &[("x", "2")]), None);
        assert_eq!(samples.sum("b", &[]), None);
        assert_eq!(samples.values_of("a_total", "y"), ["b", "c"]);
        assert_eq!(samples.of("nan").count(), 1);
        assert_eq!(Samples::parse("").unwrap(), Samples::default());
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_not_shown() {
        let refused = |text: &str| Samples::parse(text).unwrap_err().to_string();
        assert_eq!(
            refused("a 1\n\u{1b}[2J 2\n"),
            "line 2 of its metrics is not in the format of Prometheus: no metric name"
        );
        assert!(refused("a 1\na 1\n").contains("line 2"));
        assert!(refused("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 1\n").ends_with("a series twice"));
        assert!(refused("a 1\n# EOF\nb 1\n").ends_with("something behind the end"));
        assert!(refused("<html>\n").contains("line 1"));
    }

    #[test]
    fn hostile_sizes_are_bounded() {
        let lines: String = (0..=SAMPLES_MAX).map(|number| format!("a{number} 1\n")).collect();
        assert_eq!(Samples::parse(&lines), Err(SampleError::TooMany));
        let long = format!("a{{x=\"{}\"}} 1\n", "\\\\".repeat(1 << 20));
        let samples = Samples::parse(&long).unwrap();
        assert_eq!(samples.values_of("a", "x")[0].len(), 1 << 20);
    }
}
