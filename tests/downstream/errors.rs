//! What the compiler says of mistakes that authors make.
//!
//! Each file in `errors` is a program with one mistake. Its lines that begin with `//~` are what the compiler says, in
//! this order; it may say more, because other words are the compiler's own and change with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{CLONE, cargo, folder, text};

/// What every program begins with.
const PRELUDE: &str = "#![allow(unused)]
use std::rc::Rc;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use weir::*;

#[derive(Deserialize, JsonSchema)]
struct Search {
    text: String,
}

struct Tracker;

impl Tracker {
    async fn find(&self, text: &str) -> Result<String, std::io::Error> {
        Ok(text.to_owned())
    }
}
";

/// The programs, by name.
fn programs() -> BTreeMap<String, String> {
    let entries = fs::read_dir(Path::new(CLONE).join("tests/downstream/errors")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let named = paths.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    });
    named.collect()
}

/// The compiler's errors, by program: words with one space between them.
fn said(output: &str) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for line in output.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let is_error = message["message"]["level"] == "error";
        if let (true, Some(target)) = (is_error, message["target"]["name"].as_str()) {
            let rendered = message["message"]["rendered"].as_str().unwrap();
            let words: Vec<&str> = rendered.split_whitespace().filter(|word| *word != "|").collect();
            let all: &mut String = said.entry(target.to_owned()).or_default();
            all.push_str(&words.join(" "));
            all.push('\n');
        }
    }
    said
}

#[test]
fn mistakes_are_told_in_words_that_help() {
    let package = folder("mistakes");
    fs::create_dir_all(package.join("examples")).unwrap();
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(package.join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = \"mistakes\"\nedition = \"2024\"\n\n[dependencies]\nweir-mcp = {{ path = {CLONE:?}, \
         default-features = false }}\nschemars = \"1\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    let programs = programs();
    for (name, program) in &programs {
        let path = package.join("examples").join(name).with_extension("rs");
        fs::write(path, format!("{PRELUDE}{program}")).unwrap();
    }
    // Programs that do not compile are not built either, so nothing but this crate is, which other tests need too.
    let built = cargo(
        &package,
        &["build", "--examples", "--keep-going", "--message-format=json"],
    );
    let said = said(text(&built.stdout));
    assert!(programs.len() >= 12, "{}", programs.len());
    for (name, program) in &programs {
        let said = said
            .get(name)
            .unwrap_or_else(|| panic!("{name} compiles: {}", text(&built.stderr)));
        let mut rest = said.as_str();
        let expected: Vec<&str> = program
            .lines()
            .filter_map(|line| line.strip_prefix("//~ "))
            .collect();
        assert!(!expected.is_empty(), "{name} expects nothing");
        for line in expected {
            let Some(at) = rest.find(line) else {
                panic!("{name}: {line:?} is not said, or not there:\n{said}");
            };
            rest = &rest[at + line.len()..];
        }
    }
    assert_eq!(said.len(), programs.len(), "{:?}", said.keys());
}
