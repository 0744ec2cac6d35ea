//! What an operator says of single tools: `NAME:KEY=VALUE,…`, and several of these with commas between them.
//!
//! Names of tools have neither commas nor colons, so a part with a colon begins the next tool, wherever a text was
//! split. Whether there are such tools turns out when they are registered.

use std::time::Duration;

use super::error::ConfigError;
use super::field::{Field, Refusal, Value};
use super::kind::{DEADLINE, HANDLERS_MAX, Kind};
use super::nearest::nearest;
use crate::units::display_duration;

/// What an operator says of one tool, whatever its author says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolOverride {
    /// The tool.
    pub name: String,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// How many calls may be in flight at once, over all shards.
    pub concurrency: Option<u32>,
    /// How many calls may wait for that.
    pub queue: Option<u32>,
}

impl ToolOverride {
    /// Nothing yet, of the tool of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// What an operator says of tools, each of which is named once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolOverrides(pub Vec<ToolOverride>);

/// What a registered tool has to do with what an operator says of it.
#[derive(Debug, Clone, Copy)]
pub struct KnownTool<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether its author has limited how many of its calls are in flight.
    pub is_limited: bool,
}

const CALLS: Kind = Kind::Count {
    min: 1,
    max: HANDLERS_MAX,
};
const WAITING: Kind = Kind::Count {
    min: 0,
    max: 1_000_000,
};
const KEYS: [&str; 3] = ["concurrency", "queue", "timeout"];
const EXAMPLE: &str = "write for example `search:concurrency=4,timeout=5s`";
/// The longest name of a tool (MCP, Tools: tool names).
const NAME_BYTES_MAX: usize = 128;

impl ToolOverrides {
    /// What is said of the tool of this name.
    pub fn of(&self, name: &str) -> Option<&ToolOverride> {
        self.0.iter().find(|tool| tool.name == name)
    }

