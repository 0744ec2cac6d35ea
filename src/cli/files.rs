//! Files that are written at the end of something long.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::terminal::print_error;

/// Whether all files that flags name could be written whole, and are different ones. It leaves them as they are: a file
/// that cannot be written is no reason to find out after a minute of load.
///
/// # Errors
/// Names the file.
pub(super) fn try_files(files: &[(&str, &Option<String>)]) -> Result<(), String> {
    let mut before: Vec<(&str, PathBuf)> = Vec::new();
    for (flag, file) in files {
        let Some(file) = file else { continue };
        let path = Path::new(file);
        try_whole(path).map_err(|error| format!("{file} cannot be written: {error}"))?;
        let place = place(path);
        // A device or a pipe may take several things, one behind the other.
        let same = before
            .iter()
            .find(|(_, other)| *other == place && !is_device(&place));
        if let Some((other, _)) = same {
            return Err(format!(
                "{other} and {flag} name the same file, {file}; one would overwrite the other"
            ));
        }
        before.push((flag, place));
    }
    Ok(())
}

/// Where a file is or will be, however its path is written.
fn place(file: &Path) -> PathBuf {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let found = file.canonicalize().ok();
    let made = || Some(folder.canonicalize().ok()?.join(file.file_name()?));
    found.or_else(made).unwrap_or_else(|| file.to_owned())
}

fn is_device(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| !found.is_file())
}

/// Writes a page whole, and says so on stderr, where nothing is read by a program.
///
/// # Errors
/// Names the file.
pub(super) fn write_page(file: &str, page: &str) -> Result<(), String> {
    write_whole(Path::new(file), page).map_err(|error| format!("{file} cannot be written: {error}"))?;
    print_error(&format!("page written to {file}"));
    Ok(())
}

/// Writes a file which is then whole, or what it was. A device, a pipe and what a link leads to are written in place:
/// they are somebody else's, and must stay what they are.
///
/// # Errors
/// Fails when the file, or one beside it, cannot be written.
pub(super) fn write_whole(file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if is_special(file) {
        return fs::write(file, content);
    }
    let beside = beside(file);
    let written = fs::write(&beside, content).and_then(|()| fs::rename(&beside, file));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Whether a file could be written whole.
///
/// # Errors
/// Fails as writing would.
pub(super) fn try_whole(file: &Path) -> io::Result<()> {
    if file.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if is_special(file) {
        return Ok(());
    }
    let beside = beside(file);
    fs::write(&beside, "")?;
    fs::remove_file(&beside)
}

/// Whether there is something that is no regular file itself.
fn is_special(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok_and(|found| !found.file_type().is_file())
}

/// The file that is made before it takes the place of another.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_has_a_file_of_its_own() {
        let folder = std::env::temp_dir().join(format!("weir-files-own-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let name = |name: &str| Some(folder.join(name).display().to_string());
        let (one, same, other) = (name("a"), name("./a"), name("b"));
        try_files(&[("--out", &one), ("--html", &other), ("--hdr-log", &None)]).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "it leaves nothing");
        let error = try_files(&[("--out", &one), ("--html", &same)]).unwrap_err();
        assert!(
            error.starts_with("--out and --html name the same file"),
            "{error}"
        );
        fs::write(folder.join("a"), "x").unwrap();
        std::os::unix::fs::symlink(folder.join("a"), folder.join("b")).unwrap();
        assert!(
            try_files(&[("--out", &one), ("--html", &other)]).is_err(),
            "a link to it"
        );
        let null = Some("/dev/null".to_owned());
        try_files(&[("--out", &null), ("--html", &null)]).unwrap();
        let error = try_files(&[("--out", &name("none/x"))]).unwrap_err();
        assert!(error.contains("cannot be written"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_takes_the_place_of_another_whole() {
        let folder = std::env::temp_dir().join(format!("weir-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("report.html");
        try_whole(&file).unwrap();
        assert!(!file.exists());
        fs::write(&file, "old").unwrap();
        try_whole(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"old");
        write_whole(&file, "new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(try_whole(&folder).is_err() && write_whole(&folder, "x").is_err());
        assert!(try_whole(&folder.join("none/x")).is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let link = folder.join("link.html");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, "through").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"through");
        assert_eq!(
            write_whole(Path::new("/dev/full"), "x").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
