//! A server's settings from code: an embedding program calls methods instead of passing flags.
//!
//! Every option of `weir serve` can be set, and means the same; options that programs set most have methods. The
//! builder reads no command line, no environment and no file. All settings are checked at once, when the server is
//! made.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use thiserror::Error;

#[cfg(feature = "cli")]
use crate::config::Inputs;
use crate::config::{
    AdminSettings, Around, ConfigError, Host, ListenAddress, Options, Settings, TransportKind, UnixName,
    named_servers, raise_soft_limits, settle_program,
};
use crate::mcp::Identity;
use crate::metrics::Report;
use crate::registry::Registry;
use crate::units::with_causes;

use super::cause::Cause;
use super::program::Program;
use super::running::Server;
use super::signals::Signals;
use super::start_error::StartError;
#[cfg(feature = "testing")]
use super::stepped::Stepped;
#[cfg(feature = "tokio")]
use crate::tokio_runtime::TokioRuntime;

/// Calls at one time, where everything is served in this process.
#[cfg(feature = "testing")]
const STEPPED_POOL_SIZE: u32 = 64;
/// Threads for blocking tools there.
#[cfg(feature = "testing")]
const STEPPED_THREADS: u32 = 4;

/// How often a running server is checked between signals.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Why an embedded server did not start, or did not end well.
///
/// Its `Debug` is its text, too, with the next step: so a `main` that returns it, by itself or in a box, tells whoever
/// starts the program `Error: cannot listen on 127.0.0.1:80: …` and no names of variants. [`RegistryError`] and
/// [`StartError`] do the same.
///
/// [`RegistryError`]: crate::RegistryError
#[derive(Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Settings are not possible; the list is never empty.
    #[error("{}", one_line(.0))]
    Settings(Vec<ConfigError>),
    /// The machine's resources cannot be read.
    #[error(transparent)]
    Host(Cause),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// SIGTERM and SIGINT cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// A second signal or the drain timeout cut off calls in flight; threads may be left behind.
    #[error("the drain was cut short; calls in flight are lost")]
    CutOff,
    /// A shard ended unexpectedly; the log says why.
    #[error("a shard has ended")]
    Broken,
}

impl fmt::Debug for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(self))
    }
}

