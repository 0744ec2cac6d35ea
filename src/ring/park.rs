//! Waiting for the ring inside the executor, when there is nothing else to do.
//!
//! The executor has no call that waits for a foreign descriptor. Adopting one as a `TcpStream` arms a
//! level-triggered poll on it at once; reading the stream then waits for that poll and fails with
//! `ENOTSOCK`, which here means "readable". The version is pinned because of this.
//!
//! No wake-up is lost: the descriptor shows everything that comes up after the last look at the ring; the kernel queues
//! the poller first and tests for it second. Waiting costs about sixteen system calls each time, so a busy shard should
//! stay in the ring.
#![allow(unsafe_code, reason = "lends the ring's descriptor to the executor")]

use super::DataRing;
use super::kernel::KernelRing;
use super::sleep::{forget_waiter, poll_news};
use futures_io::AsyncRead;
use glommio::net::TcpStream;
use glommio::timer::Timer;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Resolves when the ring has something to do. It also lets the executor look at its own events, since it resolves at
/// the executor's next pass when completions are pending. It borrows nothing from the ring.
///
/// ```no_run
/// # use weir::internals::ring::{DataRing, KernelRing, Parking};
/// # async fn pump(mut ring: KernelRing) -> std::io::Result<()> {
/// loop {
///     ring.flush()?;
///     while let Some(completion) = ring.next_completion() { /* handle it, at most a few hundred */ }
///     Parking::new(&mut ring)?.await?;
///     ring.on_resumed();
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it waits only when awaited"]
pub struct Parking {
    waits_for: WaitsFor,
    /// It waits no longer than this.
    timer: Option<Timer>,
}

#[derive(Debug)]
enum WaitsFor {
    Ring(TcpStream),
    /// There is something to do already, so it only lets other tasks run.
    Turn,
    Nothing,
}

impl Parking {
    /// Flushes what is left, looks at the ring a last time and arms the poll. It must run inside the executor.
    ///
    /// # Errors
    /// The ring's, or no descriptor is free for the duplicate.
    pub fn new(ring: &mut KernelRing) -> io::Result<Self> {
        if ring.has_hidden_work() {
            ring.flush()?;
        }
        // The stream closes its descriptor, so it gets a duplicate.
        let duplicate = ring.descriptor().try_clone_to_owned()?;
        // This comes only now: what comes up from here on makes the descriptor readable.
        if ring.has_hidden_work() || ring.has_visible_work() {
            return Ok(Parking::for_a_turn());
        }
        // SAFETY: the duplicate is owned by nobody else.
        let stream = unsafe { TcpStream::from_raw_fd(duplicate.into_raw_fd()) };
        Ok(Parking::with(WaitsFor::Ring(stream)))
    }

    /// Lets the executor run other tasks, whatever the ring has to do.
    pub fn for_a_turn() -> Self {
        Parking::with(WaitsFor::Turn)
    }

    /// Waits no longer than this, nor for longer than anybody sleeps who begins to meanwhile. It must run inside the
    /// executor.
    pub fn at_most(mut self, wait: Option<Duration>) -> Self {
        if matches!(self.waits_for, WaitsFor::Ring(_)) {
            self.timer = wait.map(Timer::new);
        }
        self
    }

    /// Whether it only lets other tasks run.
    pub fn is_for_a_turn(&self) -> bool {
        matches!(self.waits_for, WaitsFor::Turn)
    }

    fn with(waits_for: WaitsFor) -> Self {
        Parking {
            waits_for,
            timer: None,
        }
    }
}

/// Lets the executor look at its own events once, and run the tasks that those wake. Awaiting tasks or
/// [`Parking::for_a_turn`] does not: while tasks are runnable the executor looks at nothing else.
pub async fn pass_over_executor() {
    // A timer that is registered is over when the executor has looked at its timers. It costs least if it is due by
    // then, and one that was due before was not registered.
    let mut wait = Duration::from_nanos(200);
    loop {
        let mut timer = pin!(Timer::new(wait));
        let mut was_registered = false;
        poll_fn(|context| {
            let polled = timer.as_mut().poll(context).map(|_| ());
            was_registered |= polled.is_pending();
            polled
        })
        .await;
        if was_registered {
            return;
        }
        wait *= 2;
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        if matches!(self.waits_for, WaitsFor::Ring(_)) {
            forget_waiter();
        }
    }
}

