//! Which server is asked, and what: the flags that commands which make load have in common.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args};
use serde_json::Value;

use super::terminal::{EXIT_USAGE, print_error};
use crate::load::{Call, Discovered, Endpoint, Expectation, Listed, ResultSchema, Template, program, target};
use crate::mcp::{Era, Revision};
use crate::registry::param_headers;
use crate::units::parse_duration;

/// The tool that is called where none is named, and its arguments.
const ECHO: &str = "echo";
const ECHO_ARGUMENTS: &str = r#"{"message":"hello"}"#;

/// A call of a tool, and its name as the user wrote it, perhaps with a weight.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    written: String,
    call: Call,
}

/// Why nothing can be asked.
pub(super) enum Unasked {
    /// The flags say what cannot be.
    Usage(String),
    /// The server is not there, or not as the flags say.
    Server(String),
}

impl Unasked {
    /// Says it, and gives the exit status.
    pub(super) fn refuse(&self) -> ExitCode {
        let (error, status) = match self {
            Unasked::Usage(error) => (error, ExitCode::from(EXIT_USAGE)),
            Unasked::Server(error) => (error, ExitCode::FAILURE),
        };
        print_error(error);
        status
    }
}

/// Flags.
#[derive(Args, Debug)]
pub(super) struct Asked {
    /// The server: http://HOST:PORT/mcp, ws://HOST:PORT/mcp, unix:PATH or unix:@NAME
    #[arg(value_name = "URL", conflicts_with = "stdio")]
    pub(super) url: Option<String>,
    /// A server on stdio instead, one process for each client
    #[arg(long, value_name = "COMMAND")]
    pub(super) stdio: Option<String>,
    /// The path of requests over a Unix socket [default: /mcp]
    #[arg(long)]
    pub(super) path: Option<String>,
    /// A tool to call; several with weights (`--tool fast=9 --tool slow=1`) are called as often as those say. Without
    /// any it is `echo`
    #[arg(long, value_name = "NAME[=WEIGHT]")]
    pub(super) tool: Vec<String>,
    /// The arguments of the --tool before it, a JSON object, in which {{counter}}, {{random:LENGTH}},
    /// {{number:LEAST..MOST}} and {{line:FILE}} are filled in anew for every call
    #[arg(long, value_name = "JSON")]
    pub(super) args: Vec<String>,
    /// What results of the --tool before it must be: `error`, a JSON object that the result must contain, or the text
    /// of its first content
    #[arg(long, value_name = "TEXT|JSON")]
    pub(super) expect: Vec<String>,
    /// Checks no result against the output schema that its tool lists
    #[arg(long)]
    pub(super) no_schema: bool,
    /// The revision of MCP; without it the newest that the server speaks
    #[arg(long)]
    pub(super) revision: Option<String>,
    /// A further header line, `name: value`
    #[arg(long)]
    pub(super) header: Vec<String>,
    /// A bearer token
    #[arg(long)]
    pub(super) token: Option<String>,
    /// A request without an answer is given up after this
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
    /// Threads [default: one for each of --cpus, or one]
    #[arg(long)]
    pub(super) threads: Option<usize>,
    /// CPUs to run on
    #[arg(long, value_delimiter = ',')]
    pub(super) cpus: Vec<usize>,
    /// Decides everything that is random
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

impl Asked {
    /// The server, as the user wrote it.
    pub(super) fn place(&self) -> String {
        self.url
            .clone()
            .or_else(|| self.stdio.clone())
            .unwrap_or_default()
    }

    /// The revision that was named, if one was.
    ///
    /// # Errors
    /// Names those that there are.
    pub(super) fn revision(&self) -> Result<Option<Revision>, String> {
        let Some(name) = &self.revision else {
            return Ok(None);
        };
        let found = Revision::parse(name.as_bytes());
        let known = || Revision::ALL.map(Revision::as_str).join(", ");
        found
            .map(Some)
            .ok_or_else(|| format!("--revision {name} is unknown; there are {}", known()))
    }

