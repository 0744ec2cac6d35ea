//! How many packages a program gets with this crate.

use std::collections::BTreeSet;
use std::process::Command;

use super::{CLONE, text};

/// The most packages, this one included, that are built for a program that takes no feature. The executor, the readers
/// and writers of JSON and the schemas' types are 95 of them, the validator of schemas 38 more. Raise it with a reason.
const PACKAGES_MAX: usize = 176;

#[test]
fn a_program_without_features_gets_few_packages() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--no-default-features"])
        .args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe"])
        .current_dir(CLONE)
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", text(&tree.stderr));
    // `name v1.2.3 (…)`
    let packages = text(&tree.stdout).lines();
    let packages = packages.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let packages: BTreeSet<String> = packages.collect();
    assert!(
        packages.contains(concat!("weir-mcp v", env!("CARGO_PKG_VERSION"))),
        "{packages:?}"
    );
    for absent in ["clap", "tokio", "toml", "cap-std"] {
        let is_it = |package: &String| package.split(' ').next() == Some(absent);
        assert!(!packages.iter().any(is_it), "{absent} came along");
    }
    assert!(
        packages.len() <= PACKAGES_MAX,
        "{} packages, but no more than {PACKAGES_MAX} are expected:\n{packages:?}",
        packages.len()
    );
}