    /// Checks that each of them is of a tool that there is, and means something. `has_children` if other programs are
    /// served, whose tools these are not for.
    ///
    /// # Errors
    /// Names the first that does not, and what was probably meant.
    pub fn check_names(&self, known: &[KnownTool<'_>], has_children: bool) -> Result<(), ConfigError> {
        for tool in &self.0 {
            let Some(found) = known.iter().find(|known| known.name == tool.name) else {
                return Err(self.unknown(tool, known, has_children));
            };
            if tool.queue.is_some() && tool.concurrency.is_none() && !found.is_limited {
                return Err(ConfigError::Impossible(format!(
                    "tool = {}: `queue` is how many calls wait for `concurrency`, which this tool does not have; add it",
                    show(tool)
                )));
            }
        }
        Ok(())
    }

    fn unknown(&self, tool: &ToolOverride, known: &[KnownTool<'_>], has_children: bool) -> ConfigError {
        // Words are told apart by dashes there.
        let names: Vec<String> = known.iter().map(|known| known.name.replace('_', "-")).collect();
        let meant = nearest(&tool.name, names.iter().map(String::as_str));
        let meant = meant.and_then(|meant| names.iter().position(|name| name == meant));
        let next = match (meant, has_children) {
            (Some(at), _) => format!("did you mean `{}`?", known[at].name),
            (None, true) => {
                "tools of other programs have the limits of their pool: `max_in_flight`, `queue_depth` and \
                             `call_timeout`"
                    .to_owned()
            }
            (None, false) if known.is_empty() => "there is none".to_owned(),
            (None, false) => {
                let names: Vec<&str> = known.iter().map(|known| known.name).collect();
                format!("there are {}", names.join(", "))
            }
        };
        ConfigError::Impossible(format!(
            "tool = {}: this process has no tool `{}`; {next}",
            show(tool),
            tool.name
        ))
    }
}

impl Field for ToolOverrides {
    fn show(&self, _: Kind) -> Option<String> {
        let texts: Vec<String> = self.0.iter().map(show).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    fn check(&mut self, _: Kind) -> Result<(), Refusal> {
        let Some(text) = Field::show(self, Kind::Tools) else {
            return Ok(());
        };
        let refused = |reason| Refusal {
            value: text.clone(),
            reason,
        };
        *self = parse(&[&text]).map_err(|(_, reason)| refused(reason))?;
        Ok(())
    }

    #[cfg(feature = "cli")]
    fn read(&mut self, texts: &[String], _: Kind, refuse: &mut dyn FnMut(&str, &str)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match parse(&texts) {
            Ok(tools) => *self = tools,
            Err((text, reason)) => refuse(&text, &reason),
        }
    }
}

/// As it would be typed.
fn show(tool: &ToolOverride) -> String {
    let pairs = [
        tool.concurrency.map(|calls| format!("concurrency={calls}")),
        tool.queue.map(|calls| format!("queue={calls}")),
        tool.timeout
            .map(|timeout| format!("timeout={}", display_duration(timeout))),
    ];
    let pairs: Vec<String> = pairs.into_iter().flatten().collect();
    format!("{}:{}", tool.name, pairs.join(","))
}

/// The refusal of a part: the part, and the rest of a sentence about it.
type Refused = (String, String);

fn parse(texts: &[&str]) -> Result<ToolOverrides, Refused> {
    let mut tools: Vec<ToolOverride> = Vec::new();
    for part in texts.iter().flat_map(|text| text.split(',')).map(str::trim) {
        let refused = |reason: String| (part.to_owned(), reason);
        let pair = match part.split_once(':') {
            Some((name, pair)) => {
                let name = checked_name(name.trim()).map_err(refused)?;
                if tools.iter().any(|tool| tool.name == name) {
                    return Err(refused(format!("names tool `{name}` twice; name it once")));
                }
                tools.push(ToolOverride::new(name));
                pair
            }
            None => part,
        };
        let Some(tool) = tools.last_mut() else {
            return Err(refused(format!("names no tool; {EXAMPLE}")));
        };
        read_pair(tool, pair).map_err(refused)?;
    }
    Ok(ToolOverrides(tools))
}

fn checked_name(name: &str) -> Result<String, String> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(format!("does not begin with the name of a tool; {EXAMPLE}"))
    }
}

fn read_pair(tool: &mut ToolOverride, pair: &str) -> Result<(), String> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(format!("is no KEY=VALUE; {EXAMPLE}"));
    };
    let (key, value) = (key.trim(), value.trim());
    let is_new = match key {
        "concurrency" => tool.concurrency.replace(Value::parse(value, CALLS)?).is_none(),
        "queue" => tool.queue.replace(Value::parse(value, WAITING)?).is_none(),
        "timeout" => tool.timeout.replace(Value::parse(value, DEADLINE)?).is_none(),
        _ => return Err(unknown_key(key)),
    };
    if is_new {
        Ok(())
    } else {
        Err(format!("gives `{key}` twice; give it once"))
    }
}