fn one_line(errors: &[ConfigError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// A server that is not started yet. See [`Server::builder`].
///
/// ```
/// use std::time::Duration;
///
/// use weir::{Registry, Server};
///
/// let builder = Server::builder("greeter", "1.0.0")
///     .listen(([127, 0, 0, 1], 0).into())
///     .shards(1)
///     .pool_size(8)
///     .allow_host("greeter.example.com")
///     .configure(|options| options.queue.timeout = Duration::from_secs(2));
/// // What is set is checked when the server starts, all of it at once.
/// let refused = builder.pool_size(0).start(Registry::builder().build()).unwrap_err();
/// assert!(refused.to_string().starts_with("pool-size = 0 (from the program)"));
/// ```
///
/// The defaults are those of `weir serve`, except that the admin listener is off: an embedding program reads
/// [`Server::metrics`]. Options about toolsets, logs and the report at exit only concern `weir serve` and change
/// nothing here.
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing by itself"]
pub struct ServerBuilder {
    program: Program,
    options: Options,
    /// Whether the program has set the addresses.
    has_addresses: bool,
    /// Whether the program has set the paths.
    has_paths: bool,
    echoes_websocket: bool,
}

impl Server {
    /// A server of this name and version, both of which clients are told, with the default settings, to be changed and
    /// started.
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> ServerBuilder {
        ServerBuilder::new(name.into(), version.into())
    }
}

impl ServerBuilder {
    fn new(name: String, version: String) -> Self {
        let mut options = Options::default();
        options.endpoints.admin = AdminSettings::Off;
        Self {
            program: Program::new(Identity {
                name,
                version,
                title: None,
                instructions: None,
            }),
            options,
            has_addresses: false,
            has_paths: false,
            echoes_websocket: false,
        }
    }

    /// The server's name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.program.identity.title = Some(title.into());
        self
    }

    /// How models should use this server; clients may put it into their prompts.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.program.identity.instructions = Some(instructions.into());
        self
    }

    /// Serves the one client that started this process, on stdin and stdout, and listens nowhere. The server takes both
    /// away from the rest of the program when it starts: output of the program goes to stderr from then on. Once the
    /// client has closed its end, [`ServerBuilder::serve_until_signal`] returns, and [`Server::is_over`] is true.
    ///
    /// ```no_run
    /// use weir::{Registry, Server};
    ///
    /// let registry = Registry::builder().build();
    /// Server::builder("greeter", "1.0.0").stdio().serve_until_signal(registry, |_| ())?;
    /// # Ok::<(), weir::ServeError>(())
    /// ```
    pub fn stdio(mut self) -> Self {
        self.options.endpoints.transport = TransportKind::Stdio;
        self
    }

    /// The address to listen on, instead of 127.0.0.1:8080; port 0 takes a free one, which [`Server::address`]
    /// returns. An address that another process listens on is refused, unless `endpoints.shares_port` is set. May be
    /// called again for more.
    pub fn listen(self, address: SocketAddr) -> Self {
        self.listen_at(address.into())
    }

    /// The path of a Unix socket to listen on, instead of 127.0.0.1:8080, for processes of this machine. May be called
    /// again for more, as [`listen`](Self::listen) may.
    ///
    /// Only this process's user can connect, unless `endpoints.unix_mode` is set, and for each connection it is known
    /// which process of which user made it; `endpoints.unix_peers` says whose are served. A file that a killed process
    /// left is replaced; a path on which another process accepts is refused, unless `endpoints.shares_port` is set:
    /// then it is taken over.
    ///
    /// ```no_run
    /// use weir::options::UnixMode;
    /// use weir::{Registry, Server};
    ///
    /// Server::builder("greeter", "1.0.0")
    ///     .listen_unix("/run/greeter/mcp.sock")
    ///     .configure(|options| options.endpoints.unix_mode = UnixMode(0o660))
    ///     .serve_until_signal(Registry::builder().build(), |server| println!("serving on {}", server.url()))?;
    /// # Ok::<(), weir::ServeError>(())
    /// ```
    pub fn listen_unix(self, path: impl Into<PathBuf>) -> Self {
        self.listen_at(UnixName::Path(path.into()).into())
    }

    fn listen_at(mut self, address: ListenAddress) -> Self {
        if !self.has_addresses {
            self.options.endpoints.listen.clear();
            self.has_addresses = true;
        }
        self.options.endpoints.listen.push(address);
        self
    }

    /// A path to serve MCP on, instead of `/mcp`. May be called again for more; clients are pointed at the first.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        if !self.has_paths {
            self.options.endpoints.paths.clear();
            self.has_paths = true;
        }
        self.options.endpoints.paths.push(path.into());
        self
    }

    /// The address for health and metrics; by default they are off.
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.options.endpoints.admin = AdminSettings::At(address);
        self
    }

    /// The number of cores that serve; by default one per CPU.
    pub fn shards(mut self, count: u16) -> Self {
        self.options.machine.shards = Some(count.into());
        self
    }

    /// The number of calls in flight per shard; 256 by default.
    pub fn pool_size(mut self, handlers: u32) -> Self {
        self.options.machine.pool_size = Some(handlers);
        self
    }

    /// Serves this host name besides loopback ones: `host` or `host:port`. May be called again for more.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.options.access.hosts.add(host.into());
        self
    }

    /// Serves browser pages from this origin besides loopback ones: `scheme://host[:port]`. May be called again for
    /// more.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.options.access.origins.add(origin.into());
        self
    }

    /// Sets any option of `weir serve`: `configure(|options| options.workers.threads = Some(1))`.
    pub fn configure(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options);
        self
    }

    /// Sets the options that stand in a configuration file, as `weir serve --config` takes it, and then those of the
    /// environment (`WEIR_POOL_SIZE=64`). What is set before is the default, and what is set afterwards is stronger.
    ///
    /// ```no_run
    /// use weir::{Registry, Server};
    ///
    /// let mut log = None;
    /// Server::builder("greeter", "1.0.0")
    ///     .config_file("greeter.toml")?
    ///     .configure(|options| log = Some(weir::cli::init_logging(&options.output.log())))
    ///     .serve_until_signal(Registry::builder().build(), |server| println!("serving on {}", server.url()))?;
    /// # Ok::<(), weir::ServeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ServeError::Settings`] names all that cannot be read.
    #[cfg(feature = "cli")]
    pub fn config_file(mut self, path: impl AsRef<str>) -> Result<Self, ServeError> {
        let mut inputs = Inputs::new();
        let mut errors = inputs.read_file(path.as_ref()).err().unwrap_or_default();
        errors.extend(inputs.read_environment());
        if errors.is_empty() {
            errors = self.options.read(&inputs);
        }
        for note in inputs.notes() {
            tracing::warn!("{note}");
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(ServeError::Settings(errors))
        }
    }

    /// Runs the tools of [`ToolBuilder::run_tokio`](crate::ToolBuilder::run_tokio) on this runtime, instead of on one
    /// of the server's own. It has to have threads (`Runtime::new` gives it some) and to outlive the server: calls that
    /// it drops fail.
    #[cfg(feature = "tokio")]
    pub fn tokio_runtime(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.program.lent = Some(std::sync::Arc::new(TokioRuntime::lent(runtime)));
        self
    }

    /// Makes WebSockets echo every message instead of serving it, for test suites that judge the framing.
    #[doc(hidden)]
    pub fn websocket_echo(mut self) -> Self {
        self.echoes_websocket = true;
        self
    }

    #[cfg(test)]
    pub(super) fn settings(&self) -> Result<Settings, ServeError> {
        self.settings_of(true)
    }

    /// The resulting settings on this machine, for a program that `has_own` things to serve, or has nothing but other
    /// programs. Raises the process's soft limits of descriptors and locked memory as far as they go. Notes on settings
    /// that may surprise go to the log.
    ///
    /// # Errors
    /// [`ServeError::Settings`] and [`ServeError::Host`].
    fn settings_of(&self, has_own: bool) -> Result<Settings, ServeError> {
        raise_soft_limits();
        let host = Host::read().map_err(|error| ServeError::Host(Cause::new(error)))?;
        let children = Around::this_process(|around| named_servers(&self.options.children, &around));
        let children = children.map_err(ServeError::Settings)?;
        let mut options = self.options.clone();
        if !has_own {
            // As for the command, whose toolsets these are.
            options.toolsets.names.clear();
        }
        let (settings, notes) = settle_program(&options, children, &host).map_err(ServeError::Settings)?;
        for note in &notes {
            tracing::warn!("{note}");
        }
        Ok(Settings {
            echoes_websocket: self.echoes_websocket,
            ..settings
        })
    }

    /// Serves `registry` to clients in this process, without a network and by a clock of its own.
    ///
    /// # Errors
    /// Fails as [`ServerBuilder::start`] does.
    #[cfg(feature = "testing")]
    pub(crate) fn start_stepped(mut self, registry: Registry) -> Result<Stepped, ServeError> {
        // There is one shard, and no more calls at one time than a test makes unless it says so.
        self.options.machine.shards = Some(1);
        self.options.machine.pool_size.get_or_insert(STEPPED_POOL_SIZE);
        self.options.workers.threads.get_or_insert(STEPPED_THREADS);
        let settings = self.settings_of(true)?;
        Ok(Stepped::start(&self.program, &settings, registry)?)
    }

    /// Starts serving `registry`; returns once every shard accepts.
    ///
    /// # Errors
    /// Fails with [`ServeError::Settings`], [`ServeError::Host`] and [`ServeError::Start`].
    pub fn start(self, registry: Registry) -> Result<Server, ServeError> {
        let settings = self.settings_of(registry.has_own())?;
        Ok(Server::start_as(
            &self.program,
            &settings,
            registry,
            None,
            || false,
        )?)
    }

    /// Serves `registry` until SIGTERM or SIGINT, or until the one client of stdio has left, for a program that does
    /// nothing else; `on_start` runs once every shard accepts. The first signal drains, for as long as
    /// `run.drain_timeout` says; a second one, a quarter of a second after it or later, cuts the drain short. SIGHUP is
    /// ignored. Once this has returned, none of the three ends the process any more, so it should end by itself.
    ///
    /// ```no_run
    /// use weir::{Registry, Server};
    ///
    /// let report = Server::builder("greeter", "1.0.0")
    ///     .title("Greeter")
    ///     .instructions("Greet people by the names they give.")
    ///     .listen(([127, 0, 0, 1], 8080).into())
    ///     .serve_until_signal(Registry::builder().build(), |server| println!("serving on {}", server.url()))?;
    /// println!("{}", report.to_text());
    /// # Ok::<(), weir::ServeError>(())
    /// ```
    ///
    /// # Errors
    /// Fails like [`ServerBuilder::start`], and with [`ServeError::Signals`], [`ServeError::CutOff`] and
    /// [`ServeError::Broken`].
    pub fn serve_until_signal(
        self,
        registry: Registry,
        on_start: impl FnOnce(&Server),
    ) -> Result<Report, ServeError> {
        let settings = self.settings_of(registry.has_own())?;
        // Signals are listened to before anybody can know that the server runs, and so tell it to stop.
        let signals = Signals::listen(&[SIGTERM, SIGINT]).map_err(ServeError::Signals)?;
        let wake_on_drop = Some(signals.wake_on_drop());
        let is_stopped = || signals.is_stop_waiting();
        let server = Server::start_as(&self.program, &settings, registry, wake_on_drop, is_stopped)?;
        on_start(&server);
        while signals.next(LOOK_INTERVAL).is_none() && !server.is_broken() && !server.is_over() {}
        let was_broken = server.is_broken();
        let drained = server.drain(settings.run.drain_timeout, |patience| {
            signals.is_stop_within(patience)
        });
        if was_broken {
            Err(ServeError::Broken)
        } else if !drained.is_clean {
            Err(ServeError::CutOff)
        } else {
            Ok(drained.report)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AllowList;

    /// A file that is removed when the test ends.
    #[cfg(feature = "cli")]
    struct File(std::path::PathBuf);

    #[cfg(feature = "cli")]
    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("weir-builder-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    #[cfg(feature = "cli")]
    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn a_program_may_have_a_configuration_file() {
        let file = File::new(
            "good.toml",
            "listen = '127.0.0.1:0'\npool-size = 7\nqueue-timeout = '2s'\n",
        );
        let builder = Server::builder("test", "1").shards(1).pool_size(3);
        let settings = builder
            .config_file(file.path())
            .unwrap()
            .path("/api")
            .settings()
            .unwrap();
        assert_eq!((settings.shards.len(), settings.sizes.handlers), (1, 7));
        assert_eq!(settings.queue.agent_timeout(), Duration::from_secs(2));
        assert_eq!(settings.endpoints.paths, ["/api"]);

        let refused = |path: &str| {
            let refused = Server::builder("test", "1").config_file(path);
            refused.unwrap_err().to_string()
        };
        let file = File::new("bad.toml", "pool_size = 7\n");
        assert!(
            refused(file.path()).contains("bad.toml:1:1: unknown key `pool_size`; did you mean `pool-size`?")
        );
        let file = File::new("worse.toml", "pool-size = 7\nqueue-timeout = 'soon'\n");
        assert!(
            refused(file.path()).contains("worse.toml:2:17: queue-timeout = soon"),
            "{}",
            refused(file.path())
        );
        assert!(refused("/nowhere/at.toml").contains("/nowhere/at.toml"));
    }

    #[test]
    fn what_a_program_says_is_what_a_flag_would_mean() {
        let settings = Server::builder("test", "1")
            .listen(([127, 0, 0, 1], 0).into())
            .shards(1)
            .pool_size(4)
            .pool_size(3)
            .path("/")
            .path("/api/mcp/")
            .allow_host("a.example")
            .allow_host("b.example:81")
            .configure(|options| options.queue.timeout = Duration::from_secs(2))
            .settings()
            .unwrap();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        assert_eq!(settings.endpoints.listen, [address.into()]);
        assert_eq!(settings.endpoints.admin, AdminSettings::Off);
        assert_eq!((settings.shards.len(), settings.sizes.handlers), (1, 3));
        let hosts = ["a.example", "b.example:81"].map(str::to_owned).to_vec();
        assert_eq!(settings.access.hosts, AllowList::Only(hosts));
        assert_eq!(settings.endpoints.paths, ["/", "/api/mcp"]);
        assert_eq!(settings.queue.agent_timeout(), Duration::from_secs(2));
    }

    #[test]
    fn children_get_the_cpus_of_a_program_that_serves_nothing_else() {
        let builder = Server::builder("test", "1").configure(|options| {
            options.children.stdio = Some("thing".to_owned());
            options.children.pool = Some("mode=shared".to_owned());
        });
        let shards = |has_own| builder.settings_of(has_own).unwrap().shards.len();
        let all = shards(true);
        assert_eq!(shards(false), (all / 4).max(1));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let refused = |builder: ServerBuilder| builder.settings().unwrap_err().to_string();
        let builder = Server::builder("test", "1");
        let text = refused(
            builder
                .pool_size(0)
                .configure(|options| options.queue.timeout = Duration::from_millis(2)),
        );
        assert!(text.contains("pool-size = 0 (from the program)"), "{text}");
        assert!(text.contains("queue-timeout = 2ms (from the program)"), "{text}");
    }
}
