//! Texts as JSON strings.

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` cannot fail, and serialising a string cannot fail in any other way.
    let _ = serde_json::to_writer(out, text);
}
