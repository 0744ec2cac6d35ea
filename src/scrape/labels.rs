//! The labels of one series.

/// The labels of a series, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// These labels; `None` if one is there twice.
    pub(super) fn new(mut labels: Vec<(String, String)>) -> Option<Self> {
        labels.sort();
        let is_twice = labels.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!is_twice).then_some(Self(labels))
    }

    /// The value of a label. A label that is absent means the same as an empty one.
    pub fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    }
}
