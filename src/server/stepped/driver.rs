//! The thread that drives the shard, and moves the clock when there is nothing else to do.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::clock::{self, VirtualClock};
use crate::config::{RingOptions, ShardSizes};
use crate::metrics::{ShardMetrics, WorkerFigures};
use crate::registry::{ServerHandle, note_panics_here};
use crate::ring::simulated::SimulatedNetwork;
use crate::ring::{DataRing, RingWaker};
use crate::session::live::SteppedBroadcaster;
use crate::shard::{
    Clients, ConnectionCap, Inbox, Mesh, Served, Service, Shard, ShardParts, Spread, Stepper, UnixPeers,
    Waker,
};
use crate::units::ShardId;
use crate::workers::Submitter;

use super::activity::Activity;
use super::goals::Goals;
use super::log;
use crate::server::running::CurrentWatchers;

/// How often a call that runs elsewhere is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// How long the clock does not run ahead of blocking functions that were given up, by the real clock. What they still
/// do is seen in a test then; those that do not end are left behind.
const GIVEN_UP_PATIENCE: Duration = Duration::from_secs(1);
/// What an overdue deadline moves the clock by: a tick of the shard's timers.
const TICK: Duration = Duration::from_millis(10);

/// What the thread drives, before it makes the shard.
pub(super) struct Driver {
    pub(super) served: Arc<Served>,
    pub(super) main: Arc<Service>,
    pub(super) server: ServerHandle,
    pub(super) network: SimulatedNetwork,
    pub(super) clock: VirtualClock,
    pub(super) goals: Arc<Goals>,
    pub(super) activity: Arc<Activity>,
    pub(super) workers: Submitter,
    pub(super) sizes: ShardSizes,
    pub(super) ring: RingOptions,
    pub(super) connections_max: usize,
}

/// Wakes the ring, and the thread that drives it.
struct WakesBoth {
    ring: RingWaker,
    goals: Arc<Goals>,
}

impl Waker for WakesBoth {
    fn wake(&self) {
        self.ring.wake();
        self.goals.signal();
    }
}

/// Says that the thread has ended, however it does.
struct Over(Arc<Goals>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.on_over();
    }
}

/// What the thread steps.
struct Running {
    stepper: Stepper,
    broadcaster: SteppedBroadcaster<CurrentWatchers>,
    clock: VirtualClock,
    goals: Arc<Goals>,
    activity: Arc<Activity>,
    workers: Submitter,
    /// Real time for which the clock has not moved, because nothing was due so soon.
    owed: Duration,
    given_up: GivenUp,
}

/// Blocking functions that run on though their calls were given up.
#[derive(Default)]
struct GivenUp {
    /// How many there have ever been.
    total: u64,
    /// How long was waited since the last one was given up.
    waited: Duration,
}

impl GivenUp {
    /// How many of those that still run are waited for no longer.
    fn left_behind(&mut self, figures: &WorkerFigures) -> u64 {
        if std::mem::replace(&mut self.total, figures.abandoned_total) != figures.abandoned_total {
            self.waited = Duration::ZERO;
        }
        if self.waited < GIVEN_UP_PATIENCE {
            return 0;
        }
        figures.abandoned
    }
}

impl Driver {
    /// The thread's life; says when clients can connect.
    pub(super) fn run(self, ready: &SyncSender<()>) {
        let _over = Over(Arc::clone(&self.goals));
        let _log = log::show();
        self.clock.enter();
        note_panics_here();
        self.workers.drop_for_this_thread();
        let mut running = self.make();
        let _ = ready.send(());
        if let Err(error) = running.run() {
            tracing::error!(%error, "the server of a test has ended");
        }
    }

    fn make(self) -> Running {
        let ring = self.network.ring(self.ring);
        let inbox = Inbox::new(Box::new(WakesBoth {
            ring: ring.waker(),
            goals: Arc::clone(&self.goals),
        }));
        let parts = ShardParts {
            served: Arc::clone(&self.served),
            server: self.server.clone(),
            sizes: self.sizes,
            connection_cap: ConnectionCap::new(self.connections_max, None, 1),
            spread: Spread::new(1),
            unix_peers: UnixPeers::Any,
            inbox,
            mesh: Mesh::new(1, self.sizes.handlers, clock::now()),
            workers: self.workers.clone(),
            clients: Clients::Listeners,
            children: None,
            metrics: ShardMetrics::new(ShardId(0), &self.main.labels),
            clock: clock::now,
        };
        let waker: Arc<dyn Waker> = Arc::<Goals>::clone(&self.goals);
        let live = Arc::clone(self.main.store.live());
        Running {
            stepper: Stepper::new(Shard::new(ring, parts), waker),
            broadcaster: SteppedBroadcaster::new(
                live,
                self.server,
                CurrentWatchers::new(self.served, 0, None),
            ),
            clock: self.clock,
            goals: self.goals,
            activity: self.activity,
            workers: self.workers,
            owed: Duration::ZERO,
            given_up: GivenUp::default(),
        }
    }
}

impl Running {
    fn run(&mut self) -> io::Result<()> {
        while !self.goals.is_ending() {
            while self.stepper.step()? || self.broadcaster.step() {}
            self.idle();
        }
        Ok(())
    }

    /// Nothing is to be done now: says so, and lets time pass if somebody waits for that.
    fn idle(&mut self) {
        let goals = Arc::clone(&self.goals);
        let Some(mut state) = goals.idle() else { return };
        let now = self.clock.now();
        if state.settle(now) {
            goals.tell();
        }
        if !state.is_awaited() {
            self.owed = Duration::ZERO;
            return goals.wait(state, None);
        }
        let due = [self.stepper.next_due(), self.clock.next_end(), state.next_end()];
        let due = due.into_iter().flatten().min();
        let end = due.into_iter().chain(state.news_end()).min();
        if self.is_busy_elsewhere() {
            let began = real_now();
            goals.wait(state, Some(LOOK));
            let waited = began.elapsed();
            self.owed += waited;
            self.given_up.waited += waited;
            if let Some(end) = end.filter(|end| *end <= now + self.owed) {
                self.owed = Duration::ZERO;
                self.move_to(if end > now { end } else { now + TICK });
            }
            return;
        }
        self.owed = Duration::ZERO;
        let Some(due) = due.and(end) else {
            state.give_up();
            return goals.tell();
        };
        drop(state);
        self.move_to(if due > now { due } else { now + TICK });
    }

    /// Whether a call runs on another thread that is not asleep by the clock, or waits for another thread.
    fn is_busy_elsewhere(&mut self) -> bool {
        let figures = self.workers.figures();
        let left_behind = self.given_up.left_behind(&figures);
        let sleeping = self.clock.sleeping_threads() as u64;
        self.activity.awake() > 0
            || figures.busy + figures.queued > sleeping + left_behind
            || self.stepper.awaits_others()
    }

    fn move_to(&mut self, time: Instant) {
        self.clock.move_to(time);
        self.stepper.tick();
        self.broadcaster.tick(self.clock.elapsed());
    }
}

#[allow(clippy::disallowed_methods, reason = "how long it waited for other threads")]
fn real_now() -> Instant {
    Instant::now()
}
