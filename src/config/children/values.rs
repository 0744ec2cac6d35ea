//! Kinds of values that the settings of a pool have.
//!
//! A refusal ends a sentence that begins with the key and the value, and says what to write.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::pool::{EnvSource, Rlimit, Warmup};
use crate::config::listen::Account;
use crate::launcher::resource_named;
use crate::units::{ByteSize, display_duration, parse_duration};

/// Why a value is refused.
pub(super) type Refusal = String;

/// As it was written, but for the quotes of a text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn choice<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, Refusal> {
    let text = shown(value);
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("is unknown; write {}", names.join(" or "))
    })
}

pub(super) fn flag(value: &Value) -> Result<bool, Refusal> {
    let flags = [("true", true), ("false", false), ("on", true), ("off", false)];
    choice(value, &flags).map_err(|_| "is neither true nor false".to_owned())
}

pub(super) fn or_word<T>(
    word: &str,
    value: &Value,
    read: impl FnOnce(&Value) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    if value.as_str() == Some(word) {
        return Ok(None);
    }
    read(value)
        .map(Some)
        .map_err(|refusal| format!("{refusal}, or `{word}`"))
}

pub(super) fn or_auto<T>(
    value: &Value,
    read: impl FnOnce(&Value) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    or_word("auto", value, read)
}

pub(super) fn or_off<T>(
    value: &Value,
    read: impl FnOnce(&Value) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    or_word("off", value, read)
}

pub(super) fn count(value: &Value, min: u32, max: u32) -> Result<u32, Refusal> {
    let number = shown(value)
        .parse()
        .ok()
        .filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| format!("is not possible; write a whole number from {min} to {max}"))
}

pub(super) fn duration(value: &Value, min: Duration, max: Duration) -> Result<Duration, Refusal> {
    let bounds = format!(
        "write from {} to {}",
        display_duration(min),
        display_duration(max)
    );
    match parse_duration(&shown(value)) {
        Ok(duration) if (min..=max).contains(&duration) => Ok(duration),
        Ok(_) => Err(format!("is out of bounds; {bounds}")),
        // 0 needs no unit.
        Err(_) if min.is_zero() && shown(value) == "0" => Ok(Duration::ZERO),
        Err(error) => Err(format!("{error}; {bounds}")),
    }
}

pub(super) fn size(value: &Value, min: u64, max: u64) -> Result<u64, Refusal> {
    let bounds = format!("write from {} to {}", ByteSize(min), ByteSize(max));
    match shown(value).parse() {
        Ok(ByteSize(bytes)) if (min..=max).contains(&bytes) => Ok(bytes),
        Ok(_) => Err(format!("is out of bounds; {bounds}")),
        Err(error) => Err(format!("{error}; {bounds}")),
    }
}

/// A list of texts, or one.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, Refusal> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            texts.ok_or_else(|| "is not a list of texts".to_owned())
        }
        _ => Err("is not a list of texts".to_owned()),
    }
}

pub(super) fn paths(value: &Value) -> Result<Vec<PathBuf>, Refusal> {
    let paths: Vec<PathBuf> = texts(value)?.into_iter().map(PathBuf::from).collect();
    if paths.iter().all(|path| path.is_absolute()) {
        Ok(paths)
    } else {
        Err("has a path that does not begin with `/`".to_owned())
    }
}

pub(super) fn ports(value: &Value) -> Result<Vec<u16>, Refusal> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let ports: Option<Vec<u16>> = items.iter().map(|item| shown(item).parse().ok()).collect();
    ports.ok_or_else(|| "is not a list of ports, such as `[443]`".to_owned())
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, Refusal> {
    let refusal = || "is not an object, which is possible only in a file".to_owned();
    value.as_object().ok_or_else(refusal)
}

pub(super) fn warmup(value: &Value) -> Result<Warmup, Refusal> {
    let refusal = || "is not a tool's name, nor `{\"tool\": …, \"arguments\": {…}}`".to_owned();
    if let Some(tool) = value.as_str() {
        return Ok(Warmup {
            tool: tool.to_owned(),
            arguments: Map::new(),
        });
    }
    let call = value.as_object().ok_or_else(refusal)?;
    let tool = call.get("tool").and_then(Value::as_str).ok_or_else(refusal)?;
    let arguments = match call.get("arguments") {
        None => Map::new(),
        Some(arguments) => arguments.as_object().cloned().ok_or_else(refusal)?,
    };
    let is_known = |key: &String| matches!(key.as_str(), "tool" | "arguments");
    if !call.keys().all(is_known) {
        return Err(refusal());
    }
    let tool = tool.to_owned();
    Ok(Warmup { tool, arguments })
}

