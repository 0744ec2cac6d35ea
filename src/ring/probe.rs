//! Whether the kernel offers what the ring needs, tried out rather than guessed from version numbers.
//!
//! The probe runs at start and in `weir doctor`. It makes a small ring, receives one message through it over a
//! loopback connection, and takes everything down again.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

use super::listener::{ListenerOptions, listen, local_address};
use super::{Completion, ConnectionKey, DataRing, KernelRing, Received, RingError, RingOptions};
use io_uring::IoUring;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// First kernel with everything the ring uses (`IORING_SETUP_SINGLE_ISSUER`; provided-buffer rings came with
/// 5.19).
const KERNEL_MIN: (u32, u32) = (6, 0);

/// Completions of the trial arrive within microseconds; this bounds the wait for a kernel that never answers.
const TRIAL_WAIT: Duration = Duration::from_millis(200);
const TRIAL_TURNS_MAX: usize = 5;

/// The missing feature, and the next step.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel is older than anything that can work.
    #[error("kernel = {release}, but Weir needs Linux 6.0 or newer; upgrade the kernel")]
    KernelTooOld {
        /// The release as the kernel names it.
        release: String,
    },
    /// A policy forbids io_uring.
    #[error(
        "io_uring is refused ({error}); allow it: sysctl kernel.io_uring_disabled=0, \
         and in a container a seccomp profile that permits io_uring_setup, io_uring_enter and \
         io_uring_register"
    )]
    Refused {
        /// The system's error.
        error: io::Error,
    },
    /// Locked memory is limited too tightly for another ring.
    #[error("io_uring finds too little locked memory ({error}); raise it: ulimit -l, or LimitMEMLOCK=")]
    LockedMemory {
        /// The system's error.
        error: io::Error,
    },
    /// The kernel does not know the flags.
    #[error("io_uring lacks the set-up flags Weir uses ({error}); upgrade to Linux 6.0 or newer")]
    SetupFlags {
        /// The system's error.
        error: io::Error,
    },
    /// The kernel has no provided-buffer rings.
    #[error("io_uring lacks provided-buffer rings ({error}); upgrade to Linux 6.0 or newer")]
    ProvidedBuffers {
        /// The system's error.
        error: io::Error,
    },
    /// Watching a listener was tried and failed.
    #[error("io_uring could not watch a loopback listener ({error}); upgrade to Linux 6.0 or newer")]
    Listener {
        /// The system's error.
        error: io::Error,
    },
    /// A receive into a ring buffer was tried and failed.
    #[error("io_uring could not receive on a loopback connection ({error})")]
    Receive {
        /// The system's error.
        error: io::Error,
    },
    /// The trial itself could not be set up.
    #[error("the trial on 127.0.0.1 could not be set up ({error}); are descriptors or loopback missing?")]
    Trial {
        /// The system's error.
        error: io::Error,
    },
}

/// Tries everything the data ring needs.
///
/// # Errors
/// Names the first thing missing.
pub fn probe() -> Result<(), ProbeError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if version_of(release).is_some_and(|version| version < KERNEL_MIN) {
        let release = release.to_owned();
        return Err(ProbeError::KernelTooOld { release });
    }
    let options = RingOptions {
        submission_entries: 8,
        completion_entries: 16,
        buffers: 4,
        buffer_bytes: 4096,
        is_fixed: false,
        is_prefaulted: false,
    };
    let mut ring = KernelRing::new(options).map_err(missing_from)?;
    try_a_connection(&mut ring)
}

/// Checks whether the kernel gives this process another ring at all, however small. glommio makes such a ring when the
/// first executor starts, and panics if it gets none.
///
/// # Errors
/// The system's: `ENOMEM` where no more memory may be locked, `EPERM` or `ENOSYS` where a policy forbids rings.
pub fn try_smallest_ring() -> io::Result<()> {
    IoUring::new(2).map(drop)
}

/// Parses `6.18.44-vendor` as (6, 18).
fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn missing_from(error: RingError) -> ProbeError {
    match error {
        RingError::Setup(error) => match error.raw_os_error() {
            Some(libc::EINVAL) => ProbeError::SetupFlags { error },
            Some(libc::ENOMEM) => ProbeError::LockedMemory { error },
            _ => ProbeError::Refused { error },
        },
        RingError::Buffers(error) => ProbeError::ProvidedBuffers { error },
        RingError::Waker(error) => ProbeError::Trial { error },
        RingError::BufferSizes { .. } => ProbeError::Trial {
            error: io::ErrorKind::InvalidInput.into(),
        },
    }
}

fn try_a_connection(ring: &mut KernelRing) -> Result<(), ProbeError> {
    let trial = |error| ProbeError::Trial { error };
    let loopback = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = listen(loopback, ListenerOptions::default()).map_err(trial)?;
    let address = local_address(&listener).map_err(trial)?;
    ring.listen(listener);
    ring.watch_listener();
    ring.flush().map_err(|error| ProbeError::Listener { error })?;
    let mut peer = TcpStream::connect(address).map_err(trial)?;
    match next(ring) {
        Ok(Completion::AcceptReady) => {}
        Ok(Completion::AcceptFailed { error }) | Err(error) => {
            return Err(ProbeError::Listener { error });
        }
        Ok(_) => return Err(trial(io::ErrorKind::Other.into())),
    }
    let accepted = ring.accept_now().map_err(trial)?;
    let accepted = accepted.ok_or_else(|| trial(io::ErrorKind::WouldBlock.into()))?;
    let key = ConnectionKey {
        slot: 0,
        generation: 0,
    };
    ring.receive(key, &accepted);
    peer.write_all(b"weir").map_err(trial)?;
    let outcome = match next(ring) {
        Ok(Completion::Received { outcome, .. }) => outcome,
        Ok(_) => return Err(trial(io::ErrorKind::Other.into())),
        Err(error) => return Err(ProbeError::Receive { error }),
    };
    let error = match outcome {
        Received::Bytes(buffer) if *buffer == *b"weir" => return Ok(()),
        Received::Failed(error) => error,
        _ => io::ErrorKind::InvalidData.into(),
    };
    Err(ProbeError::Receive { error })
}

fn next(ring: &mut KernelRing) -> io::Result<Completion> {
    for _ in 0..TRIAL_TURNS_MAX {
        ring.flush_and_wait(TRIAL_WAIT)?;
        if let Some(completion) = ring.next_completion() {
            return Ok(completion);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_what_the_ring_needs() {
        probe().unwrap();
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(version_of("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version_of("5.4.0"), Some((5, 4)));
        assert_eq!(version_of("6.1-rc3"), Some((6, 1)));
        assert_eq!(version_of(""), None);
        assert!(version_of("5.19.0").unwrap() < KERNEL_MIN);
        assert!(version_of("6.0.0").unwrap() >= KERNEL_MIN);
    }

    #[test]
    fn refusals_are_told_apart() {
        let setup = |code| missing_from(RingError::Setup(io::Error::from_raw_os_error(code)));
        assert!(matches!(setup(libc::EPERM), ProbeError::Refused { .. }));
        assert!(matches!(setup(libc::ENOSYS), ProbeError::Refused { .. }));
        assert!(matches!(setup(libc::ENOMEM), ProbeError::LockedMemory { .. }));
        assert!(matches!(setup(libc::EINVAL), ProbeError::SetupFlags { .. }));
    }
}
