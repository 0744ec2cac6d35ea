//! Where the elements of a top-level array lie in its text.
//!
//! This is for batches: each element is later parsed by itself from the body's own bytes, so that nothing parsed has to
//! be kept while the element before it runs. The text must have been parsed before: for other texts the result is
//! meaningless, though never a panic.

use std::ops::Range;

use super::prescan::after_string;

/// Byte range of one element, without the white space and commas around it.
pub type ElementSpan = Range<usize>;

/// The spans of the elements of the array in `text`, which must be a valid JSON text.
pub fn element_spans(text: &[u8]) -> Vec<ElementSpan> {
    let mut spans = Vec::new();
    let mut depth = 0_usize;
    let mut start = None;
    let mut end = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let here = at;
        at += 1;
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => continue,
            b'[' | b'{' => {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    spans.extend(start.take().map(|start| start..end));
                    continue;
                }
            }
            b',' if depth == 1 => {
                spans.extend(start.take().map(|start| start..end));
                continue;
            }
            b'"' => {
                let rest = text.get(at..).and_then(after_string).map_or(0, <[u8]>::len);
                at = text.len() - rest;
            }
            _ => {}
        }
        start.get_or_insert(here);
        end = at;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<&str> {
        element_spans(text.as_bytes())
            .into_iter()
            .map(|span| &text[span])
            .collect()
    }

    #[test]
    fn finds_each_element() {
        assert!(elements(" [ ] ").is_empty());
        assert_eq!(
            elements(r#"[ {"a":[1,2]} , "x,]\"" ,3 ,[ [] ] ]"#),
            [r#"{"a":[1,2]}"#, r#""x,]\"""#, "3", "[ [] ]"]
        );
    }

    #[test]
    fn agrees_with_a_parser() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let values: Vec<serde_json::Value> =
                (0..rng.usize(0..6)).map(|_| random_value(&mut rng, 3)).collect();
            let text = serde_json::to_string_pretty(&values).unwrap();
            let found: Vec<serde_json::Value> = elements(&text)
                .into_iter()
                .map(|element| serde_json::from_str(element).unwrap())
                .collect();
            assert_eq!(found, values);
        }
    }

    fn random_value(rng: &mut fastrand::Rng, depth: u8) -> serde_json::Value {
        match rng.u8(0..if depth == 0 { 3 } else { 5 }) {
            0 => rng.i32(..).into(),
            1 => rng.bool().into(),
            2 => (0..rng.usize(0..5))
                .map(|_| rng.choice(['"', '\\', ',', ']', '}', 'é']).unwrap())
                .collect::<String>()
                .into(),
            3 => (0..rng.usize(0..4))
                .map(|_| random_value(rng, depth - 1))
                .collect::<Vec<_>>()
                .into(),
            _ => serde_json::Value::Object(
                (0..rng.usize(0..4))
                    .map(|n| (n.to_string(), random_value(rng, depth - 1)))
                    .collect(),
            ),
        }
    }
}
