//! Reads a file of servers, as Claude Desktop, Claude Code, Cursor, VS Code and others write it.
//!
//! Keys that mean something only to those are ignored. A server that cannot be served is refused by name rather than
//! left out, because whoever wrote it expects it to be there: `"pool": {"skip": true}` leaves one out.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::command_line::NAME_BYTES_MAX;
use super::env_file;
use super::json::plain;
use super::keys::{ENV, read_object};
use super::pool::PoolSettings;
use super::server::ChildServer;
use super::variables::Variables;
use crate::config::error::{ConfigError, FilePlace};

/// What a file of servers refers to.
pub(super) struct Surroundings<'s> {
    /// The directory that the file is in.
    pub directory: &'s Path,
    /// The value of a variable of the environment.
    pub variable: &'s dyn Fn(&str) -> Option<String>,
    /// The settings of a pool, as far as the file does not say others.
    pub pool: &'s PoolSettings,
    /// The text of another file.
    pub read: &'s dyn Fn(&Path) -> io::Result<String>,
}

/// The parts of the file that are read.
#[derive(Deserialize)]
struct Servers {
    #[serde(rename = "mcpServers")]
    most: Option<Entries>,
    /// As VS Code has it.
    servers: Option<Entries>,
}

/// The entries of an object, in order; of a map the last one of a name would be left without a word.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a server for each name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The servers that a file names, in its order, without those that are switched off there. `path` is the name by which
/// the operator knows the file.
///
/// # Errors
/// Fails when the text is no JSON or names no servers, and with the reasons of every server that cannot be served.
pub(super) fn read_servers(
    path: &str,
    text: &str,
    around: &Surroundings<'_>,
) -> Result<Vec<ChildServer>, Vec<ConfigError>> {
    let plain = plain(text);
    let found: Servers = serde_json::from_str(&plain).map_err(|error| vec![not_json(path, text, &error)])?;
    if found.most.is_none() && found.servers.is_none() {
        return Err(vec![ConfigError::Impossible(format!(
            "{path} has neither `mcpServers` nor `servers`; write for example {{\"mcpServers\": {{\"time\": \
             {{\"command\": \"uvx\", \"args\": [\"mcp-server-time\"]}}}}}}"
        ))]);
    }
    let mut servers: Vec<ChildServer> = Vec::new();
    let mut errors = Vec::new();
    for (name, value) in [found.most, found.servers]
        .into_iter()
        .flatten()
        .flat_map(|entries| entries.0)
    {
        let refusals = match read_server(&name, &value, around) {
            Ok(None) => continue,
            Ok(Some(server)) if servers.iter().all(|known| known.name != name) => {
                servers.push(server);
                continue;
            }
            Ok(Some(_)) => vec!["the name is there twice; rename one of them".to_owned()],
            Err(refusals) => refusals,
        };
        errors.extend(refusals.into_iter().map(|reason| ConfigError::InServer {
            path: path.to_owned(),
            server: name.clone(),
            reason,
        }));
    }
    if errors.is_empty() {
        Ok(servers)
    } else {
        Err(errors)
    }
}

/// The parser's message, at its place in the file.
fn not_json(path: &str, text: &str, error: &serde_json::Error) -> ConfigError {
    let message = error.to_string();
    let reason = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(reason, _)| reason);
    let before: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let at = before + error.column().saturating_sub(1);
    let reason = reason.to_owned();
    ConfigError::NotJson { reason }.at(FilePlace::new(path, text, at..at + 1))
}

/// What is wrong with a server.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// The value, or a stand-in for one that is wrong.
    fn keep<T: Default>(&mut self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|fault| {
            self.0.push(fault);
            T::default()
        })
    }
}

/// One server; `None` if it is switched off.
fn read_server(
    name: &str,
    value: &Value,
    around: &Surroundings<'_>,
) -> Result<Option<ChildServer>, Vec<String>> {
    let entry = value
        .as_object()
        .ok_or_else(|| vec!["is not an object".to_owned()])?;
    let none = Map::new();
    let of_pool = match entry.get("pool") {
        None => &none,
        Some(Value::Object(pool)) => pool,
        Some(_) => return Err(vec!["`pool` is not an object".to_owned()]),
    };
    let is_true = |value: Option<&Value>| value == Some(&Value::Bool(true));
    if is_true(entry.get("disabled")) || is_true(of_pool.get("skip")) {
        return Ok(None);
    }
    let mut faults = Faults::default();
    faults.keep(check_name(name));
    faults.keep(check_kind(entry));
    let mut pool = around.pool.clone();
    faults
        .0
        .extend(read_object(&mut pool, of_pool).err().into_iter().flatten());
    let variables = Variables {
        lookup: around.variable,
        workspace: workspace(around.directory),
    };
    let reader = Reader {
        entry,
        variables: &variables,
        around,
    };
    let server = ChildServer {
        name: name.to_owned(),
        command: faults.keep(reader.text("command")).unwrap_or_default(),
        args: faults.keep(reader.args()),
        env: faults.keep(reader.environment(of_pool)),
        cwd: faults
            .keep(reader.text("cwd"))
            .map(|cwd| variables.workspace.join(cwd)),
        pool,
    };
    if faults.0.is_empty() && server.command.is_empty() {
        faults.0.push("has no `command`".to_owned());
    }
    if faults.0.is_empty() {
        Ok(Some(server))
    } else {
        Err(faults.0)
    }
}

