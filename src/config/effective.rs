//! The effective value of every option, for `weir check`.
//!
//! This shows values and decides nothing: a value that was given is shown as it was given, a derived one as it was
//! settled.

use super::inputs::{Inputs, Source};
use super::options::Options;

/// The effective value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The option.
    pub name: &'static str,
    /// The value, in a form that can be typed again where there is one.
    pub value: String,
    /// The place where it was given.
    pub source: Source,
}

/// Given values as they were given; the others as `settled` has them, or as the help text describes them.
pub(super) fn effective(inputs: &Inputs, settled: &Options, is_pinned: bool) -> Vec<Effective> {
    let rows = settled.fields().map(|(spec, field)| {
        let given = inputs.given(spec.name);
        let value = match given {
            Some(given) => given.texts.join(", "),
            None if spec.name == "cpus" && !is_pinned => "any".to_owned(),
            None if spec.name == "toolset" && settled.toolsets.names.is_empty() => "none".to_owned(),
            None => field
                .show(spec.kind)
                .or(spec.derived.map(str::to_owned))
                .unwrap_or_default(),
        };
        Effective {
            name: spec.name,
            value: value.escape_debug().to_string(),
            source: given.map_or(Source::Default, |given| given.source),
        }
    });
    rows.collect()
}
