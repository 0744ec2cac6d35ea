//! Resolves texts and this machine to settings, for the command.
//!
//! This is pure: the same inputs, the same machine, and the same files and variables give the same settings.

use super::around::Around;
use super::children::named_servers;
use super::effective::{Effective, effective};
use super::error::ConfigError;
use super::host::Host;
use super::inputs::Inputs;
use super::read::read;
use super::settings::Settings;
use super::settle::{Settled, settle};

/// Settings, and where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Every option, in the order of the table.
    pub effective: Vec<Effective>,
    /// Notes on settings that an operator may not expect, one sentence each.
    pub notes: Vec<String>,
    /// Remarks on inputs that were ignored and are probably unimportant, one sentence each.
    pub remarks: Vec<String>,
}

/// Makes settings of the inputs, of what they refer to, and of this machine.
///
/// # Errors
/// Returns all faults, in the order of the table, and then the demands that this machine cannot meet.
pub fn resolve(inputs: &Inputs, host: &Host, around: &Around<'_>) -> Result<Resolved, Vec<ConfigError>> {
    let (mut options, mut errors) = read(inputs);
    let is_given = |name: &str| inputs.given(name).is_some();
    let children = named_servers(&options.children, around).unwrap_or_else(|faults| {
        errors.extend(faults);
        Vec::new()
    });
    // Whoever names other programs wants these, and not this directory's files.
    if !children.is_empty() && !is_given("toolset") {
        options.toolsets.names.clear();
    }
    let Settled {
        settings,
        options,
        notes,
    } = settle(options, children, &is_given, errors, host)?;
    Ok(Resolved {
        effective: effective(inputs, &options, settings.executor.is_pinned),
        settings,
        notes: [inputs.notes(), &notes].concat(),
        remarks: inputs.remarks().to_vec(),
    })
}

#[cfg(test)]
mod tests;