fn unknown_key(key: &str) -> String {
    match nearest(key, KEYS.into_iter()) {
        Some(meant) => format!("has the unknown key `{key}`; did you mean `{meant}`?"),
        None => format!("has the unknown key `{key}`; there are {}", KEYS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(
        name: &str,
        concurrency: Option<u32>,
        queue: Option<u32>,
        timeout: Option<Duration>,
    ) -> ToolOverride {
        ToolOverride {
            name: name.to_owned(),
            timeout,
            concurrency,
            queue,
        }
    }

    #[test]
    fn texts_say_what_they_mean_wherever_they_are_split() {
        let expected = ToolOverrides(vec![
            tool("search", Some(4), None, Some(Duration::from_secs(5))),
            tool("fetch.v2", None, Some(0), None),
        ]);
        let ways: [&[&str]; 4] = [
            &["search:concurrency=4,timeout=5s,fetch.v2:queue=0"],
            &["search:concurrency=4,timeout=5s", "fetch.v2:queue=0"],
            &["search:concurrency=4", "timeout=5s", "fetch.v2:queue=0"],
            &[
                " search : timeout = 5000ms , concurrency=4 ",
                " fetch.v2:queue=0 ",
            ],
        ];
        for texts in ways {
            assert_eq!(parse(texts), Ok(expected.clone()), "{texts:?}");
        }
        let shown = Field::show(&expected, Kind::Tools).unwrap();
        assert_eq!(shown, "search:concurrency=4,timeout=5s, fetch.v2:queue=0");
        assert_eq!(parse(&[&shown]), Ok(expected));
        assert_eq!(Field::show(&ToolOverrides::default(), Kind::Tools), None);
    }

    #[test]
    fn refusals_say_what_to_write() {
        let cases = [
            ("concurrency=4", "names no tool; write for example"),
            ("", "names no tool"),
            ("search", "names no tool"),
            ("search:", "is no KEY=VALUE; write for example"),
            (
                "search:concurrency",
                "is no KEY=VALUE; write for example `search:concurrency=4,timeout=5s`",
            ),
            (":concurrency=4", "does not begin with the name of a tool"),
            ("a b:concurrency=4", "does not begin with the name of a tool"),
            ("a:concurrency=0", "is too small; the least is 1"),
            ("a:concurrency=65536", "is too large; the most is 65535"),
            ("a:concurrency=-1", "is not a whole number"),
            ("a:queue=1000001", "is too large; the most is 1000000"),
            ("a:timeout=5", "has no unit"),
            ("a:timeout=5ms", "is too small; the least is 10ms"),
            (
                "a:concurency=4",
                "has the unknown key `concurency`; did you mean `concurrency`?",
            ),
            (
                "a:zzz=4",
                "has the unknown key `zzz`; there are concurrency, queue, timeout",
            ),
            ("a:queue=1,queue=2", "gives `queue` twice; give it once"),
            ("a:queue=1,a:concurrency=2", "names tool `a` twice; name it once"),
        ];
        for (text, expected) in cases {
            let (_, reason) = parse(&[text]).unwrap_err();
            assert!(reason.starts_with(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn what_a_program_sets_is_bounded() {
        let check = |tool| {
            let mut tools = ToolOverrides(vec![tool]);
            tools.check(Kind::Tools).map_err(|refusal| refusal.reason)
        };
        assert_eq!(check(tool("a", Some(1), Some(0), None)), Ok(()));
        assert_eq!(
            check(tool("a", Some(0), None, None)),
            Err("is too small; the least is 1".to_owned())
        );
        assert!(check(tool("a", None, None, None)).is_err(), "it says nothing");
        assert!(check(tool("", Some(1), None, None)).is_err());
    }

    #[test]
    fn tools_that_there_are_not_are_named_with_the_nearest() {
        let known = |name, is_limited| KnownTool { name, is_limited };
        let known = [known("search", false), known("read_file", true)];
        let check = |text: &str, has_children| {
            let refused = parse(&[text]).unwrap().check_names(&known, has_children);
            refused.map_err(|error| error.to_string())
        };
        assert_eq!(check("search:concurrency=1,queue=1", false), Ok(()));
        assert_eq!(check("read_file:queue=1", false), Ok(()));
        for (text, has_children, expected) in [
            (
                "serch:concurrency=4",
                false,
                "tool = serch:concurrency=4: this process has no tool `serch`; did you mean `search`?",
            ),
            (
                "read_flie:timeout=1s",
                true,
                "tool = read_flie:timeout=1s: this process has no tool `read_flie`; did you mean `read_file`?",
            ),
            (
                "zzz:timeout=1s",
                false,
                "tool = zzz:timeout=1s: this process has no tool `zzz`; there are search, read_file",
            ),
            (
                "github__issues:concurrency=2",
                true,
                "tool = github__issues:concurrency=2: this process has no tool `github__issues`; tools of other programs \
                 have the limits of their pool: `max_in_flight`, `queue_depth` and `call_timeout`",
            ),
            (
                "search:queue=1",
                false,
                "tool = search:queue=1: `queue` is how many calls wait for `concurrency`, which this tool does not have; \
                 add it",
            ),
        ] {
            assert_eq!(check(text, has_children), Err(expected.to_owned()));
        }
        let none = parse(&["a:timeout=1s"]).unwrap().check_names(&[], false);
        assert!(none.unwrap_err().to_string().ends_with("there is none"));
    }
}
