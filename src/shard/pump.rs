//! Drives a shard inside its executor: the one task that reaps the data ring, one task per pending call, and the tick.
//!
//! A shard with nothing to do waits in its ring as long as nobody awaits anything in the executor: no call whose waker
//! somebody holds, and no task that a tool left behind, which tools may promise not to do. Otherwise it parks in the
//! executor, which waits for its own events and for the ring.
//!
//! Completions drive the shard's state machines directly, and a ready answer goes out in the same batch. A
//! task exists only for a call that is really pending. No borrow of the shard is held while tool code runs
//! or anything is awaited.
//!
//! The executor may sleep with runnable tasks if the thread lost its CPU at the wrong moment; the tick is
//! what wakes it then, so such a stall lasts one tick at most. A shard that waits in its ring ticks by itself.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::pool::HandlerKey;
use crate::ring::{Idle, KernelRing, Parking, ServedSleepers, SpinPolicy, pass_over_executor, spawn_ticks};

use super::calls::{Awaits, CallWaker};
use super::{ExecutorWaker, Shard};

/// Completions handled before what became ready is run.
const BATCH_COMPLETIONS_MAX: usize = 256;
/// Batches before other tasks get their turn.
const TURN_BATCHES_MAX: usize = 8;
/// Tick while anything is in progress.
const TICK_BUSY: Duration = Duration::from_millis(10);
/// Tick while nothing is.
const TICK_IDLE: Duration = Duration::from_millis(100);
/// The shard does not wait any shorter for a tick's sake: a timer that is due before the kernel's own next tick (within
/// 4 ms, usually) costs far more to set and clear.
const TICK_WAIT_MIN: Duration = Duration::from_millis(5);
/// How old the last look at the ring may be while tool futures are polled, and the executor's last look at its own
/// events while calls await something there.
const PASS_AGE_MAX: Duration = Duration::from_micros(200);

type Shared = Rc<RefCell<Shard<KernelRing>>>;

/// Serves until the shard has drained.
///
/// # Errors
/// Only what makes the data ring unusable.
pub async fn run(shard: Shared, executor_waker: ExecutorWaker) -> io::Result<()> {
    let busy_poll = shard.borrow().service.run.busy_poll;
    // The first tick comes at once, and may poll calls that sleep.
    let sleepers = ServedSleepers::new();
    let ticked = Rc::clone(&shard);
    spawn_ticks(move || tick(&ticked));
    glommio::spawn_local(poll_fn(move |context| {
        executor_waker.set_task(context.waker());
        Poll::<()>::Pending
    }))
    .detach();
    let pump = Pump {
        shard,
        spin: SpinPolicy::new(busy_poll),
        sleepers,
    };
    pump.run().await
}

struct Pump {
    shard: Shared,
    spin: SpinPolicy,
    sleepers: ServedSleepers,
}

impl Pump {
    async fn run(mut self) -> io::Result<()> {
        loop {
            let is_busy = turn(&self.shard)?;
            if self.shard.borrow().is_finished() {
                return Ok(());
            }
            if is_busy {
                self.spin.on_busy();
            }
            self.wait().await?;
        }
    }

    /// Waits until there may be something to do; until then, others have their turns.
    async fn wait(&mut self) -> io::Result<()> {
        let (has_runnable, awaits_executor) = {
            let shard = self.shard.borrow();
            let has_runnable = shard.calls.has_runnable() || shard.has_pieces();
            (has_runnable, shard.calls.awaits_executor())
        };
        if self.sleepers.wake() || has_runnable {
            self.shard.borrow_mut().flush()?;
            Parking::for_a_turn().await?;
            return self.pass_if_older(PASS_AGE_MAX).await;
        }
        if awaits_executor {
            return self.park().await;
        }
        let is_alone = self.shard.borrow().service.spawns_no_tasks();
        match self.spin.on_idle(is_alone.then_some(TICK_IDLE)) {
            Idle::Stay(wait) => self.stay(wait),
            Idle::Pass => {
                self.shard.borrow_mut().flush()?;
                self.pass_if_older(Duration::ZERO).await
            }
            Idle::Park => self.park().await,
        }
    }

    /// Waits in the ring for so long, or until something is due.
    fn stay(&mut self, wait: Duration) -> io::Result<()> {
        let mut shard = self.shard.borrow_mut();
        let now = shard.clock.read();
        let tick = tick_due(&shard);
        if tick <= now {
            return Ok(());
        }
        let mut due = tick.max(now + TICK_WAIT_MIN);
        if let Some(next) = self.next_due(&mut shard) {
            due = due.min(next);
        }
        shard
            .ring
            .flush_and_wait(wait.min(due.saturating_duration_since(now)))
    }

    /// Waits in the executor until the ring has something to do or something is due. Out of descriptors, it waits a
    /// tick instead: the executor's way of waiting needs one.
    async fn park(&mut self) -> io::Result<()> {
        let parking = {
            let mut shard = self.shard.borrow_mut();
            let due = self.next_due(&mut shard);
            let left = due.map(|due| due.saturating_duration_since(shard.clock.read()));
            Parking::new(&mut shard.ring).map(|parking| parking.at_most(left))
        };
        let waited = match parking {
            Ok(parking) if parking.is_for_a_turn() => {
                self.shard.borrow_mut().ring.on_resumed();
                parking.await?;
                return self.pass_if_older(PASS_AGE_MAX).await;
            }
            Ok(parking) => parking.await,
            Err(_) => {
                glommio::timer::sleep(TICK_BUSY).await;
                Ok(())
            }
        };
        self.shard.borrow_mut().ring.on_resumed();
        self.spin.on_passed();
        waited
    }

