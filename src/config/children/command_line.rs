//! A server of one command line.

use std::collections::BTreeMap;
use std::path::Path;

use super::pool::PoolSettings;
use super::server::ChildServer;

/// Programs that start what their first argument names, and the words before it.
const WRAPPERS: [&str; 12] = [
    "npx", "uvx", "bunx", "pnpx", "pipx", "uv", "pnpm", "bun", "yarn", "deno", "node", "npm",
];
/// Words of wrappers that say what to do with what follows.
const VERBS: [&str; 6] = ["run", "x", "dlx", "exec", "tool", "start"];
/// Bytes of a name.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// The server of a command line, split as a shell would. Its name is the program's, or that of what a wrapper such as
/// `npx` starts.
///
/// # Errors
/// Fails when there is no program, or a quote is not closed: the rest of a sentence about the line.
pub(super) fn server_of(line: &str) -> Result<ChildServer, String> {
    let words = shlex::split(line).ok_or("has a quote that is not closed, or ends in a backslash")?;
    let Some((command, args)) = words.split_first().filter(|(command, _)| !command.is_empty()) else {
        return Err(
            "has no program; write for example `npx -y @modelcontextprotocol/server-everything`".to_owned(),
        );
    };
    Ok(ChildServer {
        name: name_of(command, args),
        command: command.clone(),
        args: args.to_vec(),
        env: BTreeMap::new(),
        cwd: None,
        pool: PoolSettings::default(),
    })
}

/// The command line of words that are split already.
///
/// # Errors
/// Fails when a word has a NUL.
#[cfg(feature = "cli")]
pub fn joined(words: &[String]) -> Result<String, String> {
    shlex::try_join(words.iter().map(String::as_str)).map_err(|error| error.to_string())
}

/// `server-everything` for `npx -y @modelcontextprotocol/server-everything@1.0`, `run` for `./bin/run.sh`.
fn name_of(command: &str, args: &[String]) -> String {
    let own = stem(command);
    let is_wrapper = WRAPPERS.contains(&own.as_str()) || own.starts_with("python");
    let is_what = |arg: &&String| !arg.starts_with('-') && !VERBS.contains(&arg.as_str());
    let started = args.iter().find(is_what).filter(|_| is_wrapper);
    let name = started.map_or(own, |started| stem(without_version(started)));
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|c| if is_good(c) { c } else { '-' })
        .take(NAME_BYTES_MAX)
        .collect();
    if name.chars().any(|c| c.is_ascii_alphanumeric()) {
        name
    } else {
        "server".to_owned()
    }
}

/// A package without its version: `a@1`, `@a/b@1`, `a==1`.
fn without_version(package: &str) -> &str {
    let package = package.split_once("==").map_or(package, |(name, _)| name);
    match package.rsplit_once('@') {
        Some((name, _)) if !name.is_empty() => name,
        _ => package,
    }
}

/// The last part of a path, without what says in which language it is.
fn stem(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    let endings = [".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".rb"];
    let bare = endings.iter().find_map(|ending| name.strip_suffix(ending));
    bare.unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let server = server_of(line).unwrap();
        std::iter::once(server.command).chain(server.args).collect()
    }

    #[test]
    fn lines_are_split_as_a_shell_does() {
        assert_eq!(words("npx -y  server"), ["npx", "-y", "server"]);
        assert_eq!(
            words(r#"a "b c" 'd "e' f\ g "" $H *"#),
            ["a", "b c", "d \"e", "f g", "", "$H", "*"]
        );
        let split = ["a b".to_owned(), "c d".to_owned()];
        let server = server_of(&joined(&split).unwrap()).unwrap();
        assert_eq!((server.command.as_str(), &server.args[..]), ("a b", &split[1..]));
        for line in ["", " ", "a 'b", "a \"b", "a \\", "''"] {
            assert!(server_of(line).is_err(), "{line}");
        }
        assert!(server_of(&joined(&[]).unwrap()).is_err());
        let word = ["a b".to_owned()];
        assert_eq!(server_of(&joined(&word).unwrap()).unwrap().command, "a b");
    }

    #[test]
    fn servers_are_named_by_what_runs() {
        let cases = [
            ("/usr/bin/mcp-thing --flag x", "mcp-thing"),
            (
                "npx -y @modelcontextprotocol/server-everything",
                "server-everything",
            ),
            (
                "npx -y @modelcontextprotocol/server-everything@2026.8.31 stdio",
                "server-everything",
            ),
            ("uvx mcp-server-time==1.2", "mcp-server-time"),
            ("uv run --quiet server.py", "server"),
            ("pnpm dlx some-server@latest", "some-server"),
            ("node dist/index.js", "index"),
            ("python3 -m mcp_server", "mcp_server"),
            ("./bin/run.sh", "run"),
            ("npx", "npx"),
            ("'my server!'", "my-server-"),
            ("///", "server"),
        ];
        for (line, name) in cases {
            assert_eq!(server_of(line).unwrap().name, name, "{line}");
        }
    }
}
