//! A server that is another program.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::pool::{PoolSettings, Rlimit};
use crate::launcher::{Access, ChildSpec, Limits, ResourceLimit, User, resource_named};

/// Variables that a child gets of the server's own: those of the official clients, and what says how to write.
const INHERITED: [&str; 9] = [
    "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
];
/// So begin the other variables that say how to write.
const INHERITED_PREFIX: &str = "LC_";
/// Python keeps lines back that it writes to a pipe, unless this is set: its server would look dead.
const UNBUFFERED: (&str, &str) = ("PYTHONUNBUFFERED", "1");

/// A server that is another program, and its pool.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildServer {
    /// Its name, which is in paths, metrics and logs.
    pub name: String,
    /// The program: a path, or a name that is looked up in the child's `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables to set, and those (`None`) that are not to be inherited.
    pub env: BTreeMap<String, Option<String>>,
    /// Where it starts; `None` is where this program did.
    pub cwd: Option<PathBuf>,
    /// How many there are, and whom they serve.
    pub pool: PoolSettings,
}

impl ChildServer {
    /// What the paths of its own endpoint begin with: `/servers/` and its name, of which everything is escaped that a
    /// path cannot have as it is (RFC 3986, 3.3), and nothing else, as clients do it.
    pub fn path_base(&self) -> String {
        let mut base = String::from("/servers/");
        for byte in self.name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
                base.push(char::from(byte));
            } else {
                base.push_str(&format!("%{byte:02X}"));
            }
        }
        base
    }

    /// The whole environment of a child, from this program's own: HOME and its like, what the pool inherits, and what
    /// was set, which is stronger.
    pub fn environment(
        &self,
        own: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let is_inherited = |name: &OsStr| {
            let Some(name) = name.to_str() else {
                return self.inherits("*");
            };
            INHERITED.contains(&name)
                || name.starts_with(INHERITED_PREFIX)
                || self.inherits(name)
                || self.inherits("*")
        };
        let mut environment: BTreeMap<OsString, OsString> =
            own.into_iter().filter(|(name, _)| is_inherited(name)).collect();
        for (name, value) in &self.env {
            match value {
                Some(value) => drop(environment.insert(name.into(), value.into())),
                None => drop(environment.remove(OsStr::new(name))),
            }
        }
        let (name, value) = UNBUFFERED;
        if !self.env.contains_key(name) {
            environment.entry(name.into()).or_insert_with(|| value.into());
        }
        environment.into_iter().collect()
    }

    /// What the launcher is told to start, from this program's own environment. `user` is whom the pool's `user` names:
    /// names are looked up elsewhere.
    pub fn spec(&self, own: impl IntoIterator<Item = (OsString, OsString)>, user: Option<User>) -> ChildSpec {
        let limit = |(name, limit): (&String, &Rlimit)| {
            Some(ResourceLimit {
                resource: resource_named(name)?,
                soft: limit.soft,
                hard: limit.hard,
            })
        };
        ChildSpec {
            program: (&self.command).into(),
            args: self.args.iter().map(OsString::from).collect(),
            env: self.environment(own),
            cwd: self.cwd.clone(),
            limits: Limits {
                umask: None,
                rlimits: self.pool.rlimits.iter().filter_map(limit).collect(),
                rss_max: self.pool.rss_bytes_max,
                pids_max: self.pool.pids_max,
                user,
                access: Access {
                    read: self.pool.read.clone(),
                    write: self.pool.write.clone(),
                    tcp: self.pool.tcp.clone(),
                },
                cpus: Vec::new(),
            },
        }
    }

    fn inherits(&self, name: &str) -> bool {
        self.pool.inherit.iter().any(|inherited| inherited == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(server: &ChildServer, own: &[(&str, &str)]) -> Vec<String> {
        let own = own.iter().map(|(name, value)| (name.into(), value.into()));
        let environment = server.environment(own);
        let line = |(name, value): &(OsString, OsString)| {
            format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap())
        };
        environment.iter().map(line).collect()
    }

    #[test]
    fn the_launcher_is_told_everything() {
        let limit = Rlimit {
            soft: Some(64),
            hard: None,
        };
        let server = ChildServer {
            name: "a".to_owned(),
            command: "npx".to_owned(),
            args: vec!["-y".to_owned()],
            env: BTreeMap::from([("A".to_owned(), Some("1".to_owned()))]),
            cwd: Some("/tmp".into()),
            pool: PoolSettings {
                rss_bytes_max: Some(7),
                pids_max: Some(8),
                rlimits: BTreeMap::from([("nofile".to_owned(), limit)]),
                ..PoolSettings::default()
            },
        };
        let user = User { uid: 1, gid: 2 };
        let spec = server.spec([], Some(user));
        assert_eq!((spec.program, spec.args), ("npx".into(), vec!["-y".into()]));
        assert_eq!(spec.env.len(), 2);
        assert_eq!(spec.cwd, Some("/tmp".into()));
        let limits = spec.limits;
        assert_eq!(
            (limits.rss_max, limits.pids_max, limits.user),
            (Some(7), Some(8), Some(user))
        );
        assert_eq!((limits.rlimits[0].soft, limits.rlimits[0].hard), (Some(64), None));
    }

    #[test]
    fn a_child_gets_little_and_what_was_named() {
        let mut server = ChildServer {
            name: "a".to_owned(),
            command: "a".to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            pool: PoolSettings::default(),
        };
        let own = [
            ("HOME", "/root"),
            ("LC_ALL", "C"),
            ("PATH", "/bin"),
            ("SECRET", "x"),
            ("TOKEN", "y"),
        ];
        assert_eq!(
            environment(&server, &own),
            ["HOME=/root", "LC_ALL=C", "PATH=/bin", "PYTHONUNBUFFERED=1"]
        );
        server.pool.inherit = vec!["TOKEN".to_owned()];
        server.env.insert("HOME".to_owned(), None);
        server.env.insert("PATH".to_owned(), Some("/opt".to_owned()));
        server
            .env
            .insert("PYTHONUNBUFFERED".to_owned(), Some(String::new()));
        assert_eq!(
            environment(&server, &own),
            ["LC_ALL=C", "PATH=/opt", "PYTHONUNBUFFERED=", "TOKEN=y"]
        );
        server.pool.inherit = vec!["*".to_owned()];
        server.env.clear();
        assert_eq!(environment(&server, &own).len(), own.len() + 1);
    }
}
