//! The rules of one `.gitignore`, read and matched as git does (gitignore(5), and git's `dir.c` and `wildmatch.c`).
//!
//! The code is our own because crates that match globs take `{` for an alternative, know other classes in brackets, and
//! trim other white space than git. Like git it matches bytes, not characters. The matcher follows all ways through a
//! pattern at once, so that a hostile one costs no more than its length times the path's.
//!
//! The tests compare it with git itself.

/// The rules of one file, in its order.
#[derive(Debug, Default)]
pub(super) struct Gitignore {
    rules: Vec<Rule>,
}

/// The verdict of a rule on a path it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Excluded,
    Included,
}

#[derive(Debug)]
struct Rule {
    verdict: Verdict,
    is_for_directories: bool,
    /// Whether the rule is matched only against the last part of a path.
    is_for_names: bool,
    /// The bytes with which a matching path begins.
    prefix: Vec<u8>,
    /// The tokens that match the rest.
    rest: Vec<Token>,
}

/// A piece of a pattern.
#[derive(Debug, PartialEq)]
enum Token {
    Byte(u8),
    /// `?`: one byte, but no slash.
    AnyByte,
    /// `[…]`: one of these bytes, never a slash.
    OneOf(Box<[bool; 256]>),
    /// `*`: any bytes but slashes.
    Part,
    /// `**` between slashes: any bytes.
    Parts,
    /// `**` and the slash behind it, between slashes: no directory, which skips the next token, or any number.
    Directories,
    /// Any bytes and a slash; it always follows the token above.
    InDirectories,
    /// Something that git refuses to match.
    Nothing,
}

impl Gitignore {
    /// Reads the text of a `.gitignore`.
    pub(super) fn parse(text: &[u8]) -> Gitignore {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let lines = text.split(|&byte| byte == b'\n');
        Gitignore {
            rules: lines.filter_map(Rule::parse).collect(),
        }
    }

    /// The verdict on `path` of the last rule that matches; `path` is relative to the directory of the file.
    pub(super) fn verdict(&self, path: &str, is_directory: bool) -> Option<Verdict> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let matches = |rule: &&Rule| {
            let subject = if rule.is_for_names { name } else { path };
            (is_directory || !rule.is_for_directories) && rule.is_match(subject.as_bytes())
        };
        self.rules.iter().rev().find(matches).map(|rule| rule.verdict)
    }
}

impl Rule {
    fn parse(line: &[u8]) -> Option<Rule> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        // git's strings end at a NUL.
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        let pattern = without_trailing_spaces(line);
        let (verdict, pattern) = match pattern.strip_prefix(b"!") {
            Some(pattern) => (Verdict::Included, pattern),
            None => (Verdict::Excluded, pattern),
        };
        let (is_for_directories, pattern) = match pattern.strip_suffix(b"/") {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let is_for_names = !pattern.contains(&b'/');
        let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
        // An empty pattern matches no path, as no path is empty.
        let prefix_bytes = pattern
            .iter()
            .position(|byte| b"*?[\\".contains(byte))
            .unwrap_or(pattern.len());
        let (prefix, rest) = pattern.split_at(prefix_bytes);
        // For names git compares the whole pattern; for paths it compares the prefix first and then the rest, as a
        // pattern of its own.
        Some(Rule {
            verdict,
            is_for_directories,
            is_for_names,
            prefix: prefix.to_vec(),
            rest: tokens(rest),
        })
    }

    fn is_match(&self, subject: &[u8]) -> bool {
        match subject.strip_prefix(&*self.prefix) {
            Some(rest) => is_match(&self.rest, rest),
            None => false,
        }
    }
}

/// Removes the spaces at the end of a line, except for one behind a backslash. Other white space stays.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let (mut end, mut at) = (0, 0);
    while let Some(&byte) = line.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte != b' ' {
            end = at.min(line.len());
        }
    }
    line.get(..end).unwrap_or(line)
}

fn tokens(pattern: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        let (token, length) = match byte {
            b'?' => (Token::AnyByte, 1),
            b'*' => stars(pattern, at),
            b'[' => match one_of(&pattern[at + 1..]) {
                Some((bytes, length)) => (Token::OneOf(bytes), 1 + length),
                None => return vec![Token::Nothing],
            },
            b'\\' => match pattern.get(at + 1) {
                Some(&escaped) => (Token::Byte(escaped), 2),
                None => return vec![Token::Nothing],
            },
            byte => (Token::Byte(byte), 1),
        };
        let is_two = token == Token::Directories;
        tokens.push(token);
        tokens.extend(is_two.then_some(Token::InDirectories));
        at += length;
    }
    tokens
}

