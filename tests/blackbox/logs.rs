//! What reaches the log: one record, one line, nothing raw from a peer, no token.

use serde_json::{Value, json};

use crate::harness::{Dialect, Request, Server, case, eras};

#[test]
fn nothing_from_a_peer_reaches_the_log_raw() {
    let (mark, token) = ("FORGED-4e1b", "tok-b7d1f09c");
    for format in ["text", "json"] {
        let _case = case(format);
        let server = Server::start(&[
            "--log-level",
            "trace",
            "--log-format",
            format,
            "--toolset",
            "demo",
            "--toolset",
            "files",
        ]);
        for between in [
            "\r\n",
            "\n",
            "\r",
            "\u{1b}[31m",
            "\u{2028}",
            "\u{85}",
            "\0",
            "\u{202e}",
            "\u{9b}31m",
            "\u{2066}",
        ] {
            let hostile = format!("a{between}{mark}");
            for dialect in eras() {
                for request in [
                    dialect.request(1, &hostile, json!({})),
                    dialect.tool(1, &hostile, json!({})),
                    dialect.tool(1, "read_file", json!({"path": hostile})),
                    dialect.tool(1, "search", json!({"pattern": hostile, "glob": hostile})),
                    dialect.tool(1, "fail", json!({"how": hostile})),
                    dialect.notification(&hostile, json!({})),
                ] {
                    let request =
                        match between.is_ascii() && !between.starts_with(|c: char| c.is_ascii_control()) {
                            true => request,
                            false => request.with("Mcp-Method", "x").with("Mcp-Name", "x"),
                        };
                    let answered = server.ask(&request.plus("Authorization", format!("Bearer {token}")));
                    assert!(answered.status < 500, "{answered:?}");
                }
            }
            for field in [
                "User-Agent",
                "Host",
                "Origin",
                "Mcp-Session-Id",
                "Mcp-Name",
                "MCP-Protocol-Version",
                "Accept",
            ] {
                let request = Dialect::modern().echo(1, "x").with(field, &hostile);
                let answered = server.ask(&request.plus("Authorization", format!("Bearer {token}")));
                assert!(answered.status < 500, "{answered:?}");
            }
            let target = format!("/mcp?access_token={token}&x={}", hostile.escape_unicode());
            server.ask(&Request::new("GET", &target.replace(['{', '}', '\\'], "%")));
        }
        let said = server.stderr() + &server.stdout();
        assert!(!said.contains(token), "a token was logged");
        let raw = [
            '\u{1b}', '\0', '\r', '\u{2028}', '\u{85}', '\u{202e}', '\u{9b}', '\u{2066}',
        ];
        for line in said.lines() {
            assert!(!line.contains(raw) && !line.starts_with(mark), "{line:?}");
            let is_record = match format {
                "json" => serde_json::from_str::<Value>(line).is_ok(),
                _ => line.get(..2) == Some("20") && line.contains("Z "),
            };
            assert!(is_record, "{line:?}");
        }
    }
}
