//! The servers that the options name.

use std::path::Path;

use super::command_line::server_of;
use super::file::{Surroundings, read_servers};
use super::keys::read_pool;
use super::pool::PoolSettings;
use super::server::ChildServer;
use crate::config::around::Around;
use crate::config::error::ConfigError;
use crate::config::sections::ChildOptions;

/// The servers that the options name, those of a file in its order.
///
/// # Errors
/// Returns all that is wrong with the options, with the file, and with every server in it.
pub fn named_servers(
    options: &ChildOptions,
    around: &Around<'_>,
) -> Result<Vec<ChildServer>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let pool = pool(options, &mut errors);
    let mut servers = Vec::new();
    if let Some(line) = &options.stdio {
        match server_of(line) {
            Ok(server) => servers.push(ChildServer {
                pool: pool.clone(),
                ..server
            }),
            Err(reason) => errors.push(ConfigError::Impossible(format!("stdio = {line} {reason}"))),
        }
    }
    if let Some(path) = &options.mcp_json {
        match servers_of_file(path, &pool, around) {
            Ok(named) => servers.extend(named),
            Err(faults) => errors.extend(faults),
        }
    }
    if errors.is_empty() {
        Ok(servers)
    } else {
        Err(errors)
    }
}

/// What all servers have unless a file says otherwise.
fn pool(options: &ChildOptions, errors: &mut Vec<ConfigError>) -> PoolSettings {
    let mut pool = PoolSettings::default();
    let Some(text) = &options.pool else {
        return pool;
    };
    let mut refuse = |reason: &str| errors.push(ConfigError::Impossible(format!("pool: {reason}")));
    if options.stdio.is_none() && options.mcp_json.is_none() {
        refuse("there is no program to serve; name one with --stdio, or a file of them with --mcp-json");
    }
    let refusals = read_pool(&mut pool, text).err().unwrap_or_default();
    refusals.iter().for_each(|refusal| refuse(refusal));
    if pool.skip {
        refuse("`skip` leaves out one server of a file, and stands there");
    }
    pool
}

fn servers_of_file(
    path: &Path,
    pool: &PoolSettings,
    around: &Around<'_>,
) -> Result<Vec<ChildServer>, Vec<ConfigError>> {
    let shown = path.display().to_string();
    let whole = around.directory.join(path);
    let text = (around.read)(&whole).map_err(|error| {
        vec![ConfigError::FileUnreadable {
            path: shown.escape_debug().to_string(),
            reason: error.to_string(),
        }]
    })?;
    let surroundings = Surroundings {
        directory: whole.parent().unwrap_or(around.directory),
        variable: around.variable,
        pool,
        read: around.read,
    };
    let servers = read_servers(&shown, &text, &surroundings)?;
    if servers.is_empty() {
        return Err(vec![ConfigError::Impossible(format!(
            "{shown} has no server that is to be served; name one there, or drop --mcp-json"
        ))]);
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::config::children::pool::PoolMode;

    const FILE: &str = r#"{"mcpServers": {
        "time": {"command": "uvx", "args": ["mcp-server-time"]},
        "own": {"command": "${PLACE}/own", "cwd": "sub", "pool": {"max": 3, "mode": "call"}},
        "off": {"command": "no", "pool": {"skip": true}}
    }}"#;

    fn named(
        stdio: Option<&str>,
        pool: Option<&str>,
        file: Option<&str>,
    ) -> Result<Vec<ChildServer>, String> {
        let options = ChildOptions {
            stdio: stdio.map(str::to_owned),
            pool: pool.map(str::to_owned),
            mcp_json: file.map(PathBuf::from),
            starts_max: 2,
            flight_recorder: None,
        };
        let around = Around {
            directory: Path::new("/work"),
            variable: &|name| (name == "PLACE").then(|| "/opt".to_owned()),
            read: &|path| match path.to_str() {
                Some("/work/servers.json") => Ok(FILE.to_owned()),
                Some("/work/none.json") => Ok(r#"{"servers": {}}"#.to_owned()),
                _ => Err(io::Error::other("no such file")),
            },
        };
        named_servers(&options, &around).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            texts.join("\n")
        })
    }

    #[test]
    fn a_command_line_has_the_settings_that_stand_beside_it() {
        assert_eq!(named(None, None, None), Ok(Vec::new()));
        let servers = named(Some("npx -y 'a b'"), Some("mode=shared,max=2"), None).unwrap();
        assert_eq!(servers.len(), 1);
        assert_eq!(servers[0].args, ["-y", "a b"]);
        assert_eq!(
            (servers[0].pool.mode, servers[0].pool.max),
            (PoolMode::Shared, Some(2))
        );
    }

    #[test]
    fn a_files_own_settings_are_stronger_than_those_beside_it() {
        let servers = named(None, Some("mode=shared,max=2"), Some("servers.json")).unwrap();
        let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["time", "own"]);
        assert_eq!(
            (servers[0].pool.mode, servers[0].pool.max),
            (PoolMode::Shared, Some(2))
        );
        assert_eq!(
            (servers[1].pool.mode, servers[1].pool.max),
            (PoolMode::Call, Some(3))
        );
        assert_eq!(servers[1].command, "/opt/own");
        assert_eq!(servers[1].cwd.as_deref(), Some(Path::new("/work/sub")));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_all_else() {
        let refused = |stdio, pool, file| named(stdio, pool, file).unwrap_err();
        assert!(refused(None, Some("max=1"), None).starts_with("pool: there is no program to serve"));
        let both = refused(Some("a 'b"), Some("max=0"), Some("missing.json"));
        for part in [
            "stdio = a 'b has a quote that is not closed",
            "pool: `max` = 0 is not possible",
            "cannot read missing.json: no such file",
        ] {
            assert!(both.contains(part), "{both}");
        }
        assert!(refused(Some("a"), Some("skip=on"), None).contains("`skip` leaves out one server"));
        assert!(refused(None, None, Some("none.json")).contains("none.json has no server"));
    }
}
