//! The file that a name starts, as the system looks for it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::spec::ChildSpec;

/// Where programs are looked for without a `PATH`.
const PATH: &str = "/bin:/usr/bin";
const EXECUTABLE: u32 = 0o111;

impl ChildSpec {
    /// The file that starts, if there is one; whoever starts it may not have the right to.
    pub fn file(&self) -> Option<PathBuf> {
        let from = self.cwd.as_deref().unwrap_or(Path::new(""));
        let is_program = |file: &PathBuf| {
            fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & EXECUTABLE != 0)
        };
        if self.program.as_bytes().contains(&b'/') {
            return Some(from.join(&self.program)).filter(is_program);
        }
        let path = self.env.iter().rfind(|(name, _)| name == "PATH");
        let path = path.map_or(OsStr::new(PATH), |(_, path)| path);
        let mut files = std::env::split_paths(path).map(|folder| from.join(folder).join(&self.program));
        files.find(is_program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(program: &str, path: Option<&str>, cwd: &str) -> Option<PathBuf> {
        let spec = ChildSpec {
            program: program.into(),
            env: path
                .map(|path| ("PATH".into(), path.into()))
                .into_iter()
                .collect(),
            cwd: Some(cwd.into()),
            ..ChildSpec::default()
        };
        spec.file()
    }

    #[test]
    fn programs_are_found_as_they_would_start() {
        assert_eq!(file("sh", Some("/nonexistent:/bin"), "/"), Some("/bin/sh".into()));
        assert_eq!(file("sh", Some("bin"), "/"), Some("/bin/sh".into()));
        assert_eq!(file("bin/sh", Some(""), "/"), Some("/bin/sh".into()));
        assert_eq!(file("sh", None, "/"), Some("/bin/sh".into()));
        assert_eq!(file("sh", Some("/etc"), "/"), None);
        assert_eq!(file("/etc/passwd", None, "/"), None, "it is no program");
        assert_eq!(file("/bin", None, "/"), None);
    }
}
