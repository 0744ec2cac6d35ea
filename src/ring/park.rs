//! Waiting for the ring inside the executor, when there is nothing else to do.
//!
//! The executor has no call that waits for a foreign descriptor. Adopting one as a `TcpStream` arms a
//! level-triggered poll on it at once; reading the stream then waits for that poll and fails with
//! `ENOTSOCK`, which here means "readable". The version is pinned because of this.
//!
//! No wake-up is lost: the ring is looked at before arming, and the kernel queues the poller first and
//! tests the completion queue second. About eleven system calls a time, so stay in the ring while busy.
#![allow(unsafe_code)]

use super::DataRing;
use super::kernel::KernelRing;
use futures_io::AsyncRead;
use glommio::net::TcpStream;
use std::future::Future;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Resolves when the ring has something to do; also the way to let the executor look at its own events,
/// since it resolves at its next pass when completions are pending. Borrows nothing from the ring.
///
/// ```no_run
/// # use weir::ring::{DataRing, KernelRing, Parking};
/// # async fn pump(mut ring: KernelRing) -> std::io::Result<()> {
/// loop {
///     ring.flush()?;
///     while let Some(completion) = ring.next_completion() { /* handle it, at most a few hundred */ }
///     Parking::new(&mut ring)?.await?;
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it waits only when awaited"]
pub struct Parking {
    waits_for: WaitsFor,
}

#[derive(Debug)]
enum WaitsFor {
    Ring(TcpStream),
    /// The ring holds something its descriptor does not show: only let others run.
    Turn,
    Nothing,
}

impl Parking {
    /// Flushes what is left, looks at the ring a last time and arms the poll. Must run inside the
    /// executor.
    ///
    /// # Errors
    /// The ring's, or no descriptor is free for the duplicate.
    pub fn new(ring: &mut KernelRing) -> io::Result<Self> {
        if ring.has_hidden_work() {
            ring.flush()?;
        }
        if ring.has_hidden_work() && !ring.has_visible_work() {
            let waits_for = WaitsFor::Turn;
            return Ok(Parking { waits_for });
        }
        // The stream closes its descriptor, so it gets a duplicate.
        let duplicate = ring.descriptor().try_clone_to_owned()?;
        // SAFETY: the duplicate is owned by nobody else.
        let stream = unsafe { TcpStream::from_raw_fd(duplicate.into_raw_fd()) };
        let waits_for = WaitsFor::Ring(stream);
        Ok(Parking { waits_for })
    }
}

impl Future for Parking {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = match &mut self.waits_for {
            WaitsFor::Ring(stream) => stream,
            WaitsFor::Turn => {
                self.waits_for = WaitsFor::Nothing;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            WaitsFor::Nothing => return Poll::Ready(Ok(())),
        };
        let mut byte = [0];
        Pin::new(stream)
            .poll_read(context, &mut byte)
            .map(|read| match read {
                Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(()),
                Err(error) => Err(error),
                // A ring is not a socket, so nothing can have been read.
                Ok(_) => Err(io::ErrorKind::Unsupported.into()),
            })
    }
}