/// Names are parts of paths.
fn check_name(name: &str) -> Result<(), String> {
    let is_bad = |c: char| c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '%');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(is_bad) || matches!(name, "." | "..") {
        return Err(format!(
            "the name cannot be part of a path; write 1 to {NAME_BYTES_MAX} characters without / \\ ? # %"
        ));
    }
    Ok(())
}

/// Refuses what is no program on this machine.
fn check_kind(entry: &Map<String, Value>) -> Result<(), String> {
    const ADDRESSES: [&str; 3] = ["url", "serverUrl", "httpUrl"];
    const SKIP: &str = "remove it, or leave it out with `\"pool\": {\"skip\": true}`";
    if let Some(address) = ADDRESSES.iter().find(|address| entry.contains_key(**address)) {
        return Err(format!(
            "has a `{address}`, so it runs elsewhere, and only programs are started; {SKIP}"
        ));
    }
    match entry.get("type") {
        None => Ok(()),
        Some(kind) if kind == "stdio" => Ok(()),
        Some(kind) => Err(format!("is of type {kind}, and only `stdio` is served; {SKIP}")),
    }
}

/// The folder that a file is for: editors keep it in a folder of their own below that.
fn workspace(directory: &Path) -> &Path {
    const EDITORS: [&str; 4] = [".claude", ".cursor", ".gemini", ".vscode"];
    let name = directory.file_name().and_then(|name| name.to_str());
    let is_editors = name.is_some_and(|name| EDITORS.contains(&name));
    directory.parent().filter(|_| is_editors).unwrap_or(directory)
}

/// Reads the parts of a server's entry.
struct Reader<'r> {
    entry: &'r Map<String, Value>,
    variables: &'r Variables<'r>,
    around: &'r Surroundings<'r>,
}

impl Reader<'_> {
    /// A text, with its variables.
    fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.entry.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => self.expand(key, text).map(Some),
            Some(_) => Err(format!("`{key}` is not a text")),
        }
    }

    fn expand(&self, key: &str, text: &str) -> Result<String, String> {
        let expanded = self
            .variables
            .expand(text)
            .map_err(|reason| format!("`{key}` {reason}"))?;
        if expanded.contains('\0') {
            return Err(format!(
                "`{key}` has a NUL character, which no program can be given"
            ));
        }
        Ok(expanded)
    }

    fn args(&self) -> Result<Vec<String>, String> {
        let items = match self.entry.get("args") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err("`args` is not a list".to_owned()),
        };
        let text = |item: &Value| {
            item.as_str()
                .map(str::to_owned)
                .ok_or("`args` has what is not a text")
        };
        items
            .iter()
            .map(|item| self.expand("args", &text(item)?))
            .collect()
    }

    /// The variables of `envFile`, then those of `env`, then those of the pool's `env`: the later are stronger.
    fn environment(&self, of_pool: &Map<String, Value>) -> Result<BTreeMap<String, Option<String>>, String> {
        let mut environment = BTreeMap::new();
        if let Some(file) = self.text("envFile")? {
            let path: PathBuf = self.variables.workspace.join(file);
            let text = (self.around.read)(&path)
                .map_err(|error| format!("`envFile` {} cannot be read: {error}", path.display()))?;
            let variables =
                env_file::parse(&text).map_err(|reason| format!("`envFile` {}: {reason}", path.display()))?;
            environment.extend(variables.into_iter().map(|(name, value)| (name, Some(value))));
        }
        for variables in [self.entry.get(ENV), of_pool.get(ENV)].into_iter().flatten() {
            self.insert_variables(&mut environment, variables)?;
        }
        Ok(environment)
    }

    fn insert_variables(
        &self,
        environment: &mut BTreeMap<String, Option<String>>,
        variables: &Value,
    ) -> Result<(), String> {
        let variables = match variables {
            Value::Object(variables) => variables,
            Value::Null => return Ok(()),
            _ => return Err("`env` is not an object".to_owned()),
        };
        for (name, value) in variables {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(format!("`env` has {name:?}, which is not the name of a variable"));
            }
            let key = format!("env.{name}");
            let value = match value {
                Value::String(text) => Some(self.expand(&key, text)?),
                // How VS Code keeps a variable from being inherited.
                Value::Null => None,
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                Value::Array(_) | Value::Object(_) => return Err(format!("`{key}` is not a text")),
            };
            environment.insert(name.clone(), value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
