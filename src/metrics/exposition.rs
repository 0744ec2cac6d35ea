//! The text format of Prometheus, version 0.0.4.
//!
//! This module knows how families, labels and numbers are written, not which there are. Samples of a family stand
//! behind its HELP and TYPE lines; an empty family is left out. Names and help texts are constants of this crate, label
//! values are escaped. <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write};

use super::duration::DurationCounts;

/// Writes one exposition.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    /// The family whose samples were written last.
    begun: &'static str,
}

/// The type of a family's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Writes the samples of one family.
pub struct FamilyWriter<'a> {
    exposition: &'a mut Exposition,
    name: &'static str,
    kind: Kind,
    help: &'static str,
}

impl Exposition {
    /// Writes a family, or more samples of the one written last; `samples` gives them.
    pub(super) fn family(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        samples: impl FnOnce(&mut FamilyWriter<'_>),
    ) {
        samples(&mut FamilyWriter {
            exposition: self,
            name,
            kind,
            help,
        });
    }

    /// Writes a family of one sample without labels, or nothing when there is no value.
    pub(super) fn single<N: Display>(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        value: Option<N>,
    ) {
        self.family(kind, name, help, |family| {
            if let Some(value) = value {
                family.sample(&[], value);
            }
        });
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl FamilyWriter<'_> {
    /// A sample of a counter or gauge.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.begin();
        self.line("", labels, None, value);
    }

    /// All samples of one histogram.
    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], durations: &DurationCounts) {
        self.begin();
        for (le, count) in durations.cumulative() {
            self.line("_bucket", labels, Some(le), count);
        }
        self.line("_sum", labels, None, durations.sum_seconds());
        self.line("_count", labels, None, durations.count());
    }

    fn begin(&mut self) {
        if self.exposition.begun != self.name {
            let (name, help, kind) = (self.name, self.help, self.kind.as_str());
            self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            self.exposition.begun = name;
        }
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], le: Option<&str>, value: impl Display) {
        let name = self.name;
        self.write(format_args!("{name}{suffix}"));
        let le = le.map(|le| ("le", le));
        let mut separator = '{';
        for (label, value) in labels.iter().copied().chain(le) {
            self.write(format_args!("{separator}{label}=\"{}\"", Escaped(value)));
            separator = ',';
        }
        if separator == ',' {
            self.exposition.text.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.exposition.text.write_fmt(arguments);
    }
}

/// A label value with the three characters escaped that the format wants escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_the_format_has_it() {
        let mut exposition = Exposition::default();
        exposition.family(Kind::Gauge, "a_b", "Some help.", |family| {
            family.sample(&[("x", "1"), ("y", "q\"\\\n")], 5);
            family.sample(&[], 1.5);
        });
        let expected =
            "# HELP a_b Some help.\n# TYPE a_b gauge\na_b{x=\"1\",y=\"q\\\"\\\\\\n\"} 5\na_b 1.5\n";
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn a_family_without_samples_is_not_mentioned() {
        let mut exposition = Exposition::default();
        exposition.single(Kind::Gauge, "a", "Help.", None::<u64>);
        exposition.family(Kind::Counter, "b", "Help.", |_| {});
        assert_eq!(exposition.into_text(), "");
    }
}
