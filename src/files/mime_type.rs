//! The type of a file by its name, for the types that models and editors meet daily.

/// Endings, lower case, and types. Source code is text to every client; only types with a name of their own stand
/// here.
const TYPES: [(&str, &str); 28] = [
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("py", "text/x-python"),
    ("rs", "text/x-rust"),
    ("svg", "image/svg+xml"),
    ("toml", "application/toml"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The type that the name's ending stands for.
pub(super) fn by_name(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
    known.map(|(_, mime_type)| *mime_type)
}

/// The type of a file whose contents were looked at.
pub(super) fn of(path: &str, is_text: bool) -> &'static str {
    by_name(path).unwrap_or(if is_text {
        "text/plain"
    } else {
        "application/octet-stream"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_types() {
        assert_eq!(of("a/B.PNG", false), "image/png");
        assert_eq!(of("a.tar.gz", false), "application/gzip");
        assert_eq!(of("a.rs/b", true), "text/plain");
        assert_eq!(of("png", false), "application/octet-stream");
        assert!(TYPES.is_sorted());
    }
}
