//! Files that are written at the end of something long.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Opens what will be written, and leaves it as it is: a file that cannot be written is no reason to find out after a
/// minute of load.
///
/// # Errors
/// Names the file.
pub(super) fn try_files<'a>(files: impl IntoIterator<Item = &'a Option<String>>) -> Result<(), String> {
    for file in files.into_iter().flatten() {
        let opened = fs::OpenOptions::new().append(true).create(true).open(file);
        opened.map_err(|error| format!("{file} cannot be written: {error}"))?;
    }
    Ok(())
}

/// Writes a file which is then whole, or what it was. A device, a pipe and what a link leads to are written in place:
/// they are somebody else's, and must stay what they are.
///
/// # Errors
/// Fails when the file, or one beside it, cannot be written.
pub(super) fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    if is_special(file) {
        return fs::write(file, text);
    }
    let beside = beside(file);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, file));
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
