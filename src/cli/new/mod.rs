//! `weir new NAME`: a small program around the library, to begin with.
//!
//! The files lie beside this one, with words in double braces where it puts the name and the like. It writes into a
//! folder of its own, and never over anything.

mod name;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};

use self::name::check_name;
use super::terminal::{EXIT_USAGE, print_error, print_line};

/// The name of the command.
pub(super) const NEW: &str = "new";

const NAME: &str = "name";
const WEIR: &str = "weir";

/// The oldest Rust that builds Weir, and so what depends on it.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Where each file goes, and what is in it.
const FILES: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("Cargo.toml.in")),
    ("src/lib.rs", include_str!("lib.rs.in")),
    ("src/main.rs", include_str!("main.rs.in")),
    ("tests/tools.rs", include_str!("tools.rs.in")),
    ("weir.toml", include_str!("weir.toml.in")),
    ("Dockerfile", include_str!("Dockerfile.in")),
    ("README.md", include_str!("README.md.in")),
    (".gitignore", include_str!("gitignore.in")),
    (".dockerignore", include_str!("dockerignore.in")),
];

/// The command line of it.
pub(super) fn command() -> Command {
    Command::new(NEW)
        .about(
            "Write a small program to begin with: a tool, a resource, a test, a configuration, a Dockerfile",
        )
        .arg(
            Arg::new(NAME)
                .value_name("NAME")
                .required(true)
                .help("The program's name, and that of the folder which is made for it"),
        )
        .arg(
            Arg::new(WEIR)
                .long(WEIR)
                .value_name("PATH")
                .help("A clone of Weir to build with, instead of the package `weir-mcp`"),
        )
}

/// Writes the program.
pub(super) fn run(given: &ArgMatches) -> ExitCode {
    let text = |name| given.get_one::<String>(name).map(String::as_str);
    let name = text(NAME).unwrap_or_default();
    if let Err(reason) = check_name(name) {
        print_error(&reason);
        return ExitCode::from(EXIT_USAGE);
    }
    let weir = match text(WEIR).map(clone).transpose() {
        Ok(weir) => weir,
        Err(reason) => {
            print_error(&reason);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if let Err((path, error)) = write(Path::new(name), &Words::new(name, weir.as_deref())) {
        let next = match error.kind() {
            io::ErrorKind::AlreadyExists => "; give another name, or move it away",
            _ => "",
        };
        print_error(&format!("cannot write {}: {error}{next}", path.display()));
        return ExitCode::FAILURE;
    }
    for line in [
        &format!("{name} is there. Next:"),
        &format!("  cd {name}"),
        "  cargo test                  # calls the tool, without a network",
        "  cargo run                   # serves on http://127.0.0.1:8080/mcp",
    ] {
        print_line(line);
    }
    ExitCode::SUCCESS
}

/// The absolute path of a clone, which the files that name it in double quotes can hold: a manifest, a Dockerfile and
/// commands for a shell.
fn clone(path: &str) -> Result<PathBuf, String> {
    let is_weir = |manifest: &str| manifest.lines().any(|line| line == "name = \"weir-mcp\"");
    let (path, manifest) = manifest(Path::new(path))
        .map_err(|error| format!("{path} is no clone of Weir: cannot read its Cargo.toml: {error}"))?;
    if !is_weir(&manifest) {
        return Err(format!(
            "{} is no clone of Weir: its Cargo.toml is of another package",
            path.display()
        ));
    }
    match path
        .to_str()
        .map(|text| text.chars().find(|c| means_something(*c)))
    {
        Some(None) => Ok(path),
        Some(Some(character)) => Err(format!(
            "{path:?} has a {character:?}, which means something in the files that would name it; move the clone"
        )),
        None => Err(format!("{path:?} is not UTF-8, as a manifest is; move the clone")),
    }
}

/// The whole path of a folder, and the text of its manifest.
fn manifest(folder: &Path) -> io::Result<(PathBuf, String)> {
    let path = folder.join("Cargo.toml");
    // Whoever opens a pipe waits for its writer.
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    Ok((fs::canonicalize(folder)?, fs::read_to_string(path)?))
}

/// Whether a character is no plain one within double quotes, to TOML, Docker or a shell, or to the templates.
fn means_something(c: char) -> bool {
    c.is_control() || matches!(c, '"' | '\\' | '$' | '`' | '!' | '{' | '}')
}

/// Words that stand in double braces, and what they stand for.
struct Words(Vec<(&'static str, String)>);

impl Words {
    fn new(name: &str, weir: Option<&Path>) -> Self {
        let (source, docker_weir, docker_context) = match weir {
            None => (
                format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
                String::new(),
                String::new(),
            ),
            Some(path) => {
                let path = path.display();
                (
                    format!("path = \"{path}\""),
                    format!("# The clone that Cargo.toml names.\nCOPY --from=weir . \"{path}\"\n"),
                    format!("--build-context weir=\"{path}\" "),
                )
            }
        };
        let dependency = |feature: &str| {
            format!("weir-mcp = {{ {source}, default-features = false, features = [\"{feature}\"] }}")
        };
        Self(vec![
            ("name", name.to_owned()),
            ("crate", name.replace('-', "_")),
            ("rust", RUST.to_owned()),
            ("weir", dependency("cli")),
            ("weir_testing", dependency("testing")),
            ("docker_weir", docker_weir),
            ("docker_context", docker_context),
        ])
    }

    fn put_into(&self, template: &str) -> String {
        let words = self.0.iter();
        words.fold(template.to_owned(), |text, (word, meant)| {
            text.replace(&format!("{{{{{word}}}}}"), meant)
        })
    }
}

/// Makes the folder, and all files in it.
fn write(folder: &Path, words: &Words) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    fs::create_dir(folder).map_err(at(folder))?;
    for (path, template) in FILES {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let written = File::create_new(&path);
        let written = written.and_then(|mut file| file.write_all(words.put_into(template).as_bytes()));
        written.map_err(at(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_known_and_every_template_is_used() {
        let known = Words::new("greeter", None);
        for (path, template) in FILES {
            let text = known.put_into(template);
            let is_word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let words = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
            for (word, _) in words {
                assert!(!is_word(word), "{path}: {word}");
            }
        }
        let beside = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/new")).unwrap();
        let names = beside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let templates = names.filter(|name| name.ends_with(".in")).count();
        assert_eq!(templates, FILES.len());
    }

    #[test]
    fn a_clone_is_named_wherever_it_is_needed() {
        let words = Words::new("greeter", Some(Path::new("/home/me/weir")));
        let manifest = words.put_into(FILES[0].1);
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(
            manifest["dependencies"]["weir-mcp"]["path"].as_str(),
            Some("/home/me/weir")
        );
        let all: String = FILES
            .iter()
            .map(|(_, template)| words.put_into(template))
            .collect();
        assert!(
            all.contains("COPY --from=weir . \"/home/me/weir\"\nWORKDIR"),
            "{all}"
        );
        assert!(
            all.contains("docker build --build-context weir=\"/home/me/weir\" -t greeter ."),
            "{all}"
        );
        let published = Words::new("greeter", None).put_into(FILES[0].1);
        let version = format!("weir-mcp = {{ version = \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(published.contains(&version), "{published}");
    }
}
