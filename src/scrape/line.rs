//! One line of the text format: `name{label="value",…} number [time] [# exemplar]`.
//!
//! The formats are those of Prometheus 0.0.4 and OpenMetrics 1.0. Names are of the old alphabet; quoted names, which
//! no Weir server has, are refused. Times and exemplars are read and left out.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use super::labels::Labels;

/// The most labels of one sample.
const LABELS_MAX: usize = 64;

/// Reads one sample; what is wrong with the line otherwise.
pub(super) fn sample(line: &str) -> Result<(&str, Labels, f64), &'static str> {
    let mut rest = Rest(line);
    let name = rest.name(true).ok_or("no metric name")?;
    rest.skip_blanks();
    let labels = rest.labels()?;
    rest.skip_blanks();
    let value = number(rest.word()).ok_or("no number")?;
    rest.skip_blanks();
    if !rest.0.is_empty() && !rest.0.starts_with('#') {
        number(rest.word()).ok_or("no time")?;
        rest.skip_blanks();
    }
    if let Some(exemplar) = rest.0.strip_prefix('#') {
        check_exemplar(exemplar)?;
    } else if !rest.0.is_empty() {
        return Err("more than a sample");
    }
    Ok((name, labels, value))
}

/// ` {label="value"} number [time]`, behind the `#`.
fn check_exemplar(text: &str) -> Result<(), &'static str> {
    let mut rest = Rest(text);
    rest.skip_blanks();
    if !rest.0.starts_with('{') {
        return Err("no exemplar");
    }
    rest.labels()?;
    rest.skip_blanks();
    number(rest.word()).ok_or("no number of an exemplar")?;
    rest.skip_blanks();
    if !rest.0.is_empty() {
        number(rest.word()).ok_or("no time of an exemplar")?;
        rest.skip_blanks();
    }
    if rest.0.is_empty() {
        Ok(())
    } else {
        Err("more than an exemplar")
    }
}

/// A number as the format has it. Rust's own parser also takes `infinity` and `nan` in any case, which are none here.
fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => {
            let is_number =
                |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
            text.bytes().all(is_number).then(|| text.parse().ok()).flatten()
        }
    }
}

