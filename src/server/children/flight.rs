//! Files with the last that went each way between a child and us, written when it has died.
//!
//! Invariant: only the owner can read them, and there are no more than [`FILES_MAX`] of ours in the directory.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::children::{ChildEnd, Tape};

/// Files that are kept; the oldest go.
const FILES_MAX: usize = 64;
const PREFIX: &str = "weir-";
const SUFFIX: &str = ".flight";
/// Bytes of a server's name in a file's.
const NAME_BYTES_MAX: usize = 64;
/// Files of one second and one child.
const TRIES: usize = 16;

/// Where files go.
#[derive(Debug)]
pub(super) struct FlightRecorder {
    directory: PathBuf,
}

/// A child that has died, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight<'f> {
    pub(super) server: &'f str,
    pub(super) member: u64,
    pub(super) pid: Option<i32>,
    pub(super) death: &'f str,
    pub(super) end: &'f ChildEnd,
}

impl FlightRecorder {
    /// Into a directory, which is made if it is not there, for the owner alone.
    pub(super) fn open(directory: &Path) -> io::Result<FlightRecorder> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.and_then(|()| rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).map_err(Into::into))
            .map_err(|error| {
                let shown = directory.display();
                io::Error::new(
                    error.kind(),
                    format!("flight-recorder = {shown} cannot be written to: {error}"),
                )
            })?;
        Ok(FlightRecorder {
            directory: directory.to_path_buf(),
        })
    }

    /// Writes what there is of a child, and removes old files. Gives the file, unless nothing was recorded.
    pub(super) fn write(&self, flight: &Flight<'_>) -> io::Result<Option<PathBuf>> {
        let Some(recording) = &flight.end.recording else {
            return Ok(None);
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!(
            "{PREFIX}{}-{}-{}",
            plain(flight.server),
            now.as_secs(),
            flight.member
        );
        let (path, mut file) = self.create(&name)?;
        file.write_all(head(flight, now.as_millis()).as_bytes())?;
        write_tape(&mut file, "to", &recording.to_child)?;
        write_tape(&mut file, "from", &recording.from_child)?;
        self.remove_oldest();
        Ok(Some(path))
    }

    fn create(&self, name: &str) -> io::Result<(PathBuf, fs::File)> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut outcome = Err(io::ErrorKind::AlreadyExists.into());
        for number in 0..TRIES {
            let more = if number == 0 {
                String::new()
            } else {
                format!("-{number}")
            };
            let path = self.directory.join(format!("{name}{more}{SUFFIX}"));
            outcome = options.open(&path).map(|file| (path, file));
            if !matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
                break;
            }
        }
        outcome
    }

    fn remove_oldest(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let files = entries.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let is_ours = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
            is_ours.then(|| Some((found.modified().ok()?, entry.path())))?
        });
        let mut files: Vec<(SystemTime, PathBuf)> = files.collect();
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(FILES_MAX)) {
            // Somebody else may have.
            let _ = fs::remove_file(path);
        }
    }
}

/// A server's name as a part of a file's.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain = name.chars().map(|c| if is_plain(c) { c } else { '-' });
    plain.take(NAME_BYTES_MAX).collect()
}

fn head(flight: &Flight<'_>, now_ms: u128) -> String {
    let Flight {
        server,
        member,
        pid,
        death,
        end,
    } = flight;
    let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    let mut head = format!(
        "server: {}\nchild: {member}, process {pid}\ndied: {}.{:03} s after 1970, {}\ncalls it took along: {}\n",
        server.escape_debug(),
        now_ms / 1000,
        now_ms % 1000,
        death.escape_debug(),
        end.calls_lost
    );
    for line in &end.last_errors {
        head.push_str(&format!("stderr: {}\n", line.escape_debug()));
    }
    head
}

fn write_tape(file: &mut fs::File, way: &str, tape: &Tape) -> io::Result<()> {
    let [older, newer] = tape.pieces();
    let kept = older.len() + newer.len();
    writeln!(
        file,
        "--- {way} the child: the last {kept} of {} bytes",
        tape.total()
    )?;
    file.write_all(older)?;
    file.write_all(newer)?;
    writeln!(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::children::Recording;

    /// A directory that goes with this.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            Place(std::env::temp_dir().join(format!("weir-flight-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn end() -> ChildEnd {
        let mut recording = Recording::default();
        recording.to_child.add(b"{\"id\":1}\n");
        recording.from_child.add(&[0xff, b'\n']);
        ChildEnd {
            recording: Some(Box::new(recording)),
            last_errors: vec!["a\tb".to_owned()],
            ..ChildEnd::default()
        }
    }

    fn flight(end: &ChildEnd) -> Flight<'_> {
        Flight {
            server: "../a b",
            member: 3,
            pid: Some(7),
            death: "it exited",
            end,
        }
    }

    #[test]
    fn a_file_has_all_that_is_known_and_is_the_owners() {
        let place = Place::new("whole");
        let directory = place.0.join("new/deep");
        let recorder = FlightRecorder::open(&directory).unwrap();
        let end = end();
        let path = recorder.write(&flight(&end)).unwrap().unwrap();
        assert_eq!(path.parent(), Some(&*directory));
        assert!(
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("weir----a-b-")
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for part in [
            "server: ../a b\nchild: 3, process 7\n",
            "it exited\n",
            "stderr: a\\tb\n",
            "--- to the child: the last 9 of 9 bytes\n{\"id\":1}\n\n",
            "--- from the child: the last 2 of 2 bytes\n\u{fffd}\n\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(recorder.write(&flight(&ChildEnd::default())).unwrap(), None);
    }

    #[test]
    fn there_are_no_more_files_than_there_may_be_and_others_stay() {
        let place = Place::new("many");
        let recorder = FlightRecorder::open(&place.0).unwrap();
        fs::write(place.0.join("weir-other"), "x").unwrap();
        let end = end();
        for member in 0..FILES_MAX as u64 + 5 {
            let flight = Flight {
                member,
                ..flight(&end)
            };
            recorder.write(&flight).unwrap();
        }
        assert_eq!(fs::read_dir(&place.0).unwrap().count(), FILES_MAX + 1);
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_is_told_at_the_start() {
        let error = FlightRecorder::open(Path::new("/proc/flights")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("flight-recorder = /proc/flights cannot"),
            "{error}"
        );
    }
}
