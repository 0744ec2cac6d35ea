//! Names of packages.

/// The longest name that registries take.
const NAME_CHARS_MAX: usize = 64;

/// Names that are words of the language, or of packages that the program or its build has.
const TAKEN: [&str; 67] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "main",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tests",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "weir",
    "weir_mcp",
    "where",
    "while",
    "yield",
];

/// Whether a package can have this name, and a URI a scheme of it.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_of_names = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > NAME_CHARS_MAX
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(is_of_names)
    {
        return Err(format!(
            "`{}` cannot name a program: write a lower-case letter, and at most {} more, digits and `-` behind it",
            name.escape_debug(),
            NAME_CHARS_MAX - 1
        ));
    }
    if TAKEN.contains(&&*name.replace('-', "_")) {
        return Err(format!(
            "`{name}` means something else already; give another name"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "greeter", "my-server-2", &"a".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "2a",
            "-a",
            "A",
            "a_b",
            "a b",
            "a/b",
            "../a",
            "größe",
            &"a".repeat(65),
        ] {
            let refused = check_name(name).unwrap_err();
            assert!(refused.contains("cannot name a program"), "{refused}");
        }
        for name in ["weir", "weir-mcp", "serde-json", "test", "async", "std"] {
            let refused = check_name(name).unwrap_err();
            assert!(refused.contains("means something else"), "{refused}");
        }
        assert!(TAKEN.is_sorted());
    }
}
