//! The imports of a Rust file, read from its text. This knows enough of the language for `use` lines and paths, and no
//! more.
//!
//! Comments, literals and everything under `#[cfg(test)]` are left out. Macros are read like any other text. A glob
//! import is taken as an import of the module itself.

use std::collections::HashMap;

/// One path that a file names, relative to the module `inside`.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) line: usize,
    /// Inline modules of the file around the path, outermost first.
    pub(crate) inside: Vec<String>,
    pub(crate) segments: Vec<String>,
    /// The name that a `use` gives it; `None` where the path stands in an expression or a type, and for globs.
    pub(crate) name: Option<String>,
    /// Whether it is a `pub use`, of whatever visibility.
    pub(crate) is_reexport: bool,
}

/// The modules and paths of one file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// `mod name;` and whether it is compiled for tests only.
    pub(crate) children: HashMap<String, Compiled>,
    pub(crate) paths: Vec<Path>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compiled {
    Always,
    ForTests,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

/// Reads the text of one file.
pub(crate) fn read(text: &str) -> Source {
    let tokens = tokens(&without_comments_and_literals(text));
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        inline: Vec::new(),
        depth: 0,
        source: Source::default(),
    };
    reader.file();
    reader.source
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Open inline modules: name, and how many braces were open around each.
    inline: Vec<(String, usize)>,
    depth: usize,
    source: Source,
}

impl Reader<'_> {
    fn file(&mut self) {
        let mut is_public = false;
        while self.at < self.tokens.len() {
            let was_public = std::mem::take(&mut is_public);
            match self.text(0) {
                "#" if self.starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) => {
                    self.at += 7;
                    self.skip_test_item();
                }
                "pub" => {
                    self.at += 1;
                    // `pub(in crate::shard)` is no import.
                    if self.text(0) == "(" && ["crate", "super", "self", "in"].contains(&self.text(1)) {
                        self.skip_to(")");
                    }
                    is_public = true;
                }
                "use" => {
                    self.at += 1;
                    self.use_tree(&[], was_public);
                }
                "mod" => self.module(),
                "{" => {
                    self.depth += 1;
                    self.at += 1;
                }
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    self.inline.pop_if(|(_, depth)| *depth == self.depth);
                    self.at += 1;
                }
                _ => self.path_or_other(),
            }
        }
    }

    fn module(&mut self) {
        let name = self.text(1).to_owned();
        match self.text(2) {
            ";" => {
                self.source.children.insert(name, Compiled::Always);
            }
            "{" => {
                self.inline.push((name, self.depth));
                self.depth += 1;
            }
            _ => {}
        }
        self.at += 3;
    }

    /// Everything up to the end of the item that follows `#[cfg(test)]`.
    fn skip_test_item(&mut self) {
        if let Some(at) = (self.at..self.tokens.len().min(self.at + 8)).find(|at| self.is_test_module(*at)) {
            self.source
                .children
                .insert(self.tokens[at + 1].text.clone(), Compiled::ForTests);
        }
        let mut open = 0usize;
        while self.at < self.tokens.len() {
            let text = self.text(0);
            let closes = matches!(text, "}" | ")" | "]");
            if closes && open == 0 {
                // The last field, variant or argument of the item around it.
                return;
            }
            open = match text {
                "{" | "(" | "[" => open + 1,
                "}" | ")" | "]" => open - 1,
                _ => open,
            };
            let is_end = open == 0 && matches!(text, "}" | ";" | ",");
            self.at += 1;
            if is_end {
                return;
            }
        }
    }

    /// Whether `mod name;` stands at `at`, with nothing but attributes and a visibility before it.
    fn is_test_module(&self, at: usize) -> bool {
        let is_module =
            self.tokens[at].text == "mod" && self.tokens.get(at + 2).is_some_and(|t| t.text == ";");
        is_module
            && self.tokens[self.at..at]
                .iter()
                .all(|t| ["pub", "(", "crate", "super", ")"].contains(&t.text.as_str()))
    }

    /// Reads one tree of a `use`, up to and including its end.
    fn use_tree(&mut self, before: &[String], is_reexport: bool) {
        let mut segments = before.to_vec();
        loop {
            let (line, text) = (self.line(), self.text(0).to_owned());
            self.at += 1;
            match text.as_str() {
                "::" => {}
                "{" => {
                    while !matches!(self.text(0), "}" | "") {
                        self.use_tree(&segments, is_reexport);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.found(line, segments, None, is_reexport);
                    return;
                }
                "" => return,
                _ => {
                    // `a::{self}` names `a`.
                    if text != "self" || segments.is_empty() {
                        segments.push(text);
                    }
                    if self.text(0) == "::" {
                        continue;
                    }
                    let mut name = segments.last().cloned();
                    if self.text(0) == "as" {
                        name = Some(self.text(1).to_owned());
                        self.at += 2;
                    }
                    self.found(line, segments, name, is_reexport);
                    return;
                }
            }
        }
    }

    /// Reads a path of two segments or more, wherever it stands, or one token of anything else.
    fn path_or_other(&mut self) {
        let follows_path = self.at > 0 && matches!(self.tokens[self.at - 1].text.as_str(), "::" | ".");
        let is_path = !follows_path && is_word(self.text(0)) && self.text(1) == "::";
        if !is_path {
            self.at += 1;
            return;
        }
        let line = self.line();
        let mut segments = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && is_word(self.text(1)) {
            segments.push(self.text(1).to_owned());
            self.at += 2;
        }
        self.found(line, segments, None, false);
    }

    fn found(&mut self, line: usize, segments: Vec<String>, name: Option<String>, is_reexport: bool) {
        self.source.paths.push(Path {
            line,
            inside: self.inline.iter().map(|(name, _)| name.clone()).collect(),
            segments,
            name,
            is_reexport,
        });
    }

    fn starts_with(&self, texts: &[&str]) -> bool {
        texts
            .iter()
            .enumerate()
            .all(|(ahead, text)| self.text(ahead) == *text)
    }

    fn skip_to(&mut self, end: &str) {
        while !matches!(self.text(0), "") && self.text(0) != end {
            self.at += 1;
        }
        self.at += 1;
    }

    fn text(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| token.text.as_str())
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let length = if is_part(first) {
                rest.find(|c| !is_part(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push(Token {
                line: number + 1,
                text: rest[..length].to_owned(),
            });
            rest = rest[length..].trim_start();
        }
    }
    found
}

/// The same text, line for line, with spaces where comments and literals stood.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = comment(rest)
            .or_else(|| raw_string(rest, code.chars().next_back()))
            .or_else(|| string(rest))
            .or_else(|| character(rest));
        match length {
            Some(length) => {
                let blank = rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' });
                code.extend(blank);
                rest = &rest[length..];
            }
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*")
        .then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

/// `r"…"`, `r#"…"#`, `br"…"`; `before` tells the `r` of a string from the end of a name.
fn raw_string(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let opening = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = opening.len() - opening.trim_start_matches('#').len();
    let inner = opening[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let until = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(rest.len() - inner.len() + until)
}

fn string(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, c) in inner.char_indices() {
        if c == '"' && !is_escaped {
            return Some(at + 2);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    Some(rest.len())
}

/// A character and not a lifetime: `'a'`, `'\n'`, `'\u{1f}'`.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    if first == '\\' {
        // The quote that ends it is not the one that may be escaped.
        return inner[2..].find('\'').map(|at| at + 4);
    }
    inner[first.len_utf8()..]
        .starts_with('\'')
        .then_some(first.len_utf8() + 2)
}
