//! The sizes and the setup of a ring, and the reasons why that can fail.

use super::mapping::Residence;
use super::provided::{BUFFERS_MAX, ProvidedBuffers, Provision};
use crate::config::RingOptions;
use io_uring::IoUring;
use std::io;

/// Why a ring could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// No ring can have these sizes.
    #[error(
        "ring buffers = {buffers} of {buffer_bytes} bytes, but 1 to 32768 of at least 1 byte are possible"
    )]
    BufferSizes {
        /// The size as given.
        buffers: u16,
        /// The size as given.
        buffer_bytes: usize,
    },
    /// `io_uring_setup` failed.
    #[error("io_uring could not be set up: {0}")]
    Setup(#[source] io::Error),
    /// The provided-buffer ring could not be mapped or registered.
    #[error("ring buffers could not be mapped and registered: {0}")]
    Buffers(#[source] io::Error),
    /// The eventfd could not be made.
    #[error("the ring's eventfd could not be made: {0}")]
    Waker(#[source] io::Error),
}

/// A ring as it was set up.
pub(super) struct Made {
    pub(super) uring: IoUring,
    pub(super) provided: ProvidedBuffers,
    /// Whether the kernel leaves its work on completions to the ring's own calls, which do a little each.
    pub(super) is_deferred: bool,
}

/// Sets up the ring on the calling thread and provides its buffers.
pub(super) fn set_up(options: RingOptions) -> Result<Made, RingError> {
    let RingOptions {
        buffers,
        buffer_bytes,
        ..
    } = options;
    let is_possible =
        (1..=BUFFERS_MAX).contains(&buffers) && buffer_bytes > 0 && u32::try_from(buffer_bytes).is_ok();
    if !is_possible {
        return Err(RingError::BufferSizes {
            buffers,
            buffer_bytes,
        });
    }
    let (uring, is_deferred) = match build(options, true) {
        Ok(uring) => (uring, true),
        // Linux 6.0 does not defer.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            (build(options, false).map_err(RingError::Setup)?, false)
        }
        Err(error) => return Err(RingError::Setup(error)),
    };
    let residence = if options.is_prefaulted {
        Residence::AtStart
    } else {
        Residence::WithUse
    };
    let provision = Provision {
        count: buffers,
        buffer_bytes,
        residence,
        is_fixed: options.is_fixed,
    };
    let provided = ProvidedBuffers::register(&uring.submitter(), provision).map_err(RingError::Buffers)?;
    Ok(Made {
        uring,
        provided,
        is_deferred,
    })
}

fn build(options: RingOptions, is_deferred: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_taskrun_flag()
        .setup_cqsize(options.completion_entries);
    if is_deferred {
        builder.setup_defer_taskrun()
    } else {
        builder.setup_coop_taskrun()
    };
    builder.build(options.submission_entries)
}