    /// Has the executor look at its own events, if it did not do so for longer than this.
    async fn pass_if_older(&mut self, age: Duration) -> io::Result<()> {
        if self.spin.pass_age() > age {
            pass_over_executor().await;
            self.spin.on_passed();
        }
        Ok(())
    }

    /// When the shard has something to do by the clock before a tick.
    fn next_due(&self, shard: &mut Shard<KernelRing>) -> Option<Instant> {
        let offer = shard.admission.next_offer();
        let sleep = self.sleepers.next_end();
        offer.into_iter().chain(sleep).min()
    }
}

/// A bounded run of batches. What a completion starts is run before the next is looked at, so that nobody's call
/// waits behind the decoding of everybody's. Returns whether there was anything. It may leave receives to the call that
/// waits in the ring, so a caller that does anything else flushes first.
fn turn(shard: &Shared) -> io::Result<bool> {
    let mut is_busy = false;
    for _ in 0..TURN_BATCHES_MAX {
        {
            let mut shard = shard.borrow_mut();
            // What is done is done before the time is taken: a flush may last.
            shard.flush_before_wait()?;
            shard.begin_pass();
            tick_if_due(&mut shard, Duration::ZERO);
            shard.offer_if_due();
        }
        let mut handled = 0;
        while handled < BATCH_COMPLETIONS_MAX {
            let count = shard
                .borrow_mut()
                .handle_completions(BATCH_COMPLETIONS_MAX - handled);
            run_started(shard);
            if count == 0 {
                break;
            }
            handled += count;
        }
        is_busy |= handled > 0;
        let shard = shard.borrow();
        if handled == 0 && !shard.has_pieces() || shard.awaits_tasks() {
            break;
        }
    }
    shard.borrow_mut().flush_before_wait()?;
    Ok(is_busy)
}

/// Polls what was started, once; what is pending then becomes a task.
fn run_started(shard: &Shared) {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let next = shard.borrow_mut().next_started();
        let Some((key, mut call)) = next else { return };
        match Pin::new(&mut call).poll(&mut context) {
            Poll::Ready(outcome) => shard.borrow_mut().settle(key, outcome),
            Poll::Pending => {
                shard.borrow_mut().suspend(key, call, Awaits::Turn(None));
                glommio::spawn_local(drive(Rc::clone(shard), key)).detach();
            }
        }
    }
}

/// Polls one pending call until it is over or was taken away (cancelled, timed out).
async fn drive(shard: Shared, key: HandlerKey) {
    let mut call_waker = None;
    poll_fn(|context| {
        let taken = shard.borrow_mut().resume_call(key);
        let Some(mut call) = taken else {
            // If it was shelved, it may be on its way back and about to be polled.
            look(&shard);
            return Poll::Ready(());
        };
        let waker = call_waker.get_or_insert_with(|| CallWaker::new(context.waker()));
        let is_over = match waker.poll(&mut call) {
            Ok(outcome) => {
                shard.borrow_mut().settle(key, outcome);
                true
            }
            Err(awaits) => {
                shard.borrow_mut().suspend(key, call, awaits);
                false
            }
        };
        if is_over || shard.borrow().clock.pass_age() > PASS_AGE_MAX {
            look(&shard);
        }
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// One tick of the executor's, and when the next is due. The pump ticks by itself while it waits in the ring; this is
/// for when it waits in the executor, and for when that sleeps though it should not.
fn tick(shard: &Shared) -> Option<Duration> {
    {
        let mut shard = shard.borrow_mut();
        shard.begin_pass();
        tick_if_due(&mut shard, TICK_BUSY / 2);
    }
    look(shard);
    let shard = shard.borrow();
    (!shard.is_finished()).then(|| tick_period(&shard))
}

/// Ticks if a tick is due within so long.
fn tick_if_due(shard: &mut Shard<KernelRing>, within: Duration) {
    let soon = shard.clock.now() + within;
    // Most of the time it is too early in any case.
    if soon >= shard.clock.ticked() + TICK_BUSY && soon >= tick_due(shard) {
        shard.handle_tick();
    }
}

/// When the next tick is due, as busy as the shard is now.
fn tick_due(shard: &Shard<KernelRing>) -> Instant {
    shard.clock.ticked() + tick_period(shard)
}

/// How long it is from one tick to the next.
fn tick_period(shard: &Shard<KernelRing>) -> Duration {
    if shard.is_busy() { TICK_BUSY } else { TICK_IDLE }
}

/// A turn outside the pump. What it leaves, the pump does not see while it waits; a broken ring is the pump's to
/// report, which finds the same error when woken.
fn look(shard: &Shared) {
    let has_failed = turn(shard).is_err() || shard.borrow_mut().flush().is_err();
    let shard = shard.borrow();
    let has_news = shard.admission.has_offer_news() || shard.has_pieces();
    if has_failed || has_news || shard.is_finished() || shard.ring.is_awaited_in_vain() {
        shard.inbox.wake();
    }
}
