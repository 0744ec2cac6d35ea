use super::*;
use crate::config::children::pool::PoolMode;

fn read_in(directory: &str, text: &str) -> Result<Vec<ChildServer>, Vec<ConfigError>> {
    let variable = |name: &str| match name {
        "TOKEN" => Some("t0".to_owned()),
        "HOME" => Some("/home/me".to_owned()),
        _ => None,
    };
    let read = |path: &Path| match path.to_str() {
        Some("/work/project/.env") => Ok("A=file\nB=file\n".to_owned()),
        Some("/work/project/broken.env") => Ok("nothing\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let around = Surroundings {
        directory: Path::new(directory),
        variable: &variable,
        pool: &PoolSettings::default(),
        read: &read,
    };
    read_servers("mcp.json", text, &around)
}

fn read(text: &str) -> Vec<ChildServer> {
    read_in("/work/project", text).unwrap()
}

/// The messages about one server.
fn refusals(entry: &str) -> Vec<String> {
    let text = format!("{{\"mcpServers\": {{\"one\": {entry}}}}}");
    let errors = read_in("/work/project", &text).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn set(variables: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
    let owned = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
    variables.iter().map(owned).collect()
}

#[test]
fn claude_desktop() {
    let servers = read(
        r#"{
            "globalShortcut": "",
            "mcpServers": {
                "filesystem": {
                    "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"]
                },
                "brave search": {
                    "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-brave-search"],
                    "env": {"BRAVE_API_KEY": "key"}
                }
            }
        }"#,
    );
    assert_eq!(servers.len(), 2);
    assert_eq!(
        (servers[0].name.as_str(), servers[0].command.as_str()),
        ("filesystem", "npx")
    );
    assert_eq!(servers[0].args.len(), 3);
    assert_eq!(servers[1].name, "brave search");
    assert_eq!(servers[1].env, set(&[("BRAVE_API_KEY", Some("key"))]));
    assert_eq!(servers[1].pool, PoolSettings::default());
}

#[test]
fn claude_code() {
    let servers = read(
        r#"{
            "mcpServers": {
                "db": {
                    "type": "stdio",
                    "command": "${HOME}/bin/db",
                    "args": ["--dsn", "${DSN:-postgres://localhost/db}"],
                    "env": {"TOKEN": "${TOKEN}", "CACHE": "${CACHE:-}"},
                    "timeout": 600000, "alwaysLoad": true
                },
                "remote": {"type": "http", "url": "https://example.org/mcp", "pool": {"skip": true}}
            }
        }"#,
    );
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].command, "/home/me/bin/db");
    assert_eq!(servers[0].args, ["--dsn", "postgres://localhost/db"]);
    assert_eq!(servers[0].env, set(&[("CACHE", Some("")), ("TOKEN", Some("t0"))]));
}

#[test]
fn cursor() {
    let text = r#"{
        "mcpServers": {
            "local": {
                "type": "stdio",
                "command": "python",
                "args": ["${workspaceFolder}/tools/mcp_server.py"],
                "envFile": "${workspaceFolder}/.env",
                "env": {"B": "${env:TOKEN}", "HOME_DIR": "${userHome}"}
            },
            "off": {"command": "x", "disabled": true}
        }
    }"#;
    let servers = read_in("/work/project/.cursor", text).unwrap();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].args, ["/work/project/tools/mcp_server.py"]);
    let expected = set(&[
        ("A", Some("file")),
        ("B", Some("t0")),
        ("HOME_DIR", Some("/home/me")),
    ]);
    assert_eq!(servers[0].env, expected);
}