/// The name of a header, in lower case.
pub(super) fn header(value: &Value) -> Result<String, Refusal> {
    /// These are not a client's to choose, or not to be passed on: the protocol forbids it for a client's token.
    const FORBIDDEN: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "host"];
    let name = value.as_str().unwrap_or_default().to_ascii_lowercase();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err("is not the name of a header".to_owned());
    }
    if FORBIDDEN.contains(&name.as_str()) {
        return Err(
            "is a header that is never passed on; use one of your own, such as `X-Api-Key`".to_owned(),
        );
    }
    Ok(name)
}

/// A variable that a request may set for its child, and where it comes from.
pub(super) fn env_source(variable: &str, source: &Value) -> Result<EnvSource, Refusal> {
    if is_code(variable) {
        return Err(format!(
            "has `{variable}`, with which a client could run programs of its own"
        ));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(is_name) {
        return Err(format!("has `{variable}`, which is not the name of a variable"));
    }
    let name = source.as_str().and_then(|source| source.strip_prefix("header:"));
    let name = name.ok_or_else(|| format!("has no `header:NAME` for `{variable}`"))?;
    let name = header(&Value::String(name.to_owned()))
        .map_err(|refusal| format!("has `{name}`, which {refusal}"))?;
    Ok(EnvSource::Header(name))
}

/// Whether a variable says what programs load or run, or where they find things.
fn is_code(variable: &str) -> bool {
    const NAMES: [&str; 17] = [
        "BASH_ENV",
        "CLASSPATH",
        "EDITOR",
        "ENV",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "HOME",
        "IFS",
        "PAGER",
        "PATH",
        "PHPRC",
        "PROMPT_COMMAND",
        "SHELL",
        "SHELLOPTS",
        "TMPDIR",
        "VISUAL",
        "_JAVA_OPTIONS",
    ];
    const BEGINNINGS: [&str; 19] = [
        "BASH_FUNC",
        "BUN_",
        "COR_",
        "CORECLR_",
        "DENO_",
        "DOTNET_",
        "DYLD_",
        "GIT_",
        "JAVA_",
        "JDK_",
        "LD_",
        "NODE_",
        "NPM_",
        "PERL",
        "PIP_",
        "PYTHON",
        "RUBY",
        "UV_",
        "XDG_",
    ];
    let variable = variable.to_ascii_uppercase();
    NAMES.contains(&variable.as_str()) || BEGINNINGS.iter().any(|beginning| variable.starts_with(beginning))
}

pub(super) fn user(value: &Value) -> Result<(Account, Option<Account>), Refusal> {
    let text = shown(value);
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text.as_str(), None),
    };
    let refusal = || "is no user; write `USER`, `USER:GROUP`, or numbers".to_owned();
    let group = group
        .map(|group| Account::parse(group).ok_or_else(refusal))
        .transpose()?;
    Ok((Account::parse(user).ok_or_else(refusal)?, group))
}

pub(super) fn rlimit(name: &str, value: &Value) -> Result<Rlimit, Refusal> {
    if resource_named(name).is_none() {
        return Err(format!(
            "has `{name}`, which is no limit; write for example `nofile`, `nproc`, `as`, `cpu`"
        ));
    }
    let refusal = || {
        format!(
            "has for `{name}` neither a number, a size, `unlimited`, nor a pair of them, such as `[1024, 4096]`"
        )
    };
    let one = |value: &Value| match shown(value).as_str() {
        "unlimited" => Ok(None),
        text => text
            .parse()
            .map(|ByteSize(number)| Some(number))
            .map_err(|_| refusal()),
    };
    let (soft, hard) = match value {
        Value::Array(pair) => match pair.as_slice() {
            [soft, hard] => (one(soft)?, one(hard)?),
            _ => return Err(refusal()),
        },
        both => (one(both)?, one(both)?),
    };
    let is_above = hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard));
    if is_above {
        return Err(format!("has for `{name}` a first number above the second"));
    }
    Ok(Rlimit { soft, hard })
}