    /// How the server is reached.
    ///
    /// # Errors
    /// Says what is wrong with the flags.
    pub(super) fn endpoint(&self) -> Result<Endpoint, String> {
        if let Some(command) = &self.stdio {
            return program(command);
        }
        let Some(url) = &self.url else {
            return Err("a URL is needed, or a program: --stdio COMMAND; see --help".to_owned());
        };
        let mut headers = self.header.clone();
        if let Some(wrong) = headers
            .iter()
            .find(|header| !header.contains(':') || header.contains(['\r', '\n']))
        {
            return Err(format!(
                "--header {wrong:?} is no header line; write `name: value`"
            ));
        }
        headers.extend(
            self.token
                .iter()
                .map(|token| format!("authorization: Bearer {token}")),
        );
        target(url, self.path.as_deref(), headers)
    }

    /// The tools that were named, with the arguments and expectations behind each.
    pub(super) fn named_calls(&self, matches: &ArgMatches) -> Result<Vec<Named>, String> {
        let places = |name: &str| matches.indices_of(name).into_iter().flatten().collect::<Vec<_>>();
        let tools = places("tool");
        // What stands before the first tool belongs to the one that is called without any.
        let mut calls = vec![named(ECHO, ECHO_ARGUMENTS)?];
        for tool in &self.tool {
            calls.push(named(tool, "{}")?);
        }
        let owner = |at: usize| tools.iter().filter(|tool| **tool < at).count();
        for (at, text) in places("args").into_iter().zip(&self.args) {
            calls[owner(at)].call.arguments = text.parse().map_err(|error| format!("--args {error}"))?;
        }
        for (at, text) in places("expect").into_iter().zip(&self.expect) {
            calls[owner(at)].call.expectation = expectation(text);
        }
        if tools.is_empty() {
            return Ok(calls);
        }
        let is_before = |name: &str| places(name).iter().any(|at| owner(*at) == 0);
        if is_before("args") || is_before("expect") {
            return Err("--args and --expect belong to the --tool before them".to_owned());
        }
        calls.remove(0);
        Ok(calls)
    }
}

fn named(tool: &str, arguments: &str) -> Result<Named, String> {
    let (name, weight) = match weighted(tool) {
        Some((name, weight)) => (name, weight),
        None => (tool, 1.0),
    };
    Ok(Named {
        written: tool.to_owned(),
        call: Call {
            tool: name.to_owned(),
            weight,
            arguments: arguments.parse::<Template>()?,
            expectation: Expectation::Result,
            output: None,
            params: Vec::new(),
        },
    })
}

/// A name and a weight, if it ends with one.
fn weighted(tool: &str) -> Option<(&str, f64)> {
    let (name, weight) = tool.rsplit_once('=')?;
    let weight = weight.parse::<f64>().ok()?;
    (weight.is_finite() && weight > 0.0).then_some((name, weight))
}

fn expectation(text: &str) -> Expectation {
    match serde_json::from_str::<Value>(text) {
        _ if text == "error" => Expectation::ToolError,
        Ok(value @ Value::Object(_)) => Expectation::Json(value),
        _ => Expectation::Text(text.to_owned()),
    }
}

/// The named calls, if the server has their tools, with what it lists of each. A server that lists none is spoken of,
/// and called all the same; so is a schema that nothing can be checked against.
///
/// # Errors
/// Says which tools it has.
pub(super) fn calls(
    named: Vec<Named>,
    found: &Discovered,
    has_checks: bool,
    tell: fn(&str),
) -> Result<Vec<Call>, String> {
    let tools = match &found.tools {
        Ok(tools) => tools,
        Err(reason) => {
            tell(&format!(
                "{} does not list its tools: {reason}; results are checked against no schema",
                found.server
            ));
            return Ok(named.into_iter().map(|named| named.call).collect());
        }
    };
    let mut calls = Vec::new();
    for Named { written, mut call } in named {
        // A name may have `=` in it, and even end as a weight does.
        if tools.iter().any(|tool| tool.name == written) {
            (call.tool, call.weight) = (written, 1.0);
        }
        let Some(listed) = tools.iter().find(|tool| tool.name == call.tool) else {
            return Err(unknown(found, &call, tools));
        };
        let revision = found.speaker.dialect.revision;
        // Output schemas came with this one.
        if has_checks && revision >= Revision::V2025_06_18 {
            call.output = output(listed).unwrap_or_else(|problem| {
                tell(&problem);
                None
            });
        }
        if revision.era() == Era::Modern {
            call.params = param_headers(&listed.input).unwrap_or_else(|problem| {
                let tool = &call.tool;
                tell(&format!(
                    "{tool}: {problem}; clients leave such a tool out, and no Mcp-Param is sent"
                ));
                Vec::new()
            });
        }
        calls.push(call);
    }
    Ok(calls)
}

fn unknown(found: &Discovered, call: &Call, tools: &[Listed]) -> String {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let tools = match &names[..] {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ")),
    };
    let weight = match call.tool.rsplit_once('=') {
        Some((_, weight)) => format!("; {weight:?} is no weight either, which is a number above 0"),
        None => String::new(),
    };
    format!(
        "{} has no tool `{}`{weight}; {tools}; say which to call: --tool NAME --args JSON",
        found.server, call.tool
    )
}

/// What results must fit.
fn output(listed: &Listed) -> Result<Option<Arc<ResultSchema>>, String> {
    let Some(schema) = &listed.output else {
        return Ok(None);
    };
    let compiled = ResultSchema::compile(schema).map_err(|problem| {
        let name = &listed.name;
        format!("{name}: its results are not checked against its output schema: {problem}")
    })?;
    Ok(Some(Arc::new(compiled)))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;
    use crate::load::{Dialect, Speaker};

    fn given(flags: &[&str]) -> (ArgMatches, Asked) {
        let command = Asked::augment_args(Command::new("test"));
        let line = ["test", "http://127.0.0.1:1/mcp"]
            .into_iter()
            .chain(flags.iter().copied());
        let matches = command.try_get_matches_from(line).unwrap();
        let asked = Asked::from_arg_matches(&matches).unwrap();
        (matches, asked)
    }

    fn named(flags: &[&str]) -> Result<Vec<Named>, String> {
        let (matches, asked) = given(flags);
        asked.named_calls(&matches)
    }

    /// The calls, of a server that does not say what it has.
    fn calls_of(flags: &[&str]) -> Vec<Call> {
        let found = found(Err("no".to_owned()), Revision::V2026_07_28);
        calls(named(flags).unwrap(), &found, true, |_| {}).unwrap()
    }

    #[test]
    fn a_name_may_have_an_equals_sign_in_it() {
        let tools = serde_json::json!([{"name": "a"}, {"name": "a=b"}, {"name": "a=3"}]);
        let found = found(Ok(tools), Revision::V2026_07_28);
        for (written, expected) in [
            ("a", Some(("a", 1.0))),
            ("a=2", Some(("a", 2.0))),
            ("a=b", Some(("a=b", 1.0))),
            ("a=b=2", Some(("a=b", 2.0))),
            ("a=3", Some(("a=3", 1.0))),
            ("a=3=0.5", Some(("a=3", 0.5))),
            ("a=x", None),
            ("a=-1", None),
        ] {
            let calls = calls(named(&["--tool", written]).unwrap(), &found, true, |_| {});
            match (calls, expected) {
                (Ok(calls), Some((tool, weight))) => {
                    assert_eq!(
                        (calls[0].tool.as_str(), calls[0].weight),
                        (tool, weight),
                        "{written}"
                    );
                }
                (Err(error), None) => assert!(error.contains("is no weight"), "{error}"),
                (other, _) => panic!("{written}: {other:?}"),
            }
        }
    }

    #[test]
    fn arguments_and_expectations_belong_to_the_tool_before_them() {
        let flags = [
            "--tool",
            "a=3",
            "--args",
            r#"{"x":1}"#,
            "--tool",
            "b",
            "--tool",
            "c",
            "--expect",
            "hi",
            "--args",
            "{}",
        ];
        let calls = calls_of(&flags);
        let facts: Vec<_> = calls
            .iter()
            .map(|call| (call.tool.as_str(), call.weight))
            .collect();
        assert_eq!(facts, [("a", 3.0), ("b", 1.0), ("c", 1.0)]);
        assert_eq!(calls[0].arguments, r#"{"x":1}"#.parse().unwrap());
        assert_eq!(calls[1].arguments, "{}".parse().unwrap());
        assert_eq!(calls[2].expectation, Expectation::Text("hi".to_owned()));
        let echo = calls_of(&["--args", r#"{"message":"x"}"#]);
        assert_eq!((echo.len(), echo[0].tool.as_str()), (1, ECHO));
        assert_eq!(echo[0].arguments, r#"{"message":"x"}"#.parse().unwrap());
        assert!(named(&["--args", "{}", "--tool", "a"]).is_err());
        assert!(named(&["--tool", "a", "--args", "[1]"]).is_err());
    }

    fn found(tools: Result<Value, String>, revision: Revision) -> Discovered {
        let endpoint = target("http://127.0.0.1:1/mcp", None, Vec::new()).unwrap();
        let dialect = Dialect { revision };
        let listed = |tools: Value| {
            let tools = tools.as_array().unwrap().iter();
            let tools = tools.map(|tool| Listed {
                name: tool["name"].as_str().unwrap().to_owned(),
                input: tool["input"].clone(),
                output: tool.get("output").cloned(),
            });
            tools.collect()
        };
        Discovered {
            speaker: Speaker { endpoint, dialect },
            server: "it".to_owned(),
            tools: tools.map(listed),
        }
    }

    #[test]
    fn calls_know_what_their_tools_list() {
        let tools = serde_json::json!([{
            "name": "a",
            "input": {"properties": {"x": {"type": "string", "x-mcp-header": "X"}}},
            "output": {"type": "object"},
        }, {
            "name": "b",
            "input": {"properties": {"x": {"type": "number", "x-mcp-header": "X"}}},
            "output": {"type": 3},
        }]);
        let both = || named(&["--tool", "a", "--tool", "b"]).unwrap();
        let facts = |revision, has_checks| {
            let calls = calls(both(), &found(Ok(tools.clone()), revision), has_checks, |_| {}).unwrap();
            [&calls[0], &calls[1]].map(|call| (call.output.is_some(), call.params.len()))
        };
        assert_eq!(facts(Revision::V2026_07_28, true), [(true, 1), (false, 0)]);
        assert_eq!(facts(Revision::V2026_07_28, false), [(false, 1), (false, 0)]);
        assert_eq!(facts(Revision::V2025_06_18, true), [(true, 0), (false, 0)]);
        assert_eq!(facts(Revision::V2025_03_26, true), [(false, 0), (false, 0)]);
        let found_all = found(Ok(tools), Revision::V2026_07_28);
        let error = calls(named(&["--tool", "c"]).unwrap(), &found_all, true, |_| {}).unwrap_err();
        assert!(error.contains("it has a, b;"), "{error}");
        let found = found(Err("no".to_owned()), Revision::V2026_07_28);
        assert_eq!(
            calls(both(), &found, true, |_| {}).unwrap(),
            calls_of(&["--tool", "a", "--tool", "b"])
        );
    }

    #[test]
    fn what_is_expected_is_read() {
        assert_eq!(expectation("error"), Expectation::ToolError);
        assert_eq!(
            expectation("{\"a\":1}"),
            Expectation::Json(serde_json::json!({"a": 1}))
        );
        assert_eq!(expectation("7"), Expectation::Text("7".to_owned()));
    }

    #[test]
    fn a_token_is_a_header_and_nonsense_is_none() {
        let (_, asked) = given(&["--token", "t"]);
        assert_eq!(asked.endpoint().unwrap().headers, ["authorization: Bearer t"]);
        let (_, asked) = given(&["--header", "nonsense"]);
        assert!(asked.endpoint().is_err());
        let (_, asked) = given(&["--revision", "1999-01-01"]);
        assert!(asked.revision().unwrap_err().contains("2026-07-28"));
    }
}