#[test]
fn vs_code() {
    let text = "\u{feff}{
        // Asked once.
        \"inputs\": [{\"type\": \"promptString\", \"id\": \"key\", \"description\": \"Key\", \"password\": true}],
        \"servers\": {
            /* A server of ours. */
            \"playwright\": {
                \"type\": \"stdio\",
                \"command\": \"npx\",
                \"args\": [\"-y\", \"@microsoft/mcp-server-playwright\",],
                \"cwd\": \"sub\",
                \"env\": {\"PORT\": 8080, \"DEBUG\": true, \"NODE_ENV\": null},
                \"sandboxEnabled\": true,
                \"dev\": {\"watch\": \"src/**/*.ts\"},
                \"pool\": {\"mode\": \"shared\", \"max\": 4, \"env\": {\"PORT\": \"9\"}}
            },
        }
    }";
    let servers = read_in("/work/project/.vscode", text).unwrap();
    assert_eq!(servers[0].args, ["-y", "@microsoft/mcp-server-playwright"]);
    assert_eq!(servers[0].cwd.as_deref(), Some(Path::new("/work/project/sub")));
    assert_eq!(
        servers[0].env,
        set(&[("DEBUG", Some("true")), ("NODE_ENV", None), ("PORT", Some("9"))])
    );
    assert_eq!(
        (servers[0].pool.mode, servers[0].pool.max),
        (PoolMode::Shared, Some(4))
    );
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let cases = [
        (
            r#"{"url": "https://example.org"}"#,
            "mcp.json: server `one`: has a `url`",
        ),
        (r#"{"type": "sse", "command": "x"}"#, "is of type \"sse\""),
        (r#"{"args": []}"#, "has no `command`"),
        (r#"{"command": ""}"#, "has no `command`"),
        (r#"{"command": 7}"#, "`command` is not a text"),
        (r#"{"command": "x", "args": "y"}"#, "`args` is not a list"),
        (
            r#"{"command": "x", "args": [1]}"#,
            "`args` has what is not a text",
        ),
        (
            r#"{"command": "x", "args": ["${NO}"]}"#,
            "`args` needs `${NO}`, which is not set",
        ),
        (
            r#"{"command": "x", "env": {"K": "${input:key}"}}"#,
            "`env.K` asks its user for the input `key`",
        ),
        (
            r#"{"command": "x", "env": {"A=B": "1"}}"#,
            "not the name of a variable",
        ),
        (r#"{"command": "x", "env": {"A": []}}"#, "`env.A` is not a text"),
        (r#"{"command": "x", "env": "A=1"}"#, "`env` is not an object"),
        (r#"{"command": "x", "args": ["a\u0000"]}"#, "NUL character"),
        (
            r#"{"command": "x", "envFile": "no.env"}"#,
            "`envFile` /work/project/no.env cannot be read",
        ),
        (
            r#"{"command": "x", "envFile": "broken.env"}"#,
            "broken.env: line 1",
        ),
        (
            r#"{"command": "x", "pool": {"mdoe": "shared"}}"#,
            "did you mean `mode`?",
        ),
        (r#"{"command": "x", "pool": 7}"#, "`pool` is not an object"),
        (r#""npx""#, "is not an object"),
    ];
    for (entry, expected) in cases {
        let refusals = refusals(entry);
        assert!(refusals[0].contains(expected), "{entry}: {refusals:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let entry =
        r#"{"command": "${A}", "cwd": "${B}", "args": ["${C}"], "env": {"D": "${D}"}, "pool": {"max": 0}}"#;
    let told = refusals(entry).join("\n");
    for name in ["${A}", "${B}", "${C}", "${D}", "`max` = 0"] {
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn names_are_parts_of_paths_and_unique() {
    for name in ["", "a/b", "..", "a%20b", "a?b", &"x".repeat(65)] {
        let text = format!("{{\"mcpServers\": {{\"{name}\": {{\"command\": \"x\"}}}}}}");
        assert!(read_in("/", &text).is_err(), "{name}");
    }
    let twice = r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#;
    let across = r#"{"mcpServers": {"a": {"command": "x"}}, "servers": {"a": {"command": "y"}}}"#;
    for text in [twice, across] {
        assert!(
            read_in("/", text).unwrap_err()[0].to_string().contains("twice"),
            "{text}"
        );
    }
}

#[test]
fn other_texts_are_refused_with_their_place() {
    let errors = read_in(
        "/",
        "{\n  \"mcpServers\": {\n    \"a\": {\"command\" \"x\"}\n  }\n}",
    )
    .unwrap_err();
    let message = errors[0].to_string();
    assert!(
        message.starts_with("mcp.json:3:") && message.contains("not JSON: expected `:`"),
        "{message}"
    );
    assert_eq!(errors[0].excerpt().len(), 3);
    for text in [
        "",
        "[]",
        "{\"mcpServers\": []}",
        "{} x",
        "{\"mcpServers\": {\"a\": 1} // x",
    ] {
        assert!(read_in("/", text).is_err(), "{text}");
    }
    let empty = read_in("/", "{\"theme\": 1}").unwrap_err();
    assert!(
        empty[0]
            .to_string()
            .contains("neither `mcpServers` nor `servers`")
    );
    assert!(read("{\"mcpServers\": {}}").is_empty());
}
