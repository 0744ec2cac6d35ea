//! Drives a shard inside its executor: the one task that reaps the data ring, one task per pending call, the
//! tick, and the offers.
//!
//! Completions drive the shard's state machines directly, and a ready answer goes out in the same batch. A
//! task exists only for a call that is really pending. No borrow of the shard is held while tool code runs
//! or anything is awaited.
//!
//! The executor may sleep with runnable tasks if the thread lost its CPU at the wrong moment; the tick is
//! what wakes it then, so such a stall lasts one tick at most.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::pool::HandlerKey;
use crate::ring::{KernelRing, Parking, SpinOptions, SpinPolicy, spawn_ticks};

use super::{ExecutorWaker, Shard};

/// Completions handled before what became ready is run.
const BATCH_COMPLETIONS_MAX: usize = 256;
/// Batches before other tasks get their turn.
const TURN_BATCHES_MAX: usize = 8;
/// Tick while anything is in progress.
const TICK_BUSY: Duration = Duration::from_millis(10);
/// Tick while nothing is.
const TICK_IDLE: Duration = Duration::from_millis(100);
/// How old the last look at the ring may be while tool futures are polled.
const PASS_AGE_MAX: Duration = Duration::from_micros(200);

type Shared = Rc<RefCell<Shard<KernelRing>>>;

/// Serves until the shard has drained.
///
/// # Errors
/// Only what makes the data ring unusable.
pub async fn run(shard: Shared, executor_waker: ExecutorWaker) -> io::Result<()> {
    let spin = SpinOptions {
        busy_poll: shard.borrow().service.run.busy_poll,
        ..SpinOptions::default()
    };
    let ticked = Rc::clone(&shard);
    spawn_ticks(move || tick(&ticked));
    glommio::spawn_local(poll_fn(move |context| {
        executor_waker.set_task(context.waker());
        Poll::<()>::Pending
    }))
    .detach();
    if shard.borrow().admission.can_move() {
        glommio::spawn_local(offer_in_time(Rc::clone(&shard))).detach();
    }
    pump(&shard, SpinPolicy::new(spin)).await
}

async fn pump(shard: &Shared, mut spin: SpinPolicy) -> io::Result<()> {
    loop {
        turn(shard)?;
        if shard.borrow().is_finished() {
            return Ok(());
        }
        if !shard.borrow().calls.has_pending() && spin.try_stay(&mut shard.borrow_mut().ring)? {
            continue;
        }
        park(shard).await?;
        spin.on_parked();
    }
}

/// Waits until the ring has something to do, or until tasks have run that are waited for. Out of descriptors, it waits
/// a tick instead: the executor's way of waiting needs one.
async fn park(shard: &Shared) -> io::Result<()> {
    let awaits_tasks = shard.borrow().awaits_tasks();
    let parking = if awaits_tasks {
        Ok(Parking::for_a_turn())
    } else {
        Parking::new(&mut shard.borrow_mut().ring)
    };
    let waited = match parking {
        Ok(parking) => parking.await,
        Err(_) => {
            glommio::timer::sleep(TICK_BUSY).await;
            Ok(())
        }
    };
    shard.borrow_mut().ring.on_resumed();
    waited
}

/// A bounded run of batches. What a completion starts is run before the next is looked at, so that nobody's call
/// waits behind the decoding of everybody's.
fn turn(shard: &Shared) -> io::Result<()> {
    for _ in 0..TURN_BATCHES_MAX {
        {
            let mut shard = shard.borrow_mut();
            // What is done is done before the time is taken: a flush may last.
            shard.flush()?;
            shard.begin_pass();
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
        if handled == 0 || shard.borrow().awaits_tasks() {
            break;
        }
    }
    shard.borrow_mut().flush()
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
                shard.borrow_mut().suspend(key, call, None);
                glommio::spawn_local(drive(Rc::clone(shard), key)).detach();
            }
        }
    }
}

/// Polls one pending call until it is over or was taken away (cancelled, timed out).
async fn drive(shard: Shared, key: HandlerKey) {
    poll_fn(|context| {
        let taken = shard.borrow_mut().resume_call(key);
        let Some(mut call) = taken else {
            // If it was shelved, it may be on its way back and about to be polled.
            look(&shard);
            return Poll::Ready(());
        };
        let polled = Pin::new(&mut call).poll(context);
        let is_over = match polled {
            Poll::Ready(outcome) => {
                shard.borrow_mut().settle(key, outcome);
                Poll::Ready(())
            }
            Poll::Pending => {
                shard
                    .borrow_mut()
                    .suspend(key, call, Some(context.waker().clone()));
                Poll::Pending
            }
        };
        if is_over.is_ready() || shard.borrow().clock.pass_age() > PASS_AGE_MAX {
            look(&shard);
        }
        is_over
    })
    .await;
}

/// Offers waiters to other shards when they are old enough: sooner than the next tick.
async fn offer_in_time(shard: Shared) {
    loop {
        let due = poll_fn(|context| shard.borrow_mut().admission.poll_offer_due(context)).await;
        let left = due.saturating_duration_since(shard.borrow().clock.read());
        glommio::timer::sleep(left).await;
        {
            let mut shard = shard.borrow_mut();
            shard.begin_pass();
            shard.offer_waiters();
        }
        look(&shard);
    }
}

/// One tick, and when the next is due.
fn tick(shard: &Shared) -> Option<Duration> {
    {
        let mut shard = shard.borrow_mut();
        shard.begin_pass();
        shard.handle_tick();
    }
    look(shard);
    let shard = shard.borrow();
    let due = if shard.is_busy() { TICK_BUSY } else { TICK_IDLE };
    (!shard.is_finished()).then_some(due)
}

/// A turn outside the pump. What it leaves, the pump does not see while it waits; a broken ring is the pump's to
/// report, which finds the same error when woken.
fn look(shard: &Shared) {
    let has_failed = turn(shard).is_err();
    let shard = shard.borrow();
    if has_failed || shard.is_finished() || shard.ring.is_awaited_in_vain() {
        shard.inbox.wake();
    }
}