impl Future for Parking {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Parking { waits_for, timer } = &mut *self;
        let stream = match waits_for {
            WaitsFor::Ring(stream) => stream,
            WaitsFor::Turn => {
                *waits_for = WaitsFor::Nothing;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            WaitsFor::Nothing => return Poll::Ready(Ok(())),
        };
        if let Some(timer) = timer
            && Pin::new(timer).poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        if poll_news(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::listener::{ListenerOptions, listen, local_address};
    use crate::ring::{Completion, ConnectionKey, Received, RingOptions, SendMode, spawn_ticks};
    use glommio::{LocalExecutorBuilder, Placement};
    use std::cell::RefCell;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::rc::Rc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::task::Waker;
    use std::thread::JoinHandle;

    /// Far below glommio's 100 ms, so that a short loss of the CPU does what a long one does there. Each
    /// is tried for so many round trips; the first usually suffices within a thousand.
    const PREEMPT_TIMERS: [Duration; 4] = [
        Duration::from_micros(100),
        Duration::from_micros(50),
        Duration::from_micros(25),
        Duration::from_micros(12),
    ];
    const TRIPS_MAX: usize = 3_000;
    /// With such timers the passes that ticks wake are lost a thousand times as often, too.
    const TICK_PAIRS: u64 = 3;
    /// A round trip takes about a tenth of a millisecond. One that takes this long has stalled.
    const STALL: Duration = Duration::from_millis(500);
    /// Generous for a tick of 10 ms on a machine that does other things.
    const PATIENCE: Duration = Duration::from_secs(10);
    const TICK: Duration = Duration::from_millis(10);
    const STARTS_MAX: usize = 60;

    const KEY: ConnectionKey = ConnectionKey {
        slot: 0,
        generation: 0,
    };

    /// An executor on a thread of its own that echoes on one connection at a time, until `stop`.
    struct EchoShard {
        address: SocketAddr,
        thread: JoinHandle<()>,
        /// Closed when the thread is about to end, however it does.
        ended: mpsc::Receiver<()>,
        /// Wakes the executor itself, as a watchdog would.
        rescue: Arc<Mutex<Option<Waker>>>,
    }

    /// The first pass can be lost as well, and then nothing wakes the executor: it is left behind and
    /// another started.
    fn echo_shard(preempt_timer: Duration, tick_pairs: u64) -> EchoShard {
        (0..STARTS_MAX)
            .find_map(|_| try_echo_shard(preempt_timer, tick_pairs))
            .expect("an executor that gets through its first pass")
    }

    fn try_echo_shard(preempt_timer: Duration, tick_pairs: u64) -> Option<EchoShard> {
        let (address_of, address) = mpsc::channel();
        let rescue = Arc::new(Mutex::new(None));
        let rescued = Arc::clone(&rescue);
        let builder = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 << 10)
            .ring_depth(128)
            .preempt_timer(preempt_timer);
        let spawned = builder.spawn(move || async move {
            let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), ListenerOptions::default()).unwrap();
            let address = local_address(&listener).unwrap();
            let options = RingOptions {
                buffers: 4,
                ..RingOptions::default()
            };
            let mut ring = KernelRing::new(options).unwrap();
            ring.listen(listener);
            ring.watch_listener();
            for pair in 0..tick_pairs {
                let tick = TICK + Duration::from_millis(pair);
                spawn_ticks(move || Some(tick));
            }
            let mut start = Some((address_of, address));
            glommio::spawn_local(std::future::poll_fn::<(), _>(move |context| {
                *rescued.lock().unwrap() = Some(context.waker().clone());
                if let Some((address_of, address)) = start.take() {
                    let _ = address_of.send(address);
                }
                Poll::Pending
            }))
            .detach();
            pump(Rc::new(RefCell::new(ring))).await;
        });
        let handle = spawned.unwrap();
        let address = address.recv_timeout(STALL).ok()?;
        let (ends, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _ends: mpsc::Sender<()> = ends;
            handle.join().unwrap();
        });
        Some(EchoShard {
            address,
            thread,
            ended,
            rescue,
        })
    }

    /// Parks after every batch. A connection that sends "q" ends it.
    async fn pump(ring: Rc<RefCell<KernelRing>>) {
        let mut socket = None;
        loop {
            let parking = {
                let ring = &mut *ring.borrow_mut();
                ring.flush().unwrap();
                while let Some(completion) = ring.next_completion() {
                    if !echo(ring, &mut socket, completion) {
                        return;
                    }
                }
                Parking::new(ring).unwrap()
            };
            parking.await.unwrap();
        }
    }

    fn echo(ring: &mut KernelRing, socket: &mut Option<crate::ring::Socket>, completion: Completion) -> bool {
        match completion {
            Completion::AcceptReady => {
                let new = ring.accept_now().unwrap().unwrap();
                ring.receive(KEY, socket.insert(new));
            }
            Completion::Received {
                outcome: Received::Bytes(bytes),
                ..
            } => {
                if bytes.contains(&b'q') {
                    return false;
                }
                let socket = socket.as_ref().unwrap();
                ring.send(KEY, socket, bytes.to_vec(), 0..bytes.len(), SendMode::Attempt);
                ring.receive(KEY, socket);
            }
            Completion::Sent { result, .. } => assert!(result.is_ok()),
            other => panic!("{other:?}"),
        }
        true
    }

    /// Whether the answer came in time.
    fn round_trip(peer: &mut TcpStream, patience: Duration) -> bool {
        peer.write_all(b"x").unwrap();
        answered(peer, patience)
    }

    fn answered(peer: &mut TcpStream, patience: Duration) -> bool {
        peer.set_read_timeout(Some(patience)).unwrap();
        let mut byte = [0];
        match peer.read(&mut byte) {
            Ok(read) => {
                assert_eq!((read, byte), (1, *b"x"));
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                false
            }
        }
    }

    const ATTEMPTS_MAX: usize = 4;
    /// Wake-ups for two minutes. An executor that does not get the CPU takes none of them up, and each counts as one
    /// more waker until it does: beyond 32,767 of them glommio ends the process.
    const RESCUES_MAX: usize = 600;
    const RESCUE_WAIT: Duration = Duration::from_millis(200);

    /// A preemption timer with which the executor stalls, and after how many round trips it did.
    fn provoke_stall() -> (Duration, usize) {
        for preempt_timer in PREEMPT_TIMERS {
            let shard = echo_shard(preempt_timer, 0);
            let mut peer = TcpStream::connect(shard.address).unwrap();
            let stalled = (0..TRIPS_MAX).find(|_| !round_trip(&mut peer, STALL));
            if let Some(trips) = stalled {
                // The pass that one wake-up brings can be lost like any other.
                let is_rescued = (0..RESCUES_MAX).any(|_| {
                    rescue(&shard.rescue);
                    answered(&mut peer, RESCUE_WAIT)
                });
                assert!(is_rescued, "wake-ups from outside end the stall");
                stop(peer, shard);
                return (preempt_timer, trips);
            }
            stop(peer, shard);
        }
        panic!("the executor does not stall; is its fix released?");
    }

    /// Takes the CPU away from the executor now and then.
    fn with_busy_neighbours<T>(act: impl FnOnce() -> T) -> T {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let outcome = catch_unwind(AssertUnwindSafe(act));
            is_over.store(true, Ordering::Relaxed);
            outcome.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn stop(mut peer: TcpStream, shard: EchoShard) {
        peer.write_all(b"q").unwrap();
        let has_ended = || shard.ended.recv_timeout(RESCUE_WAIT) == Err(mpsc::RecvTimeoutError::Disconnected);
        // The pass that one wake-up brings can be lost like any other.
        let is_over = has_ended()
            || (0..RESCUES_MAX).any(|_| {
                rescue(&shard.rescue);
                has_ended()
            });
        assert!(is_over, "the executor ends when it is told to");
        shard.thread.join().unwrap();
    }

    fn rescue(waker: &Mutex<Option<Waker>>) {
        if let Some(waker) = &*waker.lock().unwrap() {
            waker.wake_by_ref();
        }
    }

    /// How many turns a task gives away before another's timer, which is due, is noticed; at most so many.
    fn turns_until_noticed(passes: bool, turns_max: u32) -> u32 {
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 << 10)
            .ring_depth(128)
            .preempt_timer(Duration::from_secs(600))
            .make()
            .unwrap();
        executor.run(async move {
            let is_noticed = Rc::new(std::cell::Cell::new(false));
            let noticed = Rc::clone(&is_noticed);
            let timer = Timer::new(Duration::from_millis(1));
            glommio::spawn_local(async move {
                timer.await;
                noticed.set(true);
            })
            .detach();
            std::thread::sleep(Duration::from_millis(2));
            let mut turns = 0;
            while turns < turns_max && !is_noticed.get() {
                if passes {
                    pass_over_executor().await;
                } else {
                    Parking::for_a_turn().await.unwrap();
                }
                turns += 1;
            }
            turns
        })
    }

    #[test]
    fn a_pass_notices_what_is_due_in_the_executor_and_a_turn_does_not() {
        assert_eq!(turns_until_noticed(false, 5_000), 5_000);
        // The task that the pass wakes may run behind this one.
        assert!(turns_until_noticed(true, 5_000) <= 2);
    }

    #[test]
    fn whoever_waits_is_woken_for_a_sleep_that_begins_meanwhile() {
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 << 10)
            .ring_depth(128)
            .make()
            .unwrap();
        executor.run(async {
            let sleepers = crate::ring::ServedSleepers::new();
            let options = RingOptions {
                buffers: 4,
                ..RingOptions::default()
            };
            let mut ring = KernelRing::new(options).unwrap();
            glommio::spawn_local(async {
                glommio::timer::sleep(Duration::from_millis(2)).await;
                crate::ring::sleep(Duration::from_millis(1)).await;
            })
            .detach();
            assert_eq!(sleepers.next_end(), None);
            // Nothing else ever ends this.
            Parking::new(&mut ring).unwrap().at_most(None).await.unwrap();
            ring.on_resumed();
            assert!(sleepers.next_end().is_some());
            let left = Some(Duration::from_millis(1));
            Parking::new(&mut ring).unwrap().at_most(left).await.unwrap();
            ring.on_resumed();
        });
    }

    #[test]
    fn an_idle_executor_waits_for_the_ring() {
        let shard = echo_shard(Duration::from_millis(100), 0);
        let mut peer = TcpStream::connect(shard.address).unwrap();
        for _ in 0..1000 {
            assert!(round_trip(&mut peer, PATIENCE));
        }
        stop(peer, shard);
    }

    #[test]
    fn ticks_bound_the_executors_stall() {
        with_busy_neighbours(|| {
            let (preempt_timer, trips) = provoke_stall();
            // On an overloaded machine, and with a timer as short as this, the passes of all ticks can be lost at once.
            // Six times as many round trips as it took to stall without ticks are out of reach of luck.
            let stalls: Vec<usize> = (0..ATTEMPTS_MAX)
                .map_while(|_| stall_with_ticks(preempt_timer, 6 * trips.clamp(50, 500)))
                .collect();
            assert!(
                stalls.len() < ATTEMPTS_MAX,
                "stalled at {stalls:?}, without ticks at {trips}"
            );
        });
    }

    /// The round trip of `trips` that was not answered, if one was not.
    fn stall_with_ticks(preempt_timer: Duration, trips: usize) -> Option<usize> {
        let shard = echo_shard(preempt_timer, TICK_PAIRS);
        let mut peer = TcpStream::connect(shard.address).unwrap();
        let stalled = (0..trips).find(|_| !round_trip(&mut peer, PATIENCE));
        stop(peer, shard);
        stalled
    }
}
