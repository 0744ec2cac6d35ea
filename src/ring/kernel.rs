//! The real backend: one io_uring per shard.
//!
//! A ring is created and used on the shard's thread only (`SINGLE_ISSUER`). Where the kernel can, it defers its work
//! (`DEFER_TASKRUN`): each call then does a few receives and no more, so that however many connections are ready,
//! few buffers are filled at a time, and they are still in the cache when they are looked at. Deferred work does not
//! wake a poller of the ring's descriptor; the kernel signals an eventfd for it instead, and only while the executor
//! waits. Accepted sockets are blocking, so that the ring waits for them. Nothing calls them directly but one kind of
//! send: where the ring has nothing else to do, an attempt is a system call of its own, whose outcome is known at once.
//! The receive behind it is then begun by the call that waits, two calls in all.
//!
//! Invariant: memory named by an entry is owned here until the entry's final completion, or leaked.
#![allow(unsafe_code, reason = "submits entries whose memory must outlive them")]

use super::accept::Listeners;
use super::completion::{Completion, HangUp, Received};
use super::provided::{BUFFER_GROUP, ProvidedBuffers};
use super::setup::{Made, RingError, set_up};
use super::socket::{Arrival, Socket};
use super::token::{ConnectionKey, Operation, Token};
use super::waker::RingWaker;
use super::{DataRing, Peer, RingCounters, SendMode};
use crate::config::RingOptions;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// A [`DataRing`] on io_uring.
pub struct KernelRing {
    uring: IoUring,
    provided: ProvidedBuffers,
    /// Whether the kernel defers work, and signals the waker's notice when some comes up.
    is_deferred: bool,
    /// Completions that come early, oldest first.
    early: VecDeque<cqueue::Entry>,
    /// The others, oldest first.
    completed: VecDeque<cqueue::Entry>,
    /// Entries that found the submission queue full, oldest first.
    backlog: VecDeque<squeue::Entry>,
    /// Buffers being sent, by slot: at most one send per connection is in flight.
    sends: Vec<Option<Vec<u8>>>,
    /// Buffers being received into, by slot; few at a time.
    fills: HashMap<u32, Vec<u8>>,
    listeners: Listeners,
    waker: RingWaker,
    /// The eventfd's count is read into this; it is leaked, as the kernel may write while the ring dies.
    wake_count: *mut [u8; 8],
    is_wake_armed: bool,
    /// A send that is over without the kernel's having a completion for it.
    sent: Option<Sent>,
    /// Receives that wait for bytes among the queued entries, as far as nothing was submitted since.
    queued_receives: usize,
    starvations: u64,
    overflows: u64,
    in_flight: usize,
}

/// The outcome of a send that was a system call of its own.
struct Sent {
    key: ConnectionKey,
    result: io::Result<usize>,
    /// Whether there was a flush since, so that it is handed out.
    is_collected: bool,
}

impl KernelRing {
    /// Sets up a ring on the calling thread, which is the only one that may use it.
    ///
    /// # Errors
    /// The kernel refuses, or memory is short.
    pub fn new(options: RingOptions) -> Result<Self, RingError> {
        let Made {
            mut uring,
            provided,
            is_deferred,
        } = set_up(options)?;
        let notice = is_deferred
            .then(|| notice_of(&mut uring))
            .transpose()
            .map_err(RingError::Waker)?;
        hold_broken_pipes();
        let entries = options.completion_entries as usize;
        Ok(KernelRing {
            uring,
            provided,
            is_deferred,
            early: VecDeque::with_capacity(entries),
            completed: VecDeque::with_capacity(entries),
            backlog: VecDeque::with_capacity(options.submission_entries as usize),
            sends: Vec::new(),
            fills: HashMap::new(),
            listeners: Listeners::default(),
            waker: RingWaker::new(notice).map_err(RingError::Waker)?,
            wake_count: Box::into_raw(Box::new([0; 8])),
            is_wake_armed: false,
            sent: None,
            queued_receives: 0,
            starvations: 0,
            overflows: 0,
            in_flight: 0,
        })
    }

