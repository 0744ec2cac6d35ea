//! The reasons why a shard did not start, for an operator.
//!
//! The kernel gives a number, the executor an error or a panic; both become one sentence that says what is exhausted or
//! forbidden and what to type. `serve` uses this when it starts, and `doctor` when it tries.

use std::any::Any;
use std::fmt;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use glommio::{GlommioError, ReactorErrorKind};
use rustix::process::{Resource, getrlimit};

use crate::ring::RingError;
use crate::units::ByteSize;

/// How long a shard waits for memory that may be locked.
const LOCKED_PATIENCE: Duration = Duration::from_secs(1);
const LOCKED_LOOK: Duration = Duration::from_millis(20);

/// Makes something that locks memory, and tries again for a while if there is none to lock: the kernel releases a
/// process's locked memory a moment after its end, and a server often replaces another right then.
///
/// # Errors
/// Fails with the error of the last attempt.
pub(super) fn make_patiently<T>(mut make: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let deadline = Instant::now() + LOCKED_PATIENCE;
    loop {
        match make() {
            Err(failure) if failure.is_locked_memory() && Instant::now() < deadline => {
                thread::sleep(LOCKED_LOOK);
            }
            made => return made,
        }
    }
}

/// What stopped a shard from starting.
#[derive(Debug)]
pub(super) struct Failure {
    /// The part that could not be made.
    what: &'static str,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    System(io::Error),
    /// It panicked with this message.
    Panic(String),
    /// It did not answer in time.
    Silence,
}

impl Failure {
    pub(super) fn thread(error: io::Error) -> Self {
        Self {
            what: "its thread",
            cause: Cause::System(error),
        }
    }

    pub(super) fn executor(error: io::Error) -> Self {
        Self {
            what: "its executor",
            cause: Cause::System(error),
        }
    }