/// The token for the stars from `start` on, and their length.
fn stars(pattern: &[u8], start: usize) -> (Token, usize) {
    let length = pattern[start..].iter().take_while(|&&byte| byte == b'*').count();
    let is_behind_slash = start == 0 || pattern.get(start - 1) == Some(&b'/');
    let behind = pattern.get(start + length..).unwrap_or_default();
    match behind {
        _ if length == 1 || !is_behind_slash => (Token::Part, length),
        [b'/', ..] => (Token::Directories, length + 1),
        [] | [b'\\', b'/', ..] => (Token::Parts, length),
        _ => (Token::Part, length),
    }
}

/// The bytes in brackets and their length, the closing bracket included; `None` if git does not accept them. `pattern`
/// begins behind the opening bracket.
fn one_of(pattern: &[u8]) -> Option<(Box<[bool; 256]>, usize)> {
    let mut bytes = Box::new([false; 256]);
    let mut at = 0;
    let is_negated = matches!(pattern.first(), Some(b'!' | b'^'));
    at += usize::from(is_negated);
    // The first byte of what may become a range.
    let mut before = None;
    let mut is_first = true;
    loop {
        let byte = *pattern.get(at)?;
        match byte {
            b']' if !is_first => break,
            b'\\' => {
                at += 1;
                let escaped = *pattern.get(at)?;
                bytes[usize::from(escaped)] = true;
                before = Some(escaped);
            }
            b'-' if before.is_some() && pattern.get(at + 1).is_some_and(|&next| next != b']') => {
                at += 1;
                if pattern.get(at) == Some(&b'\\') {
                    at += 1;
                }
                let (first, last) = (before?, *pattern.get(at)?);
                (first..=last).for_each(|byte| bytes[usize::from(byte)] = true);
                before = None;
            }
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let inside = pattern.get(at + 2..)?;
                let length = inside.iter().position(|&byte| byte == b']')?;
                match inside.get(..length)?.strip_suffix(b":") {
                    Some(class) => {
                        let is_of_class = class_named(class)?;
                        (0..=u8::MAX)
                            .filter(is_of_class)
                            .for_each(|byte| bytes[usize::from(byte)] = true);
                        at += 2 + length;
                        before = None;
                    }
                    None => {
                        bytes[usize::from(b'[')] = true;
                        before = Some(b'[');
                    }
                }
            }
            byte => {
                bytes[usize::from(byte)] = true;
                before = Some(byte);
            }
        }
        at += 1;
        is_first = false;
    }
    if is_negated {
        bytes.iter_mut().for_each(|is_in| *is_in = !*is_in);
    }
    bytes[usize::from(b'/')] = false;
    Some((bytes, at + 1))
}

/// The classes of POSIX, for ASCII only.
fn class_named(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

/// Whether the tokens make up all of `text`.
fn is_match(tokens: &[Token], text: &[u8]) -> bool {
    if let Some(is_match) = is_simple_match(tokens, text) {
        return is_match;
    }
    // `ways[i]`: the first `i` tokens can make up the text so far.
    let mut ways = vec![false; tokens.len() + 1];
    let mut next = ways.clone();
    ways[0] = true;
    skip_what_may_be_empty(tokens, &mut ways);
    for &byte in text {
        next.fill(false);
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| ways[*at]) {
            match token {
                Token::Byte(wanted) => next[at + 1] |= *wanted == byte,
                Token::AnyByte => next[at + 1] |= byte != b'/',
                Token::OneOf(bytes) => next[at + 1] |= bytes[usize::from(byte)],
                Token::Part => next[at] |= byte != b'/',
                Token::Parts => next[at] = true,
                Token::InDirectories => {
                    next[at] = true;
                    next[at + 1] |= byte == b'/';
                }
                Token::Directories | Token::Nothing => {}
            }
        }
        std::mem::swap(&mut ways, &mut next);
        skip_what_may_be_empty(tokens, &mut ways);
        if !ways.contains(&true) {
            return false;
        }
    }
    ways.last().copied().unwrap_or_default()
}

