//! The command that serves what was probed: as it was named, with what was found out to be needed.

use std::time::Duration;

use super::found::Found;
use crate::config::{ChildEra, ChildServer, joined};

/// A start that takes longer may need more than the default time on a busy machine.
const SLOW_START: Duration = Duration::from_secs(10);

/// How a program was named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Named {
    /// The file that names it; `None` if the command line does.
    file: Option<String>,
    /// The value of `--pool`.
    pool: Option<String>,
}

impl Named {
    /// That of the program in this place: the one of the command line, if there is one, and then those of a file.
    pub(super) fn of(flags: &[(&str, Vec<String>)], at: usize) -> Named {
        let given = |name: &str| {
            let found = flags.iter().find(|(flag, _)| *flag == name);
            found.and_then(|(_, texts)| texts.last()).cloned()
        };
        let is_of_line = at == 0 && given("stdio").is_some();
        Named {
            file: given("mcp-json").filter(|_| !is_of_line),
            pool: given("pool").filter(|pool| !pool.is_empty()),
        }
    }
}

/// The command that serves a program.
pub(super) fn paste(server: &ChildServer, named: &Named, found: &Found) -> String {
    let needed = needed(server, found);
    let Some(file) = &named.file else {
        let words = std::iter::once(&server.command).chain(&server.args);
        let words: Vec<String> = words.cloned().collect();
        let line = joined(&words).and_then(|line| joined(&[line]));
        // The words of a command line have no NUL, which alone cannot be quoted.
        let line = line.unwrap_or_else(|_| server.name.clone());
        let needed = needed.iter().map(|(key, value)| format!("{key}={value}"));
        let pool: Vec<String> = named.pool.iter().cloned().chain(needed).collect();
        let pool = pool.join(",");
        return if pool.is_empty() {
            format!("weir serve --stdio {line}")
        } else {
            format!("weir serve --stdio {line} --pool {}", quoted(&pool))
        };
    };
    let pool = named.pool.as_ref();
    let pool = pool.map_or_else(String::new, |pool| format!(" --pool {}", quoted(pool)));
    let members: Vec<String> = needed
        .iter()
        .map(|(key, value)| format!("\"{key}\": \"{value}\""))
        .collect();
    let members = if members.is_empty() {
        String::new()
    } else {
        format!(", with \"pool\": {{{}}} there", members.join(", "))
    };
    format!("weir serve --mcp-json {}{pool}{members}", quoted(file))
}

/// One word for a shell. A text is left as it is if no shell sees anything in it.
fn quoted(text: &String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=,.:/@%".contains(&byte);
    if text.bytes().all(is_plain) {
        text.clone()
    } else {
        // No flag has a NUL, which alone cannot be quoted.
        joined(std::slice::from_ref(text)).unwrap_or_default()
    }
}

/// Settings that the pool lacks, by their keys.
fn needed(server: &ChildServer, found: &Found) -> Vec<(&'static str, String)> {
    let pool = &server.pool;
    let mut needed = Vec::new();
    if found.modern.is_none() && pool.era != Some(ChildEra::Legacy) {
        needed.push(("era", "legacy".to_owned()));
    }
    if found.unwrapped_failed.is_some() && pool.unwrap {
        needed.push(("unwrap", "off".to_owned()));
    }
    let start = found.named.took;
    if start > SLOW_START && pool.start_timeout < start * 3 {
        needed.push(("start_timeout", format!("{}s", start.as_secs() * 5)));
    }
    needed
}
