//! `/metrics`, parsed: Prometheus text, one sample a line.

/// All samples of one scrape.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    samples: Vec<(String, f64)>,
    types: Vec<(String, String)>,
}

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        let mut metrics = Self {
            samples: Vec::new(),
            types: Vec::new(),
        };
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                metrics.types.push((name.to_owned(), kind.to_owned()));
            } else if !line.starts_with('#') {
                let (sample, value) = line
                    .rsplit_once(' ')
                    .unwrap_or_else(|| panic!("no sample: {line:?}"));
                metrics.samples.push((sample.to_owned(), value.parse().unwrap()));
            }
        }
        metrics
    }

    /// The sum of all samples of this name that carry these labels.
    #[track_caller]
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut found = self.matching(name, labels).peekable();
        assert!(found.peek().is_some(), "no {name} {labels:?}");
        found.sum()
    }

    /// How many samples of this name carry these labels.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(name, labels).count()
    }

    /// Families by name and type, in order.
    pub(crate) fn families(&self) -> impl Iterator<Item = (&str, &str)> {
        self.types
            .iter()
            .map(|(name, kind)| (name.as_str(), kind.as_str()))
    }

    fn matching<'s>(
        &'s self,
        name: &'s str,
        labels: &[(&str, &str)],
    ) -> impl Iterator<Item = f64> + 's + use<'s> {
        let wanted: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        let is_match = move |sample: &str| {
            let (known, rest) = sample.split_once('{').unwrap_or((sample, ""));
            known == name && wanted.iter().all(|label| rest.contains(label.as_str()))
        };
        self.samples
            .iter()
            .filter(move |(sample, _)| is_match(sample))
            .map(|(_, value)| *value)
    }
}