    /// Gives the ring a listening socket to watch and accept from, besides those it has. Other holders of it keep it
    /// open. A Unix socket may be given to several rings: a new connection wakes one of them.
    pub fn listen(&mut self, listener: impl Into<Arc<OwnedFd>>) {
        self.listeners.add(listener.into());
    }

    /// Makes listening Unix sockets refuse new connections; those that are queued can still be accepted.
    pub fn refuse_on_unix(&self) {
        self.listeners.refuse_on_unix();
    }

    /// Lets go of the listening sockets, after [`Completion::AcceptStopped`]. When the last holder of one drops it, the
    /// kernel resets the connections that are still queued in it.
    pub fn drop_listeners(&mut self) {
        self.listeners.clear();
    }

    /// Makes room for sends on slots below `connections`, so that later sends do not allocate.
    pub fn reserve_slots(&mut self, connections: usize) {
        if self.sends.len() < connections {
            self.sends.resize_with(connections, || None);
        }
    }

    /// Does what [`flush`](DataRing::flush) does, but blocks the thread for up to `wait` when nothing has completed.
    /// This is cheaper than parking when the next completion is near; nothing else runs meanwhile.
    ///
    /// # Errors
    /// As `flush`.
    pub fn flush_and_wait(&mut self, wait: Duration) -> io::Result<()> {
        self.provided.publish();
        self.queue_backlog();
        self.collect_sent();
        let has_completions = self.has_completions() || self.listeners.is_stop_due();
        if has_completions || !self.backlog.is_empty() || wait.is_zero() {
            return self.flush();
        }
        let submission = self.uring.submission();
        let queued = submission.len() as u32;
        let is_overflown = submission.cq_overflow();
        drop(submission);
        self.overflows += u64::from(is_overflown);
        self.queued_receives = 0;
        let timeout = Timespec::from(wait);
        let arguments = SubmitArgs::new().timespec(&timeout);
        let flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits();
        // SAFETY: with EXT_ARG the argument is a `getevents_arg`, which `SubmitArgs` is; it and the
        // time it points to live through the call. Queued entries name memory this ring owns.
        let entered = unsafe { self.uring.submitter().enter(queued, 1, flags, Some(&arguments)) };
        self.collect();
        match entered {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(()),
            Err(error) if is_interruption(&error) || is_congestion(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[cfg(test)]
    pub(super) fn provided(&self) -> &ProvidedBuffers {
        &self.provided
    }

    /// Whether there are completions to hand out, or the next flush may bring some.
    pub(super) fn has_completions(&mut self) -> bool {
        self.has_collected() || self.has_visible_work()
    }

    fn has_collected(&self) -> bool {
        let has_sent = self.sent.as_ref().is_some_and(|sent| sent.is_collected);
        has_sent || !self.early.is_empty() || !self.completed.is_empty()
    }

    /// Whether there is nothing to hand out, to begin or to collect.
    fn is_at_rest(&mut self) -> bool {
        self.sent.is_none()
            && self.backlog.is_empty()
            && self.uring.submission().is_empty()
            && !self.has_completions()
    }

    /// Whether only receives are to be begun, which wait for bytes, and nothing is known to be there to collect.
    fn can_begin_later(&mut self) -> bool {
        let submission = self.uring.submission();
        let has_receives_only = submission.len() == self.queued_receives;
        let has_work = submission.taskrun() || submission.cq_overflow();
        drop(submission);
        has_receives_only && !has_work && self.backlog.is_empty()
    }

    /// Whether something waits that a poll of the descriptor does not show.
    pub(super) fn has_hidden_work(&mut self) -> bool {
        self.has_collected()
            || self.sent.is_some()
            || !self.uring.submission().is_empty()
            || !self.backlog.is_empty()
            || self.provided.pool().has_returned()
            || self.listeners.is_stop_due()
    }

    /// Whether a poll of the descriptor would be ready, or becomes so in the kernel.
    pub(super) fn has_visible_work(&mut self) -> bool {
        let submission = self.uring.submission();
        let has_work = submission.taskrun() || submission.cq_overflow();
        drop(submission);
        has_work || !self.uring.completion().is_empty()
    }

    /// The descriptor for which the executor should wait: it is readable once there is visible work. The ring signals
    /// new work from now on until [`on_resumed`](Self::on_resumed), so the caller must look for earlier work
    /// afterwards.
    pub(super) fn descriptor(&mut self) -> BorrowedFd<'_> {
        if self.is_deferred {
            self.uring.completion().enable_eventfd();
        }
        let notice = self.waker.begin_waiting();
        // The kernel announces work first and then checks whether to signal it.
        fence(Ordering::SeqCst);
        match notice {
            Some(notice) => notice,
            // SAFETY: the ring owns this descriptor and is borrowed for as long as the result.
            None => unsafe { BorrowedFd::borrow_raw(self.uring.as_raw_fd()) },
        }
    }

    /// Notes that the executor waits no longer: call it after a [`Parking`](super::Parking).
    pub fn on_resumed(&mut self) {
        if self.waker.end_waiting() && self.is_deferred {
            self.uring.completion().disable_eventfd();
        }
    }

    /// Whether the executor waits for the ring and does not see that there is work: a caller that flushed the ring
    /// meanwhile has collected completions that it did not handle.
    pub fn is_awaited_in_vain(&self) -> bool {
        self.waker.is_awaited() && self.has_collected()
    }

    /// Takes over what the kernel reports, so that its queue is empty and early completions can be reported first.
    fn collect(&mut self) {
        for entry in self.uring.completion() {
            let is_starved = entry.result() == -libc::ENOBUFS;
            if is_starved {
                self.provided.on_starved();
            } else if cqueue::buffer_select(entry.flags()).is_some() {
                self.provided.on_filled();
            }
            if is_starved || Token::is_send(entry.user_data()) {
                self.early.push_back(entry);
            } else {
                self.completed.push_back(entry);
            }
        }
    }

    fn push(&mut self, token: Token, entry: squeue::Entry) {
        let entry = entry.user_data(token.encode());
        self.in_flight += 1;
        if self.backlog.is_empty() {
            if self.try_queue(&entry) {
                return;
            }
            // The queue is full: submit and go on. Entries that the kernel does not take now wait in the backlog, and
            // an error shows again at the next flush.
            let _ = self.enter();
            if self.try_queue(&entry) {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    fn push_receive(&mut self, key: ConnectionKey, socket: &Socket, arrival: Arrival) {
        let bytes_max = self.provided.pool().buffer_bytes() as u32;
        let entry = socket.receive_entry(BUFFER_GROUP, bytes_max, arrival);
        self.push(Token::Operation(Operation::Receive, key), entry);
        self.queued_receives += usize::from(arrival == Arrival::Later);
    }

    fn try_queue(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: every entry is made in this module; buffers it names are in `sends`, in `fills`, in
        // `wake_count` or in the provided ring, which outlive the operation.
        unsafe { self.uring.submission().push(entry).is_ok() }
    }

    fn queue_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_queue(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// Submits what is queued and collects what is done, in one system call if there is anything.
    /// Returns the number of entries the kernel took.
    fn enter(&mut self) -> io::Result<usize> {
        // This happens also when a full queue is the reason: receives begun now would starve beside free buffers.
        self.provided.publish();
        let submission = self.uring.submission();
        let queued = submission.len() as u32;
        let is_overflown = submission.cq_overflow();
        let has_task_work = submission.taskrun();
        drop(submission);
        if queued == 0 && !is_overflown && !has_task_work {
            return Ok(0);
        }
        self.overflows += u64::from(is_overflown);
        self.queued_receives = 0;
        let flags = EnterFlags::GETEVENTS.bits();
        loop {
            // SAFETY: without EXT_ARG the argument is an optional signal set, here none. Queued entries
            // name memory this ring owns.
            let entered = unsafe {
                self.uring
                    .submitter()
                    .enter::<libc::sigset_t>(queued, 0, flags, None)
            };
            self.collect();
            match entered {
                Err(error) if is_interruption(&error) => {}
                // The completion queue was full, or the kernel is short of memory: reaping helps, and the
                // entries stay queued for the next flush.
                Err(error) if is_congestion(&error) => return Ok(0),
                other => return other,
            }
        }
    }

    fn translate(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let flags = entry.flags();
        self.in_flight -= 1;
        let result = result_of(entry.result());
        let token = Token::decode(entry.user_data())?;
        Some(match token {
            Token::Accept(listener) => return self.on_watched(listener, result),
            Token::CancelAccept => {
                self.listeners.on_cancelled();
                return None;
            }
            Token::Wake => {
                self.is_wake_armed = false;
                Completion::Woken
            }
            Token::Operation(Operation::Receive, key) => match self.take_filled(key) {
                Some(buffer) => on_filled(key, buffer, result),
                None => self.on_receive(key, result, flags),
            },
            Token::Operation(Operation::Send, key) => self.on_sent(key, result),
            Token::Operation(Operation::Watch, key) => Completion::HungUp {
                key,
                outcome: hang_up_of(result),
            },
            Token::Cancel(operation, key) => Completion::Cancelled { key, operation },
            Token::CancelEnd => return None,
            Token::Close(key) => Completion::Closed { key },
        })
    }

    fn on_sent(&mut self, key: ConnectionKey, result: io::Result<usize>) -> Completion {
        let slot = self.sends.get_mut(key.slot as usize);
        let buffer = slot
            .and_then(Option::take)
            .expect("a send completes once, and its buffer is kept until then");
        Completion::Sent { key, buffer, result }
    }

    fn collect_sent(&mut self) {
        if let Some(sent) = &mut self.sent {
            sent.is_collected = true;
        }
    }

    /// The send that was a system call of its own, once it is collected.
    fn take_sent(&mut self) -> Option<Completion> {
        let sent = self.sent.take_if(|sent| sent.is_collected)?;
        self.in_flight -= 1;
        Some(self.on_sent(sent.key, sent.result))
    }

    /// A listener's watch is over.
    fn on_watched(&mut self, listener: u32, result: io::Result<usize>) -> Option<Completion> {
        if !self.listeners.on_watch_over(listener) {
            return None;
        }
        Some(match result {
            // An event that is no connection shows as an error of `accept_now`.
            Ok(_) => Completion::AcceptReady,
            Err(error) => Completion::AcceptFailed { error },
        })
    }

    /// The buffer of a receive, if it had one of its own.
    fn take_filled(&mut self, key: ConnectionKey) -> Option<Vec<u8>> {
        if self.fills.is_empty() {
            return None;
        }
        self.fills.remove(&key.slot)
    }

    fn on_receive(&mut self, key: ConnectionKey, result: io::Result<usize>, flags: u32) -> Completion {
        let bytes = *result.as_ref().unwrap_or(&0);
        // The kernel may name a buffer even when it put nothing in; the guard's drop returns it.
        let buffer = cqueue::buffer_select(flags).map(|id| {
            // SAFETY: `id` comes from this group's completion, which is handed out once.
            unsafe { self.provided.take(id, bytes) }
        });
        let outcome = match (result, buffer) {
            (Ok(0), _) => Received::End,
            (Ok(_), Some(buffer)) => Received::Bytes(buffer),
            (Ok(_), None) => Received::Failed(io::ErrorKind::InvalidData.into()),
            (Err(error), _) if is_cancellation(&error) => Received::Cancelled,
            (Err(error), _) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.starvations += 1;
                Received::Starved
            }
            (Err(error), _) => Received::Failed(error),
        };
        Completion::Received { key, outcome }
    }
}

impl DataRing for KernelRing {
    type Socket = Socket;

    fn watch_listener(&mut self) {
        // A list would be an allocation for each watch.
        let mut listeners = mem::take(&mut self.listeners);
        for (listener, entry) in listeners.watch() {
            self.push(Token::Accept(listener), entry);
        }
        self.listeners = listeners;
    }

    fn unwatch_listener(&mut self) {
        let mut listeners = mem::take(&mut self.listeners);
        for listener in listeners.unwatch() {
            let entry = opcode::AsyncCancel::new(Token::Accept(listener).encode()).build();
            self.push(Token::CancelAccept, entry);
        }
        self.listeners = listeners;
    }

    fn accept_now(&mut self) -> io::Result<Option<Socket>> {
        self.listeners.accept()
    }

    fn receive(&mut self, key: ConnectionKey, socket: &Socket) {
        self.push_receive(key, socket, Arrival::Later);
    }

    fn receive_ready(&mut self, key: ConnectionKey, socket: &Socket) {
        self.push_receive(key, socket, Arrival::Now);
    }

    fn receive_into(&mut self, key: ConnectionKey, socket: &Socket, mut buffer: Vec<u8>, bytes: usize) {
        let room = buffer.spare_capacity_mut().get_mut(..bytes);
        let room = room.filter(|room| !room.is_empty());
        let entry = socket.fill_entry(room.expect("room for at least one byte"));
        // Moving the `Vec` leaves its memory, which the entry names, where it is.
        let previous = self.fills.insert(key.slot, buffer);
        assert!(previous.is_none(), "two receives in flight on slot {}", key.slot);
        self.push(Token::Operation(Operation::Receive, key), entry);
    }

    fn send(
        &mut self,
        key: ConnectionKey,
        socket: &Socket,
        buffer: Vec<u8>,
        range: Range<usize>,
        mode: SendMode,
    ) {
        let bytes = &buffer[range];
        assert!(!bytes.is_empty(), "a send of nothing on slot {}", key.slot);
        let flags = libc::MSG_NOSIGNAL
            | match mode {
                SendMode::Attempt => libc::MSG_DONTWAIT,
                SendMode::All => libc::MSG_WAITALL,
            };
        let result = match mode {
            SendMode::Attempt if self.is_at_rest() => socket.try_send(bytes, flags),
            _ => None,
        };
        let entry = result.is_none().then(|| socket.send_entry(bytes, flags));
        let slot = key.slot as usize;
        if slot >= self.sends.len() {
            self.reserve_slots(slot + 1);
        }
        // Moving the `Vec` leaves its bytes, which the entry names, where they are.
        let previous = self.sends[slot].replace(buffer);
        assert!(previous.is_none(), "two sends in flight on slot {slot}");
        if let Some(entry) = entry {
            self.push(Token::Operation(Operation::Send, key), entry);
        }
        if let Some(result) = result {
            self.in_flight += 1;
            self.sent = Some(Sent {
                key,
                result,
                is_collected: false,
            });
        }
    }

    fn watch_hang_up(&mut self, key: ConnectionKey, socket: &Socket) {
        let events = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as u32;
        let entry = opcode::PollAdd::new(Fd(socket.input().as_raw_fd()), events).build();
        self.push(Token::Operation(Operation::Watch, key), entry);
    }

    fn cancel(&mut self, key: ConnectionKey, operation: Operation) {
        let target = Token::Operation(operation, key).encode();
        let entry = opcode::AsyncCancel::new(target).build();
        self.push(Token::Cancel(operation, key), entry);
    }

    fn shutdown(&mut self, socket: &Socket, how: Shutdown) {
        for end in socket.shut_down(how).into_iter().flatten() {
            let whatever_names_it = CancelBuilder::fd(Fd(end.as_raw_fd())).all();
            let entry = opcode::AsyncCancel2::new(whatever_names_it).build();
            self.push(Token::CancelEnd, entry);
        }
    }

    fn close(&mut self, key: ConnectionKey, socket: Socket) {
        let entry = opcode::Close::new(Fd(socket.into_last().into_raw_fd())).build();
        self.push(Token::Close(key), entry);
    }

    fn arm_wake(&mut self) {
        assert!(!self.is_wake_armed, "the wake-up is armed twice");
        self.is_wake_armed = true;
        let event = Fd(self.waker.as_fd().as_raw_fd());
        let entry = opcode::Read::new(event, self.wake_count.cast(), 8).build();
        self.push(Token::Wake, entry);
    }

    fn waker(&self) -> RingWaker {
        self.waker.clone()
    }

    fn take_error(&self, socket: &Socket) -> Option<io::Error> {
        socket.connected()?.take_error().ok().flatten()
    }

    fn unread_bytes(&self, socket: &Socket) -> usize {
        // This fails on a socket that is gone and on kinds that have no such number; nothing can be done about either.
        let bytes = rustix::io::ioctl_fionread(socket.input()).unwrap_or(0);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn peer(&self, socket: &Socket) -> io::Result<Peer> {
        socket.peer()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.collect_sent();
        loop {
            self.queue_backlog();
            let taken = self.enter()?;
            if taken == 0 || self.backlog.is_empty() && self.uring.submission().is_empty() {
                return Ok(());
            }
        }
    }

    fn flush_before_wait(&mut self) -> io::Result<()> {
        if !self.can_begin_later() {
            return self.flush();
        }
        self.collect_sent();
        Ok(())
    }

    fn next_completion(&mut self) -> Option<Completion> {
        if let Some(sent) = self.take_sent() {
            return Some(sent);
        }
        loop {
            if self.listeners.is_stop_due() {
                self.listeners.on_stopped();
                return Some(Completion::AcceptStopped);
            }
            if !self.has_collected() {
                self.collect();
            }
            let entry = self.early.pop_front().or_else(|| self.completed.pop_front())?;
            if let Some(completion) = self.translate(&entry) {
                return Some(completion);
            }
        }
    }

    fn next_early(&mut self) -> Option<Completion> {
        if let Some(sent) = self.take_sent() {
            return Some(sent);
        }
        let entry = self.early.pop_front()?;
        self.translate(&entry)
    }

    fn has_more(&mut self) -> bool {
        self.has_visible_work()
    }

    fn release_unneeded(&mut self) {
        self.provided.release_unneeded();
    }

    fn counters(&self) -> RingCounters {
        RingCounters {
            buffers_free: self.provided.free(),
            buffers_total: usize::from(self.provided.pool().count()),
            starvations: self.starvations,
            overflows: self.overflows,
            in_flight: self.in_flight,
        }
    }
}

impl Drop for KernelRing {
    /// Begins what is queued (closes among it), closes connections nobody took, and leaks what the
    /// kernel may still read or write.
    fn drop(&mut self) {
        let _ = self.flush();
        while let Some(completion) = self.next_completion() {
            drop(completion);
        }
        let sends = self.sends.iter_mut().filter_map(Option::take);
        for buffer in sends.chain(self.fills.drain().map(|(_, buffer)| buffer)) {
            mem::forget(buffer);
        }
    }
}

/// An eventfd that is signalled when deferred work comes up, once it is enabled.
fn notice_of(uring: &mut IoUring) -> io::Result<OwnedFd> {
    let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
    let event = rustix::event::eventfd(0, flags)?;
    uring.submitter().register_eventfd(event.as_raw_fd())?;
    uring.completion().disable_eventfd();
    Ok(event)
}

/// Makes a write to a pipe that nobody reads an error of that write and not a signal to this thread, whatever the
/// program does with signals. (`RWF_NOSIGNAL` does the same from Linux 6.18 on.)
fn hold_broken_pipes() {
    // SAFETY: the set is initialised by `sigemptyset` before it is used, and the old mask is not asked for.
    unsafe {
        let mut signals = mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), std::ptr::null_mut());
    }
}

/// A completion's result: a system error is a negative number.
fn result_of(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// A receive into its own buffer is over.
fn on_filled(key: ConnectionKey, mut buffer: Vec<u8>, result: io::Result<usize>) -> Completion {
    if let Ok(bytes) = result {
        let filled = buffer.len() + bytes;
        assert!(filled <= buffer.capacity(), "{bytes} bytes for less room");
        // SAFETY: the length is within the capacity, and the kernel has written the bytes up to it, which were the
        // front of the spare capacity when the receive was begun; the buffer was not touched since.
        unsafe { buffer.set_len(filled) };
    }
    Completion::Filled { key, buffer, result }
}

fn hang_up_of(result: io::Result<usize>) -> HangUp {
    match result {
        Ok(events) if events as i32 & i32::from(libc::POLLHUP | libc::POLLERR) != 0 => HangUp::Closed,
        Ok(_) => HangUp::ReadClosed,
        Err(error) if is_cancellation(&error) => HangUp::Cancelled,
        Err(error) => HangUp::Failed(error),
    }
}

fn is_interruption(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

fn is_congestion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN))
}

fn is_cancellation(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}
