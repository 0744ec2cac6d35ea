//! `weir new`, and the program that it writes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{CLONE, WEIR, cargo, folder, text};

fn new(within: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(WEIR);
    command
        .arg("new")
        .args(arguments)
        .current_dir(within)
        .output()
        .unwrap()
}

#[test]
fn a_new_program_builds_and_passes_its_test() {
    let within = folder("new");
    let made = new(&within, &["greeter-one", "--weir", CLONE]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(text(&made.stderr), "");
    for line in [
        "greeter-one is there. Next:",
        "  cd greeter-one",
        "  cargo test",
        "  cargo run",
    ] {
        assert!(text(&made.stdout).contains(line), "{}", text(&made.stdout));
    }
    let package = within.join("greeter-one");
    let tested = cargo(&package, &["test"]);
    let (out, errors) = (text(&tested.stdout), text(&tested.stderr));
    assert!(tested.status.success(), "{out}\n{errors}");
    assert!(out.contains("test somebody_is_greeted ... ok"), "{out}");
    assert!(
        !errors.contains("greeter-one` (lib) generated"),
        "it has warnings: {errors}"
    );
    // The program is formatted as rustfmt does it by itself, whichever folder this test's own lies in.
    let formatted = Command::new("rustfmt")
        .args([
            "--config-path",
            "/dev/null",
            "--edition",
            "2024",
            "--check",
            "src/lib.rs",
            "src/main.rs",
            "tests/tools.rs",
        ])
        .current_dir(&package)
        .output()
        .unwrap();
    assert!(formatted.status.success(), "{}", text(&formatted.stdout));
    // Its configuration is one.
    let checked = Command::new(WEIR)
        .args(["check", "weir.toml"])
        .current_dir(&package)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

#[test]
fn nothing_is_written_over_and_names_are_checked() {
    let within = folder("refused");
    fs::create_dir(within.join("taken")).unwrap();
    fs::write(within.join("file"), "").unwrap();
    for (arguments, status, reason) in [
        (
            &["taken"][..],
            1,
            "cannot write taken: File exists (os error 17); give another name, or move it away",
        ),
        (&["file"], 1, "cannot write file: File exists"),
        (&["Greeter"], 2, "`Greeter` cannot name a program"),
        (&["../greeter"], 2, "`../greeter` cannot name a program"),
        (&["weir"], 2, "`weir` means something else already"),
        (
            &["greeter", "--weir", "nowhere"],
            2,
            "nowhere is no clone of Weir: cannot read its Cargo.toml",
        ),
        (&[], 2, "required arguments were not provided"),
    ] {
        let refused = new(&within, arguments);
        let errors = text(&refused.stderr);
        assert!(errors.contains(reason), "{arguments:?}: {errors}");
        assert_eq!(
            (refused.status.code(), text(&refused.stdout)),
            (Some(status), ""),
            "{arguments:?}"
        );
    }
    fs::create_dir(within.join("other")).unwrap();
    fs::write(within.join("other/Cargo.toml"), "[package]\nname = \"other\"\n").unwrap();
    let refused = new(&within, &["greeter", "--weir", "other"]);
    assert!(
        text(&refused.stderr).contains("other is no clone of Weir: its Cargo.toml is of another package")
    );
    let mut left: Vec<_> = fs::read_dir(&within)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["file", "other", "taken"]);
    assert_eq!(fs::read_dir(within.join("taken")).unwrap().count(), 0);
}

/// The clone's path goes into a manifest, a Dockerfile and commands for a shell.
#[test]
fn a_clone_at_a_path_that_means_something_is_refused() {
    let within = folder("odd");
    let names = [
        "$HOME", "`id`", "a\"b", "a\\b", "a\nb", "a!b", "a\u{1b}b", "${x}", "{{name}}",
    ];
    for name in names {
        fs::create_dir(within.join(name)).unwrap();
        fs::write(within.join(name).join("Cargo.toml"), "name = \"weir-mcp\"\n").unwrap();
        let refused = new(&within, &["greeter", "--weir", name]);
        let errors = text(&refused.stderr);
        assert!(
            errors.contains("means something in the files that would name it; move the clone"),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert_eq!(refused.status.code(), Some(2), "{name}");
    }
    assert!(!within.join("greeter").exists());
    fs::create_dir(within.join("it's a # clone, größer")).unwrap();
    fs::write(
        within.join("it's a # clone, größer/Cargo.toml"),
        "name = \"weir-mcp\"\n",
    )
    .unwrap();
    let made = new(&within, &["greeter", "--weir", "it's a # clone, größer"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
}

#[test]
fn a_manifest_that_is_no_regular_file_is_refused() {
    let within = folder("pipes");
    fs::create_dir_all(within.join("folder/Cargo.toml")).unwrap();
    fs::create_dir(within.join("pipe")).unwrap();
    let pipe = within.join("pipe/Cargo.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in ["folder", "pipe"] {
        let refused = new(&within, &["greeter", "--weir", path]);
        let expected =
            format!("{path} is no clone of Weir: cannot read its Cargo.toml: it is no regular file");
        assert!(
            text(&refused.stderr).contains(&expected),
            "{}",
            text(&refused.stderr)
        );
        assert_eq!(refused.status.code(), Some(2));
    }
}

/// Without a clone, the package is the published one of this version.
#[test]
fn the_package_is_named_as_it_is_published() {
    let within = folder("published");
    assert!(new(&within, &["greeter"]).status.success());
    let manifest = fs::read_to_string(within.join("greeter/Cargo.toml")).unwrap();
    let dependency = format!("weir-mcp = {{ version = \"{}\",", env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest.matches(&dependency).count(), 2, "{manifest}");
    let minimum = format!("rust-version = \"{}\"", env!("CARGO_PKG_RUST_VERSION"));
    assert!(manifest.contains(&minimum), "{manifest}");
}