    /// The panic of an executor, which should have returned an error.
    pub(super) fn executor_panic(payload: &(dyn Any + Send)) -> Self {
        let words = payload
            .downcast_ref::<&str>()
            .map(|words| (*words).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self {
            what: "its executor",
            cause: Cause::Panic(words.unwrap_or_else(|| "no words".to_owned())),
        }
    }

    pub(super) fn silence() -> Self {
        Self {
            what: "it",
            cause: Cause::Silence,
        }
    }

    /// Whether it lacks memory that may be locked.
    pub(super) fn is_locked_memory(&self) -> bool {
        self.code() == Some(libc::ENOMEM)
    }

    fn code(&self) -> Option<i32> {
        match &self.cause {
            Cause::System(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl From<GlommioError<()>> for Failure {
    fn from(error: GlommioError<()>) -> Self {
        Self::executor(match error {
            // This is the least the executor starts with, whatever it needs.
            GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(..)) => {
                io::Error::from_raw_os_error(libc::ENOMEM)
            }
            error => error.into(),
        })
    }
}

impl From<RingError> for Failure {
    fn from(error: RingError) -> Self {
        let (what, error) = match error {
            RingError::Setup(error) => ("its data ring", error),
            RingError::Buffers(error) => ("its ring buffers", error),
            RingError::Waker(error) => ("its wake-up descriptor", error),
            sizes @ RingError::BufferSizes { .. } => ("its ring buffers", io::Error::other(sizes)),
        };
        Self {
            what,
            cause: Cause::System(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Silence => write!(
                f,
                "{} did not come up in time; is the machine overloaded?",
                self.what
            ),
            Cause::Panic(words) => write!(f, "{} could not be made: it panicked: {words}", self.what),
            Cause::System(error) => {
                write!(
                    f,
                    "{} could not be made: {error}{}",
                    self.what,
                    advice(self.code())
                )
            }
        }
    }
}

/// The message for a system that allows no more threads.
pub(crate) const NO_THREADS: &str = "no more threads are allowed; raise the limit on tasks (`TasksMax=` in the unit, \
                                     `ulimit -u` in a shell, `--pids-limit` in Docker)";

/// The meaning of a system error here, and the next step.
fn advice(code: Option<i32>) -> String {
    let words = match code {
        Some(libc::ENOMEM) => return no_memory(),
        Some(libc::EMFILE | libc::ENFILE) => {
            "no descriptor is left; raise the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell)"
        }
        Some(libc::EAGAIN) => NO_THREADS,
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => {
            "io_uring is refused: allow it (`sysctl kernel.io_uring_disabled=0`, and in a container a seccomp profile \
             that permits io_uring_setup, io_uring_enter and io_uring_register)"
        }
        Some(libc::EINVAL) => "the kernel is too old for its flags, or its CPU is not allowed any more",
        _ => return String::new(),
    };
    format!("; {words}")
}

fn no_memory() -> String {
    match getrlimit(Resource::Memlock).current {
        Some(limit) => format!(
            "; no more memory can be locked: RLIMIT_MEMLOCK = {} counts what all processes of this user lock together; \
             stop others that use io_uring, or raise it (`LimitMEMLOCK=` in the unit, `ulimit -l` in a shell, `--ulimit \
             memlock=` in Docker)",
            ByteSize(limit).rounded()
        ),
        None => "; the kernel has no memory for it: look at the cgroup's and the machine's".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_to_do() {
        let executor = |code| Failure::executor(io::Error::from_raw_os_error(code)).to_string();
        for (code, words) in [
            (libc::EMFILE, "no descriptor is left"),
            (libc::ENFILE, "no descriptor is left"),
            (libc::EPERM, "io_uring is refused"),
            (libc::ENOSYS, "io_uring is refused"),
            (libc::EINVAL, "the kernel is too old"),
        ] {
            let text = executor(code);
            assert!(text.starts_with("its executor could not be made: "), "{text}");
            assert!(text.contains(words), "{text}");
        }
        let text = Failure::thread(io::Error::from_raw_os_error(libc::EAGAIN)).to_string();
        assert!(text.contains("no more threads are allowed"), "{text}");
        for failure in [
            Failure::executor(io::Error::from_raw_os_error(libc::ENOMEM)),
            Failure::from(RingError::Setup(io::Error::from_raw_os_error(libc::ENOMEM))),
            Failure::from(GlommioError::<()>::from(io::Error::from_raw_os_error(
                libc::ENOMEM,
            ))),
        ] {
            let text = failure.to_string();
            let is_named = text.contains("RLIMIT_MEMLOCK = ") || text.contains("look at the cgroup's");
            assert!(is_named && failure.is_locked_memory(), "{text}");
        }
        assert!(!Failure::silence().is_locked_memory());
    }

    #[test]
    fn locked_memory_is_waited_for_and_nothing_else_is() {
        let failing = |code| Failure::executor(io::Error::from_raw_os_error(code));
        let mut attempts = 0;
        let made = make_patiently(|| {
            attempts += 1;
            if attempts < 3 {
                Err(failing(libc::ENOMEM))
            } else {
                Ok(attempts)
            }
        });
        assert_eq!(made.unwrap(), 3);
        let mut attempts = 0;
        let refused = make_patiently(|| {
            attempts += 1;
            Err::<(), _>(failing(libc::EPERM))
        });
        assert!(refused.is_err());
        assert_eq!(attempts, 1);
        let refused = make_patiently(|| Err::<(), _>(failing(libc::ENOMEM)));
        assert!(refused.unwrap_err().is_locked_memory());
    }

    #[test]
    fn a_panic_is_a_sentence() {
        for payload in [
            Box::new("Romulus") as Box<dyn Any + Send>,
            Box::new("Romulus".to_owned()),
        ] {
            assert_eq!(
                Failure::executor_panic(payload.as_ref()).to_string(),
                "its executor could not be made: it panicked: Romulus"
            );
        }
    }
}
