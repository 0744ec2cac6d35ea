//! Which calls of other programs become tasks.

use super::*;
use crate::mcp::TaskTerms;

const NAMES: [&str; 4] = ["unsaid", "optional", "required", "forbidden"];
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A program whose tools say of tasks what their names say.
fn speaking() -> ForeignServer {
    let tool = |name: &&str| {
        let execution = match *name {
            "unsaid" => String::new(),
            support => format!(r#","execution":{{"taskSupport":"{support}"}}"#),
        };
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}{execution}}}"#)
    };
    let tools: Vec<String> = NAMES.iter().map(tool).collect();
    let texts: Vec<&str> = tools.iter().map(String::as_str).collect();
    let mut program = program(0, "a");
    program.tools = items("name", &texts);
    program
}

impl Server {
    /// Whether a call becomes a task, or the code with which it is refused.
    fn makes_task(&mut self, revision: Revision, name: &str, asks: bool, knows: bool) -> Result<bool, i64> {
        let mut params = json!({"name": name});
        if asks {
            params["task"] = json!({"ttl": 5});
        }
        let (headers, body) = match revision.era() {
            Era::Legacy => (
                vec![("mcp-protocol-version", revision.as_str())],
                request(1, "tools/call", params),
            ),
            Era::Modern => {
                let body = modern_body("tools/call", params);
                let mut body: Value = serde_json::from_str(&body).unwrap();
                if knows {
                    let capabilities = json!({"extensions": {EXTENSION: {}}});
                    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
                }
                (modern_headers("tools/call", name), body)
            }
        };
        let (body, mut out) = (body.to_string(), Vec::new());
        let step = self.protocol.decode(
            &request_context(&headers),
            body.as_bytes(),
            &mut self.scratch,
            &self.state,
            &mut out,
        );
        match step {
            Step::Work(work) => {
                let ttl = asks.then_some(std::time::Duration::from_millis(5));
                let ttl = ttl.filter(|_| revision.era() == Era::Legacy);
                assert!(work.task().is_none_or(|terms| terms == TaskTerms { ttl }));
                assert_eq!(work.ticket().is_task(), work.task().is_some());
                Ok(work.task().is_some())
            }
            Step::Reply(_) => {
                let answer: Value = serde_json::from_slice(&out).unwrap();
                Err(answer["error"]["code"].as_i64().unwrap())
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_client_may_ask_for_a_task_of_whatever_its_program_says_nothing_of() {
    let mut server = only(speaking());
    let newest = Revision::V2025_11_25;
    for (name, plain, asked) in [
        ("unsaid", Ok(false), Ok(true)),
        ("optional", Ok(false), Ok(true)),
        ("required", Err(-32601), Ok(true)),
        ("forbidden", Ok(false), Err(-32601)),
    ] {
        assert_eq!(server.makes_task(newest, name, false, false), plain, "{name}");
        assert_eq!(server.makes_task(newest, name, true, false), asked, "{name}");
        // Who knows no tasks waits, whatever the program says.
        for revision in Revision::ALL.into_iter().filter(|revision| *revision < newest) {
            for asks in [false, true] {
                assert_eq!(
                    server.makes_task(revision, name, asks, false),
                    Ok(false),
                    "{name}"
                );
            }
        }
    }
}

/// Where the server decides, a tool whose program says nothing of tasks is not made slow by them.
#[test]
fn modern_clients_get_tasks_of_tools_that_speak_of_them() {
    let mut server = only(speaking());
    for (name, is_task) in [
        ("unsaid", false),
        ("optional", true),
        ("required", true),
        ("forbidden", false),
    ] {
        for asks in [false, true] {
            let modern = Revision::V2026_07_28;
            assert_eq!(server.makes_task(modern, name, asks, true), Ok(is_task), "{name}");
            assert_eq!(server.makes_task(modern, name, asks, false), Ok(false), "{name}");
        }
    }
}

#[test]
fn tasks_are_declared_to_clients_who_can_have_them() {
    let tasks = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
    let silent = || {
        let mut program = speaking();
        program.tools.truncate(1);
        program
    };
    let unknown = || ForeignServer::unknown(ServerIndex(0), "a");
    for (program, extensions) in [
        (speaking(), json!({EXTENSION: {}})),
        (silent(), Value::Null),
        (unknown(), Value::Null),
    ] {
        let mut server = only(program);
        for revision in Revision::ALL {
            let declared = match revision.era() {
                Era::Modern => server.modern("server/discover", json!({})),
                Era::Legacy => {
                    let client = json!({"name": "t", "version": "1"});
                    let params = json!({"protocolVersion": revision.as_str(), "capabilities": {}, "clientInfo": client});
                    server.legacy(revision, "initialize", params)
                }
            };
            let declared = &declared.body["result"]["capabilities"];
            let is_asked = revision == Revision::V2025_11_25;
            let expected = if is_asked { tasks.clone() } else { Value::Null };
            assert_eq!(declared["tasks"], expected, "{revision:?}");
            let is_modern = revision.era() == Era::Modern;
            let expected = if is_modern {
                extensions.clone()
            } else {
                Value::Null
            };
            assert_eq!(declared["extensions"], expected, "{revision:?}");
        }
    }
}
