//! Variables in the texts of a file of servers, in all the ways that its writers know.
//!
//! `${NAME}` and `${NAME:-default}` are those of Claude Code, `${env:NAME}` that of VS Code and Cursor, and their
//! `${workspaceFolder}`, `${workspaceFolderBasename}`, `${userHome}`, `${pathSeparator}` and `${/}` are known as well.
//! A variable that is not set and has no default is an error, because a program that gets the literal text says
//! something that nobody understands. `$NAME` is no variable.

use std::path::Path;

/// Defaults within defaults.
const DEPTH_MAX: usize = 8;

/// What variables mean.
pub(super) struct Variables<'v> {
    /// The value of a variable of the environment.
    pub(super) lookup: &'v dyn Fn(&str) -> Option<String>,
    /// The folder that the file is for.
    pub(super) workspace: &'v Path,
}

impl Variables<'_> {
    /// The text with the values in place of the variables.
    ///
    /// # Errors
    /// Names what has no value: the end of a sentence about the text.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        self.expand_within(text, DEPTH_MAX)
    }

    fn expand_within(&self, text: &str, depth: usize) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, variable) = rest.split_at(at);
            expanded.push_str(before);
            let Some(end) = closing_brace(variable) else {
                return Err("has a `${` that no `}` closes".to_owned());
            };
            expanded.push_str(&self.value(&variable[2..end], depth)?);
            rest = &variable[end + 1..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// The value of what stands between the braces.
    fn value(&self, variable: &str, depth: usize) -> Result<String, String> {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        if let Some(input) = name.strip_prefix("input:") {
            return Err(format!(
                "asks its user for the input `{input}`, and there is no user here; set a variable and write \
                 `${{env:NAME}}`"
            ));
        }
        let value = match name {
            "workspaceFolder" => Some(self.workspace.display().to_string()),
            "workspaceFolderBasename" => {
                let name = self.workspace.file_name().unwrap_or_default();
                Some(name.to_string_lossy().into_owned())
            }
            "pathSeparator" | "/" => Some("/".to_owned()),
            "userHome" => (self.lookup)("HOME"),
            _ => (self.lookup)(variable_name(name)?),
        };
        match (value, default) {
            (Some(value), None) => Ok(value),
            // As in a shell: the default is for empty values, too.
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) if depth > 0 => self.expand_within(default, depth - 1),
            (_, Some(_)) => Err(format!(
                "has defaults within defaults, more than {DEPTH_MAX} deep"
            )),
            (None, None) => Err(format!(
                "needs `${{{name}}}`, which is not set; set it, or write `${{{name}:-default}}`"
            )),
        }
    }
}

/// The name in `NAME` and `env:NAME`.
fn variable_name(name: &str) -> Result<&str, String> {
    let bare = name.strip_prefix("env:").unwrap_or(name);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_good =
        !bare.is_empty() && bare.chars().all(is_name) && !bare.starts_with(|c: char| c.is_ascii_digit());
    if is_good {
        Ok(bare)
    } else {
        Err(format!(
            "has `${{{name}}}`, which is no variable; write `${{NAME}}` or `${{env:NAME}}`"
        ))
    }
}

/// Where the brace closes that opens at the beginning of `${…`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "HOME" => Some("/home/me".to_owned()),
            "VARIABLE" => Some("${A}".to_owned()),
            _ => None,
        };
        let variables = Variables {
            lookup: &lookup,
            workspace: Path::new("/work/project"),
        };
        variables.expand(text)
    }

    #[test]
    fn variables_have_their_values() {
        let cases = [
            ("plain $A $ { }", "plain $A $ { }"),
            ("${A}", "1"),
            ("x${env:A}y${A}", "x1y1"),
            ("${NO:-default}", "default"),
            ("${env:NO:-a:-b}", "a:-b"),
            ("${NO:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-full}", "full"),
            ("${NO:-${A}/${NO:-x}}", "1/x"),
            ("${NO:-{}}", "{}"),
            // A value is not looked into.
            ("${VARIABLE}", "${A}"),
            ("${workspaceFolder}/bin", "/work/project/bin"),
            ("${workspaceFolderBasename}${/}${pathSeparator}", "project//"),
            ("${userHome}", "/home/me"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_named() {
        let cases = [
            ("${NO}", "`${NO}`, which is not set"),
            ("${env:NO}", "`${env:NO}`, which is not set"),
            ("${input:key}", "the input `key`"),
            ("${a b}", "`${a b}`, which is no variable"),
            ("${}", "`${}`, which is no variable"),
            ("${command:x}", "`${command:x}`, which is no variable"),
            ("x ${A", "`${` that no `}` closes"),
        ];
        for (text, expected) in cases {
            let reason = expand(text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
        let deep = (0..20).fold("x".to_owned(), |inner, _| format!("${{NO:-{inner}}}"));
        assert!(expand(&deep).unwrap_err().contains("more than 8 deep"));
    }
}
