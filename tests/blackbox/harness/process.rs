//! A `weir` process and the facts of `/proc` about it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::eventually_some;

pub(crate) const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// A file in `tests/` of this repository that the tests read besides their sources.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// An example's program, beside the folder of this test's own. `cargo test` builds both.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join(name);
    assert!(path.exists(), "no {}; `cargo build --examples`", path.display());
    path
}

/// A running command; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    /// `weir` with these arguments, its output kept in files that have no name.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(WEIR);
        command.args(arguments);
        Self::spawn(command)
    }

    /// The same under a shell's limits, such as `ulimit -n 64`.
    pub(crate) fn start_under(limits: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("{limits} && exec \"$@\"");
        command.args(["-c", &script, "sh", WEIR]).args(arguments);
        Self::spawn(command)
    }

    /// Any program, with its output kept likewise.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let stdout = nameless_file();
        command.stdin(Stdio::null()).stdout(stdout.try_clone().unwrap());
        Self::launch(command, stdout)
    }

    /// Any program, and the other ends of its standard input and output.
    pub(crate) fn spawn_piped(mut command: Command) -> (Self, ChildStdin, ChildStdout) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self::launch(command, nameless_file());
        let input = process.child.stdin.take().unwrap();
        let output = process.child.stdout.take().unwrap();
        (process, input, output)
    }

    fn launch(mut command: Command, stdout: File) -> Self {
        let stderr = nameless_file();
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEIR_")) {
            command.env_remove(name);
        }
        let child = command
            .stderr(stderr.try_clone().unwrap())
            // A signal from the terminal is for the tests, not for their servers.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The exit status, once the process has ended by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually_some("the process ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn stdout(&self) -> String {
        text_of(&self.stdout)
    }

    pub(crate) fn stderr(&self) -> String {
        text_of(&self.stderr)
    }

    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    /// Resident memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stderr of {}:\n{}---", self.pid(), self.stderr());
        }
    }
}

/// A file that is gone with its last descriptor.
fn nameless_file() -> File {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("output-{}-{number}", std::process::id()));
    let file = File::options()
        .create_new(true)
        .read(true)
        .append(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

fn text_of(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().unwrap().len().try_into().unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
