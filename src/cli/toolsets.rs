//! The embedded toolsets, as far as this build has them.
//!
//! Each is behind a Cargo feature of its name. The `weir` binary has both; a program that calls [`super::run`] may be
//! built without them, and then refuses a toolset that it lacks by name.

use crate::config::{ConfigError, Settings, Toolset};
use crate::registry::{Registry, RegistryBuilder};

type Refusal = Box<dyn std::error::Error>;

/// A registry with the tools of every requested toolset.
pub(super) fn registry(settings: &Settings) -> Result<Registry, Refusal> {
    let mut tools = Registry::builder();
    // None of the toolsets below does.
    tools.spawns_no_tasks();
    for toolset in &settings.toolsets.names {
        match toolset {
            Toolset::Demo => register_demo(&mut tools)?,
            Toolset::Files => register_files(&mut tools, settings)?,
        }
    }
    Ok(tools.build())
}

/// Checks that the options say nothing of tools that there are not. Without a toolset that cannot be opened, which is
/// reported elsewhere, nothing is known of that.
///
/// # Errors
/// Names the first tool that there is not.
pub(super) fn check_tools(settings: &Settings) -> Result<(), ConfigError> {
    if settings.tools.overrides.0.is_empty() {
        return Ok(());
    }
    registry(settings).map_or(Ok(()), |registry| crate::server::check_tools(settings, &registry))
}

#[cfg(feature = "demo")]
fn register_demo(tools: &mut RegistryBuilder) -> Result<(), Refusal> {
    tools.add(crate::demo::Demo)?;
    Ok(())
}

#[cfg(not(feature = "demo"))]
fn register_demo(_: &mut RegistryBuilder) -> Result<(), Refusal> {
    Err(missing(Toolset::Demo).into())
}

#[cfg(feature = "files")]
fn register_files(tools: &mut RegistryBuilder, settings: &Settings) -> Result<(), Refusal> {
    use crate::files;
    let limits = files::FilesLimits {
        read_bytes_max: settings.toolsets.read_bytes_max,
        answer_bytes_max: settings.toolsets.search_bytes_max,
        ..files::FilesLimits::default()
    };
    let root = files::Root::with_limits(&settings.toolsets.root, limits)?;
    tools.add(root)?;
    Ok(())
}

#[cfg(not(feature = "files"))]
fn register_files(_: &mut RegistryBuilder, _: &Settings) -> Result<(), Refusal> {
    Err(missing(Toolset::Files).into())
}

/// Checks whether the directory of the toolset `files` can be served.
///
/// # Errors
/// Says why it cannot.
#[cfg(feature = "files")]
pub(super) fn try_root(settings: &Settings) -> Result<(), String> {
    match crate::files::Root::open(&settings.toolsets.root) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Does the same in a build without the toolset.
#[cfg(not(feature = "files"))]
pub(super) fn try_root(_: &Settings) -> Result<(), String> {
    Err(missing(Toolset::Files))
}

#[cfg(not(all(feature = "demo", feature = "files")))]
fn missing(toolset: Toolset) -> String {
    let name = toolset.name();
    format!(
        "toolset = {name}, but this program was built without the feature `{name}`; choose another --toolset"
    )
}
