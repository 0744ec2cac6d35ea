//! One option, as flags, environment, file and help texts know it.
//!
//! The type, the default and the place in the settings stand beside it in the same row of a section (see `section`).

use super::kind::Kind;

/// What every environment variable of the program begins with.
pub const VARIABLE_PREFIX: &str = "WEIR_";

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// As a flag (with two dashes) and as a key of the file.
    pub name: &'static str,
    /// What stands for the value in the help text.
    pub value_name: &'static str,
    /// What values are possible.
    pub kind: Kind,
    /// One sentence for the help text.
    pub help: &'static str,
    /// Whether it may be given more than once (an array in the file, commas in the environment).
    pub is_repeatable: bool,
    /// Where it may stand.
    pub places: Places,
    /// Which servers use it.
    pub used_by: UsedBy,
    /// For the help text: what holds when it is given nowhere, where that follows from other settings or the machine.
    pub derived: Option<&'static str>,
}

/// Where an option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// On the command line.
    pub flag: bool,
    /// In the environment.
    pub environment: bool,
    /// In the configuration file.
    pub file: bool,
}

/// Which servers use an option; others take it and say that it is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// Every server.
    Every,
    /// Servers that clients connect to.
    Listeners,
    /// Servers with the toolset `files`.
    Files,
}

/// A row that may stand everywhere, once, for every server.
pub(super) const fn option(
    name: &'static str,
    value_name: &'static str,
    kind: Kind,
    help: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        value_name,
        kind,
        help,
        is_repeatable: false,
        places: Places {
            flag: true,
            environment: true,
            file: true,
        },
        used_by: UsedBy::Every,
        derived: None,
    }
}

/// A row for what is switched on or off.
pub(super) const fn switch(name: &'static str, help: &'static str) -> OptionSpec {
    option(name, "on|off", Kind::Switch, help)
}

impl OptionSpec {
    /// May be given more than once.
    pub(super) const fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Of no use to a server with one client on stdin and stdout.
    pub(super) const fn for_listeners(mut self) -> Self {
        self.used_by = UsedBy::Listeners;
        self
    }

    /// Of no use without the toolset `files`.
    pub(super) const fn for_files(mut self) -> Self {
        self.used_by = UsedBy::Files;
        self
    }

    /// Where it is not given, this holds.
    pub(super) const fn derived(mut self, text: &'static str) -> Self {
        self.derived = Some(text);
        self
    }

    /// Its environment variable: `pool-size` is `WEIR_POOL_SIZE`.
    pub fn variable(&self) -> String {
        let upper = self.name.to_ascii_uppercase().replace('-', "_");
        format!("{VARIABLE_PREFIX}{upper}")
    }
}

/// The one option that feeds no setting, and cannot stand in the file, because it names the file.
pub static CONFIG: OptionSpec = OptionSpec {
    places: Places {
        flag: true,
        environment: true,
        file: false,
    },
    ..option("config", "FILE", Kind::Path, "Read options from this TOML file")
};
