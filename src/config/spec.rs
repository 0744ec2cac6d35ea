//! The specification of one option, for flags, environment, file and help texts.
//!
//! The type, the default and the place in the settings stand beside it in the same row of a section (see `section`).

use super::kind::Kind;

/// The prefix of every environment variable of the program.
pub const VARIABLE_PREFIX: &str = "WEIR_";

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// The name as a flag (with two dashes) and as a key of the file.
    pub name: &'static str,
    /// The placeholder for the value in the help text.
    pub value_name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// One sentence for the help text.
    pub help: &'static str,
    /// Whether it may be given more than once (an array in the file, commas in the environment).
    pub is_repeatable: bool,
    /// Where it may stand.
    pub places: Places,
    /// The servers that use it.
    pub used_by: UsedBy,
    /// A description of the default, for the help text, if the default follows from other settings or the machine.
    pub derived: Option<&'static str>,
}

/// Where an option may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Whether it may stand on the command line.
    pub flag: bool,
    /// Whether it may stand in the environment.
    pub environment: bool,
    /// Whether it may stand in the configuration file.
    pub file: bool,
}

/// The servers that use an option; others accept it with a note that it has no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// Every server.
    Every,
    /// Servers that clients connect to.
    Listeners,
    /// Servers that listen on Unix sockets.
    UnixSockets,
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

/// A row for a switch.
pub(super) const fn switch(name: &'static str, help: &'static str) -> OptionSpec {
    option(name, "on|off", Kind::Switch, help)
}

impl OptionSpec {
    /// Lets the option be given more than once.
    pub(super) const fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Limits the option to servers that listen: with one client on stdin and stdout it has no use.
    pub(super) const fn for_listeners(mut self) -> Self {
        self.used_by = UsedBy::Listeners;
        self
    }

    /// Limits the option to servers that listen on Unix sockets.
    pub(super) const fn for_unix_sockets(mut self) -> Self {
        self.used_by = UsedBy::UnixSockets;
        self
    }

    /// Limits the option to servers with the toolset `files`.
    pub(super) const fn for_files(mut self) -> Self {
        self.used_by = UsedBy::Files;
        self
    }

    /// Describes the default.
    pub(super) const fn derived(mut self, text: &'static str) -> Self {
        self.derived = Some(text);
        self
    }

    /// The environment variable: `pool-size` is `WEIR_POOL_SIZE`.
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
