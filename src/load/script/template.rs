//! Arguments of calls with places to fill in: counters, random text and numbers, lines of a file.

use std::fmt::Write;
use std::fs;
use std::str::FromStr;
use std::sync::Arc;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const KNOWN: &str = "{{counter}}, {{random:LENGTH}}, {{number:LEAST..MOST}}, {{line:FILE}}";
/// Longest random text.
const RANDOM_MAX: usize = 16 << 20;

/// A JSON object's text with places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Counter,
    Random(usize),
    Number(i64, i64),
    /// Lines as they stand in a JSON string, in turn.
    Line(Arc<[String]>),
}

/// What places are filled with.
#[derive(Debug)]
pub(crate) struct Filling {
    random: fastrand::Rng,
    counter: u64,
    step: u64,
}

impl Filling {
    /// Of one of several threads, whose counters and random numbers differ.
    pub(crate) fn new(seed: u64, thread: u64, threads: u64) -> Filling {
        Filling {
            random: fastrand::Rng::with_seed(seed ^ thread.rotate_left(32)),
            counter: thread,
            step: threads,
        }
    }

    /// A number from 0 on, below `end`.
    pub(crate) fn below(&mut self, end: f64) -> f64 {
        self.random.f64() * end
    }
}

impl Template {
    /// Whether all that comes of it is the same.
    pub(crate) fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Appends its text with all places filled. All of its places have the same count.
    pub(crate) fn fill(&self, filling: &mut Filling, out: &mut String) {
        let count = filling.counter;
        if !self.is_constant() {
            filling.counter += filling.step;
        }
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Counter => {
                    let _ = write!(out, "{}", count + 1);
                }
                Part::Random(length) => {
                    out.extend(
                        (0..*length).map(|_| char::from(LETTERS[filling.random.usize(..LETTERS.len())])),
                    );
                }
                Part::Number(least, most) => {
                    let _ = write!(out, "{}", filling.random.i64(*least..=*most));
                }
                Part::Line(lines) => out.push_str(&lines[count as usize % lines.len()]),
            }
        }
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            // Braces also end objects: `{"a":{{counter}}}`.
            let Some((place, after)) = after.split_once("}}") else {
                break;
            };
            // And begin them: `[{{"a":1}}]` is no JSON, so it needs no way to be written.
            parts.push(Part::Text(before.to_owned()));
            parts.push(part(place)?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        let template = Template { parts };
        let mut filled = String::new();
        template.fill(&mut Filling::new(0, 0, 1), &mut filled);
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&filled) {
            Ok(_) => Ok(template),
            Err(error) => Err(format!(
                "`{text}` is no JSON object once its places are filled: {error}"
            )),
        }
    }
}

fn part(place: &str) -> Result<Part, String> {
    let unknown = || format!("{{{{{place}}}}} cannot be filled in; there are {KNOWN}");
    let (name, argument) = place.split_once(':').unwrap_or((place, ""));
    match (name.trim(), argument.trim()) {
        ("counter", "") => Ok(Part::Counter),
        ("random", length) => {
            let length = length.parse().ok().filter(|length| *length <= RANDOM_MAX);
            length.map(Part::Random).ok_or_else(unknown)
        }
        ("number", range) => {
            let range = range.split_once("..").and_then(|(least, most)| {
                let range: (i64, i64) = (least.parse().ok()?, most.parse().ok()?);
                (range.0 <= range.1).then_some(range)
            });
            range
                .map(|(least, most)| Part::Number(least, most))
                .ok_or_else(unknown)
        }
        ("line", file) if !file.is_empty() => {
            let text = fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
            let lines: Arc<[String]> = text.lines().map(quoted).collect();
            if lines.is_empty() {
                return Err(format!("{file} has no lines"));
            }
            Ok(Part::Line(lines))
        }
        _ => Err(unknown()),
    }
}

/// Text as it stands inside a JSON string.
fn quoted(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, filling: &mut Filling) -> String {
        let mut out = String::new();
        text.parse::<Template>().unwrap().fill(filling, &mut out);
        out
    }

    #[test]
    fn places_are_filled() {
        let mut filling = Filling::new(1, 0, 1);
        assert_eq!(filled(r#"{"a":{"b":1}}"#, &mut filling), r#"{"a":{"b":1}}"#);
        let text = r#"{"n":{{counter}},"s":"no {{counter}}"}"#;
        assert_eq!(filled(text, &mut filling), r#"{"n":1,"s":"no 1"}"#);
        assert_eq!(filled(text, &mut filling), r#"{"n":2,"s":"no 2"}"#);
        let text = filled(r#"{"s":"{{random:40}}"}"#, &mut filling);
        assert_eq!(text.len(), r#"{"s":""}"#.len() + 40);
        for _ in 0..100 {
            let text = filled(r#"{"n":{{number:-2..3}}}"#, &mut filling);
            let number: i64 = text[5..text.len() - 1].parse().unwrap();
            assert!((-2..=3).contains(&number), "{number}");
        }
    }

    #[test]
    fn threads_share_the_count_and_not_the_randomness() {
        let text = r#"{"a":"{{counter}} {{random:9}}"}"#;
        let [mut first, mut second] = [Filling::new(7, 0, 2), Filling::new(7, 1, 2)];
        let all: Vec<String> = (0..4)
            .map(|turn| filled(text, if turn % 2 == 0 { &mut first } else { &mut second }))
            .collect();
        for (index, text) in all.iter().enumerate() {
            assert!(text.starts_with(&format!(r#"{{"a":"{} "#, index + 1)), "{text}");
        }
        assert_ne!(all[0][9..], all[1][9..]);
    }

    #[test]
    fn lines_come_in_turn() {
        let file = std::env::temp_dir().join(format!("weir-bench-lines-{}", std::process::id()));
        fs::write(&file, "one\nsay \"two\"\n").unwrap();
        let template: Template = format!(r#"{{"a":"{{{{line:{}}}}}"}}"#, file.display())
            .parse()
            .unwrap();
        fs::remove_file(&file).unwrap();
        let mut filling = Filling::new(1, 0, 1);
        for expected in [r#"{"a":"one"}"#, r#"{"a":"say \"two\""}"#, r#"{"a":"one"}"#] {
            let mut out = String::new();
            template.fill(&mut filling, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn what_cannot_be_filled_is_said() {
        for (text, word) in [
            (r#"{"a":"{{now}}"}"#, "{{counter}}"),
            (r#"{"a":"{{random:x}}"}"#, "{{random:x}}"),
            (r#"{"a":{{number:3..1}}}"#, "LEAST..MOST"),
            (r#"{"a":"{{line:/nonexistent}}"}"#, "/nonexistent"),
            (r#"{"a":{{random:3}}}"#, "no JSON object"),
            ("[1]", "no JSON object"),
        ] {
            let error = text.parse::<Template>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
