//! Resolves texts and this machine to settings, for the command.
//!
//! This is pure: the same inputs and the same machine give the same settings.

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

/// Makes settings of the inputs and of this machine.
///
/// # Errors
/// Returns all faults, in the order of the table, and then the demands that this machine cannot meet.
pub fn resolve(inputs: &Inputs, host: &Host) -> Result<Resolved, Vec<ConfigError>> {
    let (options, errors) = read(inputs);
    let is_given = |name: &str| inputs.given(name).is_some();
    let Settled {
        settings,
        options,
        notes,
    } = settle(options, &is_given, errors, host)?;
    Ok(Resolved {
        effective: effective(inputs, &options, settings.executor.is_pinned),
        settings,
        notes: [inputs.notes(), &notes].concat(),
        remarks: inputs.remarks().to_vec(),
    })
}

#[cfg(test)]
mod tests;
