//! What threads use, from the scheduler's own accounting.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// On a CPU, and ready to run without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    pub(super) waited: Duration,
}

/// Of this thread so far; nothing where the kernel does not say.
pub(super) fn of_this_thread() -> Used {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    read(&text).unwrap_or_default()
}

fn read(text: &str) -> Option<Used> {
    let mut words = text.split_whitespace().map(str::parse);
    Some(Used {
        cpu: Duration::from_nanos(words.next()?.ok()?),
        waited: Duration::from_nanos(words.next()?.ok()?),
    })
}

/// CPU time of all live threads of a process.
pub(super) fn cpu_nanos(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        total += of_task(&task?.path())?.cpu.as_nanos() as u64;
    }
    Ok(total)
}

fn of_task(task: &Path) -> io::Result<Used> {
    match fs::read_to_string(task.join("schedstat")) {
        Ok(text) => Ok(read(&text).ok_or(io::ErrorKind::InvalidData)?),
        // It ended since the folder was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Used::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_was_used() {
        let used = read("1234 56 7\n").unwrap();
        assert_eq!((used.cpu.as_nanos(), used.waited.as_nanos()), (1234, 56));
        assert_eq!(read("12"), None);
        let before = of_this_thread().cpu;
        while of_this_thread().cpu < before + Duration::from_millis(1) {}
        assert!(cpu_nanos(std::process::id()).unwrap() > 0);
    }
}
