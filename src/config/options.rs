//! All options of a server.
//!
//! A program sets the fields; the command reads them from texts (see `read`). Nothing is decided here: `settle` settles
//! what the options mean on this machine.

use super::error::ConfigError;
use super::field::Field;
use super::section::Section;
use super::sections::{
    AccessSettings, ChannelSettings, ChildOptions, ConnectionOptions, EndpointSettings, HttpLimits,
    MachineOptions, OutputOptions, QueueOptions, RunOptions, SessionSettings, TaskSettings, Timeouts,
    ToolOptions, ToolsetSettings, WorkerOptions,
};
use super::spec::OptionSpec;

/// Declares the options, section by section.
macro_rules! options {
    ($( $(#[$doc:meta])* $field:ident: $section:ty, )+) => {
        /// All options of a server; the defaults are those of `weir serve`.
        ///
        /// Each field is one option of the command, with the same bounds, which are checked when a server is made.
        #[derive(Debug, Clone, PartialEq, Default)]
        #[non_exhaustive]
        pub struct Options {
            $( $(#[$doc])* pub $field: $section, )+
        }

        impl Options {
            /// All options, in the order of the help text.
            pub(crate) fn specs() -> impl Iterator<Item = &'static OptionSpec> {
                [$( <$section>::SPECS, )+].into_iter().flatten()
            }

            pub(super) fn fields(&self) -> impl Iterator<Item = (&'static OptionSpec, &dyn Field)> {
                let fields = [$( self.$field.fields(), )+];
                Self::specs().zip(fields.into_iter().flatten())
            }

            pub(super) fn fields_mut(&mut self) -> impl Iterator<Item = (&'static OptionSpec, &mut dyn Field)> {
                let fields = [$( self.$field.fields_mut(), )+];
                Self::specs().zip(fields.into_iter().flatten())
            }
        }
    };
}

options! {
    /// The address and transport of clients.
    endpoints: EndpointSettings,
    /// The toolsets of `weir serve`; a program that embeds a server has no use for them.
    toolsets: ToolsetSettings,
    /// Single tools.
    tools: ToolOptions,
    /// Other programs to serve.
    children: ChildOptions,
    /// CPUs, memory, and the division of memory.
    machine: MachineOptions,
    /// Waiting for a handler, and keeping one.
    queue: QueueOptions,
    /// How many connections there may be.
    connections: ConnectionOptions,
    /// Limits of HTTP messages.
    http: HttpLimits,
    /// Deadlines of connections and calls.
    timeouts: Timeouts,
    /// Connections that carry messages both ways.
    channels: ChannelSettings,
    /// Calls whose results are fetched later.
    tasks: TaskSettings,
    /// How shards wait, and how long a drain may take.
    run: RunOptions,
    /// The origins of browser pages and the host names that are admitted.
    access: AccessSettings,
    /// Session ids of the legacy era.
    session: SessionSettings,
    /// Threads for blocking tools.
    workers: WorkerOptions,
    /// The report at exit, and the log.
    output: OutputOptions,
}

impl Options {
    /// The option with this name, if there is one.
    pub(crate) fn spec(name: &str) -> Option<&'static OptionSpec> {
        Self::specs().find(|spec| spec.name == name)
    }

    /// The value of an option, in a form that can be typed again; `None` if none was chosen.
    pub fn show(&self, name: &str) -> Option<String> {
        let (spec, field) = self.fields().find(|(spec, _)| spec.name == name)?;
        field.show(spec.kind)
    }

    /// Checks every value against the bounds of its option, and normalises names and paths for comparison.
    ///
    /// # Errors
    /// Returns one error for each option that is out of bounds.
    pub(super) fn check(&mut self) -> Result<(), Vec<ConfigError>> {
        let refused = self.fields_mut().filter_map(|(spec, field)| {
            let refusal = field.check(spec.kind).err()?;
            Some(ConfigError::BadValue {
                name: spec.name,
                value: refusal.value.escape_debug().to_string(),
                place: "from the program".to_owned(),
                reason: refusal.reason,
            })
        });
        let errors: Vec<ConfigError> = refused.collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl OptionSpec {
    /// The default, for the help text.
    pub fn default_text(&self) -> String {
        match self.derived {
            Some(text) => text.to_owned(),
            None => Options::default().show(self.name).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::kind::Kind;

    #[test]
    fn names_are_kebab_case_and_unique() {
        let names: HashSet<_> = Options::specs().map(|spec| spec.name).collect();
        assert_eq!(names.len(), Options::specs().count());
        let is_kebab = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(names.iter().all(|name| is_kebab(name)), "{names:?}");
        let pool_size = Options::spec("pool-size").unwrap();
        assert_eq!(pool_size.variable(), "WEIR_POOL_SIZE");
    }

    #[test]
    fn every_default_is_a_possible_value_and_is_shown() {
        let mut options = Options::default();
        assert_eq!(options.check(), Ok(()));
        assert_eq!(options, Options::default());
        for (spec, field) in options.fields() {
            let shown = field.show(spec.kind);
            assert!(shown.is_some() || spec.derived.is_some(), "{}", spec.name);
        }
        let texts = [
            "idle-timeout",
            "busy-poll",
            "buffer-size",
            "steal",
            "path",
            "shards",
        ];
        assert_eq!(
            texts.map(|name| Options::spec(name).unwrap().default_text()),
            ["75s", "auto", "16KiB", "on", "/mcp", "auto"]
        );
    }

    #[test]
    fn a_kind_fits_the_type_that_it_stands_beside() {
        for spec in Options::specs() {
            let is_switch = spec.kind == Kind::Switch;
            assert_eq!(is_switch, spec.value_name == "on|off", "{}", spec.name);
        }
    }

    #[test]
    fn what_a_program_sets_is_bounded_and_normalised() {
        let mut options = Options::default();
        options.endpoints.paths = vec!["/api/mcp/".to_owned()];
        options.access.hosts.add("MCP.example".to_owned());
        options.check().unwrap();
        assert_eq!(options.endpoints.paths, ["/api/mcp"]);
        assert_eq!(options.show("allow-host").as_deref(), Some("mcp.example"));

        options.machine.pool_size = Some(0);
        options.access.hosts.add("mcp.example".to_owned());
        options.timeouts.head = std::time::Duration::from_millis(9);
        let errors = options.check().unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "pool-size = 0 (from the program) is too small; the least is 1",
                "head-timeout = 9ms (from the program) is too small; the least is 10ms",
                "allow-host = mcp.example (from the program) is given twice; give it once",
            ]
        );
    }
}