/// The answer for the commonest patterns (no wildcard, `*` at the end, `*.o`), without following ways.
fn is_simple_match(tokens: &[Token], text: &[u8]) -> Option<bool> {
    match tokens {
        [] => Some(text.is_empty()),
        [Token::Part, rest @ ..] if rest.iter().all(|token| matches!(token, Token::Byte(_))) => {
            let split = text.len().checked_sub(rest.len());
            let Some((front, end)) = split.and_then(|at| text.split_at_checked(at)) else {
                return Some(false);
            };
            let is_end = rest
                .iter()
                .zip(end)
                .all(|(token, byte)| *token == Token::Byte(*byte));
            Some(is_end && !front.contains(&b'/'))
        }
        _ => None,
    }
}

/// Adds the ways on which the next tokens match the empty text.
fn skip_what_may_be_empty(tokens: &[Token], ways: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if ways[at] {
            match token {
                Token::Part | Token::Parts => ways[at + 1] = true,
                Token::Directories => (ways[at + 1], ways[at + 2]) = (true, true),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str, path: &str) -> Option<Verdict> {
        match path.strip_suffix('/') {
            Some(directory) => Gitignore::parse(text.as_bytes()).verdict(directory, true),
            None => Gitignore::parse(text.as_bytes()).verdict(path, false),
        }
    }

    /// The verdicts of git 2.47.
    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        let excluded = [
            ("*.py{}", "a.py{}"),
            ("*.{env,txt}", "a.{env,txt}"),
            ("[[:alpha:]]*.env", "a.env"),
            ("[[:alpha:]]*.env", "Zoo.env"),
            ("trailing\t", "trailing\t"),
            ("spaces  ", "spaces"),
            ("kept\\ ", "kept "),
            ("crlf\r\nlast\r", "crlf"),
            ("crlf\r\nlast\r", "last"),
            ("\u{feff}marked", "marked"),
            ("caf??", "café"),
            ("\\#hash", "#hash"),
            ("\\!bang", "!bang"),
            ("a**b", "aXb"),
            ("/a**b", "aXb"),
            ("**/x", "x"),
            ("**/x", "a/b/x"),
            ("a/**/b", "a/b"),
            ("a/**/b", "a/1/2/b"),
            ("a/**", "a/b/c"),
            ("dir/", "dir/"),
            ("dir/", "a/dir/"),
            ("/only/here", "only/here"),
            ("[]a]", "]"),
            ("[!a]", "b"),
            ("[^a]", "b"),
            ("[a-c]x", "bx"),
            ("[a\\-c]", "-"),
            ("[[:digit:]-]", "-"),
            ("*", "anything"),
            ("?", "a"),
            ("*a*b*c*", "xxaxxbxxcxx"),
        ];
        for (text, path) in excluded {
            assert_eq!(says(text, path), Some(Verdict::Excluded), "{text:?} {path:?}");
        }
        let silent = [
            ("*.py{}", "a.py"),
            ("*.{env,txt}", "a.env"),
            ("[[:alpha:]]*.env", "1.env"),
            ("!", "a"),
            ("!", "!"),
            ("/", "a/"),
            ("   ", "a"),
            ("trailing\t", "trailing"),
            ("caf?", "café"),
            ("#hash", "#hash"),
            ("/a**b", "a/b"),
            ("a/**/b", "ab"),
            ("a/**/b", "a/xb"),
            ("a/**", "a/"),
            ("dir/", "dir"),
            ("only/here", "a/only/here"),
            ("a?b", "a/b"),
            ("/a[/]b", "a/b"),
            ("/a[!x]b", "a/b"),
            ("[a", "[a"),
            ("a\\", "a\\"),
            ("[[:nothing:]]", "n"),
            ("[z-a]", "b"),
            ("a//b", "a/b"),
        ];
        for (text, path) in silent {
            assert_eq!(says(text, path), None, "{text:?} {path:?}");
        }
        assert_eq!(says("*.o\n!keep.o", "keep.o"), Some(Verdict::Included));
        assert_eq!(says("!keep.o\n*.o", "keep.o"), Some(Verdict::Excluded));
    }

    /// A pattern with many ways through, with which a backtracking matcher takes years.
    #[test]
    fn hostile_patterns_cost_their_length_times_the_paths() {
        let pattern = "/".to_owned() + &"**/a*".repeat(200) + "z";
        let path = "a/".repeat(1_000) + "a";
        assert_eq!(says(&pattern, &path), None);
    }
}
