//! Paths that walks leave out, compared with git's own choice, on random trees.

use super::*;

/// Names and parts of names; some of them have a meaning to some matcher.
const NAMES: [&str; 22] = [
    "a",
    "b",
    "ab",
    "foo",
    "foobar",
    "Foo",
    "a.o",
    "foo.o",
    "x.py{}",
    "x.py",
    "a.env",
    "a.{env,txt}",
    "{a,b}",
    "[a]",
    "a b",
    "b ",
    "tab\t",
    "!a",
    "#a",
    "é",
    "-",
    "a\\b",
];

const PIECES: [&str; 34] = [
    "*",
    "*",
    "**",
    "**/",
    "/**",
    "/**/",
    "?",
    "/",
    "/",
    "[ab]",
    "[!a]",
    "[^a]",
    "[a-f]",
    "[]a]",
    "[[:alpha:]]",
    "[[:digit:]x]",
    "[",
    "]",
    "\\",
    "{",
    "}",
    ",",
    "!",
    "#",
    " ",
    "\t",
    "a",
    "b",
    "foo",
    ".o",
    "*.",
    "env",
    "é",
    "-",
];

struct Git {
    tree: Tree,
    random: fastrand::Rng,
}

impl Git {
    fn command(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.tree.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.tree.base)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output();
        match output {
            Ok(output) => {
                assert!(
                    output.status.success(),
                    "{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                Some(output.stdout)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("git: {error}"),
        }
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.random.usize(..NAMES.len())]
    }

    fn path(&mut self) -> String {
        let depth = self.random.usize(1..=4);
        (0..depth).map(|_| self.name()).collect::<Vec<_>>().join("/")
    }

    fn pattern(&mut self) -> String {
        let mut pattern = match self.random.u8(..6) {
            0 => "!".to_owned(),
            1 => "/".to_owned(),
            _ => String::new(),
        };
        for _ in 0..self.random.usize(..=4) {
            pattern.push_str(if self.random.bool() {
                PIECES[self.random.usize(..PIECES.len())]
            } else {
                self.name()
            });
        }
        pattern.push_str(["", "", "", "/", " ", "\t", "\r"][self.random.usize(..7)]);
        pattern
    }

    fn rules(&mut self) -> String {
        let mark = if self.random.u8(..20) == 0 { "\u{feff}" } else { "" };
        let lines = self.random.usize(1..=6);
        let lines: Vec<String> = (0..lines).map(|_| self.pattern()).collect();
        format!("{mark}{}", lines.join("\n"))
    }

    /// Another tree in the place of the last one.
    fn grow(&mut self) {
        for entry in fs::read_dir(self.tree.path("")).unwrap() {
            let entry = entry.unwrap();
            let is_directory = entry.file_type().unwrap().is_dir();
            if is_directory && entry.file_name() == ".git" {
                continue;
            }
            if is_directory {
                fs::remove_dir_all(entry.path()).unwrap();
            } else {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        for _ in 0..self.random.usize(5..40) {
            let path = self.path();
            let file = self.tree.path(&path);
            // A name may be a file or a directory already.
            let _ = fs::create_dir_all(file.parent().unwrap());
            let _ = match self.random.u8(..12) {
                0 => symlink("a", &file),
                1 => fs::write(file.parent().unwrap().join(".gitignore"), self.rules()),
                _ => fs::write(&file, ""),
            };
        }
        let rules = self.rules();
        self.tree.file(".gitignore", rules);
        let exclude = if self.random.bool() {
            self.rules()
        } else {
            String::new()
        };
        self.tree.file(".git/info/exclude", exclude);
    }

    fn all_rules(&self) -> String {
        let mut shown = String::new();
        let mut left = vec![self.tree.path("")];
        while let Some(path) = left.pop() {
            let is_rules = path.ends_with(".gitignore") || path.ends_with("info/exclude");
            if path.is_dir() && !path.is_symlink() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if is_rules {
                shown.push_str(&format!("{path:?}: {:?}\n", fs::read_to_string(&path)));
            }
        }
        shown
    }
}

#[test]
fn what_git_leaves_out_is_left_out_and_nothing_else() {
    let seed = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(11);
    let mut git = Git {
        tree: Tree::new(),
        random: fastrand::Rng::with_seed(seed),
    };
    if git.command(&["init", "-q"]).is_none() {
        eprintln!("there is no git here to compare with");
        return;
    }
    for round in 0..150 {
        git.grow();
        let listed = git
            .command(&["ls-files", "-z", "-c", "-o", "--exclude-standard"])
            .unwrap();
        let listed = String::from_utf8(listed).unwrap();
        let gits: BTreeSet<&str> = listed.split_terminator('\0').collect();
        let found = find(&git.tree.root(), "**");
        let ours = found.paths.iter().map(String::as_str);
        let ours: BTreeSet<&str> = ours.filter(|path| !path.ends_with('/')).collect();
        assert!(!found.truncated);
        assert_eq!(ours, gits, "seed {seed}, round {round}\n{}", git.all_rules());
    }
}