/// What has not been read of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    /// Everything up to a blank.
    fn word(&mut self) -> &'a str {
        self.take(self.0.find([' ', '\t']).unwrap_or(self.0.len()))
    }

    /// A name of a metric, which may have colons, or of a label.
    fn name(&mut self, may_have_colon: bool) -> Option<&'a str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (may_have_colon && c == ':');
        let name = self.take(self.0.find(|c| !is_part(c)).unwrap_or(self.0.len()));
        let is_name = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        is_name.then_some(name)
    }

    /// `{label="value",…}`, with a comma behind the last one allowed, or nothing at all.
    fn labels(&mut self) -> Result<Labels, &'static str> {
        let mut labels = Vec::new();
        if !self.skip("{") {
            return Ok(Labels::default());
        }
        loop {
            self.skip_blanks();
            if self.skip("}") {
                break;
            }
            if labels.len() == LABELS_MAX {
                return Err("too many labels");
            }
            let name = self.name(false).ok_or("no label name")?;
            self.skip_blanks();
            if !self.skip("=") {
                return Err("no label value");
            }
            self.skip_blanks();
            if !self.skip("\"") {
                return Err("no label value");
            }
            labels.push((name.to_owned(), self.quoted()?));
            self.skip_blanks();
            if !self.skip(",") && !self.0.starts_with('}') {
                return Err("labels do not end");
            }
        }
        Labels::new(labels).ok_or("a label twice")
    }

    /// A label's value up to its closing quote, unescaped. An escape that the format does not have stands for itself,
    /// as Prometheus reads it.
    fn quoted(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        loop {
            let plain = self.0.find(['"', '\\']).ok_or("a label value does not end")?;
            value.push_str(self.take(plain));
            if self.skip("\"") {
                return Ok(value);
            }
            self.skip("\\");
            let escaped = self.0.chars().next().ok_or("a label value does not end")?;
            self.take(escaped.len_utf8());
            match escaped {
                'n' => value.push('\n'),
                '\\' | '"' => value.push(escaped),
                other => value.extend(['\\', other]),
            }
        }
    }

    /// Whether `text` came next; it is read then.
    fn skip(&mut self, text: &str) -> bool {
        match self.0.strip_prefix(text) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Labels::new(owned.collect()).unwrap()
    }

    #[test]
    fn samples_of_both_formats_are_read() {
        let cases = [
            ("a 1", "a", labels(&[]), 1.0),
            ("a{} 1", "a", labels(&[]), 1.0),
            ("a:b\t 1e-3 1700000000000", "a:b", labels(&[]), 0.001),
            (
                "a { x = \"1\" , y=\"2\" , } 4",
                "a",
                labels(&[("x", "1"), ("y", "2")]),
                4.0,
            ),
            (
                r#"a{x="q\"\\\n,}",y=""} 3"#,
                "a",
                labels(&[("x", "q\"\\\n,}"), ("y", "")]),
                3.0,
            ),
            (r#"a{x="\d\ü"} 3"#, "a", labels(&[("x", "\\d\\ü")]), 3.0),
            (
                "h_bucket{le=\"+Inf\"} +Inf",
                "h_bucket",
                labels(&[("le", "+Inf")]),
                f64::INFINITY,
            ),
            ("a -Inf", "a", labels(&[]), f64::NEG_INFINITY),
            (
                "h_bucket{le=\"1\"} 17 # {trace_id=\"a # b\"} 0.67 1520879607.789",
                "h_bucket",
                labels(&[("le", "1")]),
                17.0,
            ),
            ("a_total 17 1520879607.789 # {} 1", "a_total", labels(&[]), 17.0),
        ];
        for (line, name, labels, value) in cases {
            assert_eq!(sample(line), Ok((name, labels, value)), "{line}");
        }
        assert!(sample("a NaN").unwrap().2.is_nan());
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        let many: String = (0..=LABELS_MAX)
            .map(|number| format!("l{number}=\"\","))
            .collect();
        let many = format!("a{{{many}}} 1");
        for (line, reason) in [
            ("1a 1", "no metric name"),
            ("{a=\"b\"} 1", "no metric name"),
            ("ä 1", "no metric name"),
            ("a", "no number"),
            ("a nan", "no number"),
            ("a infinity", "no number"),
            ("a 0x10", "no number"),
            ("a 1 x", "no time"),
            ("a 1 2 3", "more than a sample"),
            ("a{b:c=\"\"} 1", "no label value"),
            ("a{\"b\"=\"\"} 1", "no label name"),
            ("a{b=c} 1", "no label value"),
            ("a{b} 1", "no label value"),
            ("a{b=\"} 1", "a label value does not end"),
            ("a{b=\"\\", "a label value does not end"),
            ("a{b=\"\"c=\"\"} 1", "labels do not end"),
            ("a{b=\"\"", "labels do not end"),
            ("a{b=\"\",", "no label name"),
            ("a{b=\"\",b=\"\"} 1", "a label twice"),
            ("a 1 # x", "no exemplar"),
            ("a 1 # {x=\"\"}", "no number of an exemplar"),
            ("a 1 # {} 1 y", "no time of an exemplar"),
            ("a 1 # {} 1 2 3", "more than an exemplar"),
            (&many, "too many labels"),
        ] {
            assert_eq!(sample(line), Err(reason), "{line}");
        }
    }

    #[test]
    fn no_line_makes_it_panic() {
        let mut random = fastrand::Rng::with_seed(5);
        let alphabet = [
            'a', '{', '}', '"', '\\', '=', ',', '#', ' ', '1', 'é', '\u{1b}', '\t', '+', 'n',
        ];
        for _ in 0..50_000 {
            let length = random.usize(..24);
            let line: String = (0..length)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            let _ = sample(&line);
        }
    }
}
