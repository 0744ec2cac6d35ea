//! What every option came to, for `weir check`.
//!
//! Shows and decides nothing: what was given is shown as it was given, what was derived as it was settled.

use super::inputs::{Inputs, Source};
use super::options::Options;

/// What an option came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The option.
    pub name: &'static str,
    /// Its value, as it can be typed again where it can.
    pub value: String,
    /// Who gave it.
    pub source: Source,
}

/// Given texts as they were given; the rest as `settled` has it, or in the words of the help text.
pub(super) fn effective(inputs: &Inputs, settled: &Options, is_pinned: bool) -> Vec<Effective> {
    let rows = settled.fields().map(|(spec, field)| {
        let given = inputs.given(spec.name);
        let value = match given {
            Some(given) => given.texts.join(", "),
            None if spec.name == "cpus" && !is_pinned => "any".to_owned(),
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
