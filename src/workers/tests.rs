//! The pool from outside: order, bounds, cancellation, panics, abandonment, shutdown. Jobs block on channels that
//! the test holds, so nothing depends on how fast anything is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::config::WorkerOptions;
use crate::metrics::WorkerFigures;
use crate::registry::Cancellation;

use crate::units::CpuId;

use super::{Job, JobHandle, Outcome, Refused, StartError, Stopped, Submitter, WorkerSettings, Workers};

/// A time longer than any machine needs; reached only when the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(threads: usize, queue: usize, abandoned_max: usize) -> WorkerSettings {
    WorkerSettings {
        options: WorkerOptions {
            threads: Some(threads as u32),
            ..WorkerOptions::default()
        },
        queue_depth_max: queue * threads,
        abandoned_max,
        cpus: Vec::new(),
    }
}

/// A job that says when it starts and ends when told to, or when its release is dropped.
struct Held {
    handle: JobHandle,
    cancellation: Cancellation,
    started: Receiver<()>,
    release: Sender<()>,
    outcome: Receiver<Outcome<bool>>,
}

impl Held {
    fn submit(to: &Submitter) -> Result<Held, Refused> {
        let (start, started) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let (reply, outcome) = mpsc::channel();
        let run = move |cancellation: &Cancellation| {
            let _ = start.send(());
            let _ = released.recv();
            cancellation.is_cancelled()
        };
        let cancellation = Cancellation::new();
        let job = Job::new(cancellation.clone(), run, move |outcome| {
            let _ = reply.send(outcome);
        });
        let handle = to.try_submit(job)?;
        Ok(Held {
            handle,
            cancellation,
            started,
            release,
            outcome,
        })
    }

    fn started(to: &Submitter) -> Held {
        let held = Held::submit(to).unwrap();
        held.started.recv_timeout(PATIENCE).unwrap();
        held
    }

    fn finish(self) -> Outcome<bool> {
        drop(self.release);
        self.outcome.recv_timeout(PATIENCE).unwrap()
    }
}

/// Waits for a state that other threads bring about.
fn wait_until(workers: &Workers, mut reached: impl FnMut(&WorkerFigures) -> bool) {
    while !reached(&workers.figures()) {
        std::thread::yield_now();
    }
}

#[test]
fn results_and_panics_come_back_and_the_thread_lives_on() {
    let workers = Workers::start(&options(1, 8, 0)).unwrap();
    let (reply, outcomes) = mpsc::channel();
    let runs: [fn(&Cancellation) -> u32; 4] = [
        |_| 1,
        |_| panic!("broken tool"),
        |_| std::panic::panic_any(7_u8),
        |_| 2,
    ];
    for run in runs {
        let reply = reply.clone();
        let job = Job::new(Cancellation::new(), run, move |outcome| {
            reply.send(outcome).unwrap()
        });
        workers.submitter().try_submit(job).unwrap();
    }
    let got: Vec<_> = outcomes.iter().take(4).collect();
    assert_eq!(
        got,
        [
            Outcome::Done(1),
            Outcome::Panicked("broken tool".into()),
            Outcome::Panicked("a panic without a message".into()),
            Outcome::Done(2),
        ]
    );
    let figures = workers.figures();
    assert_eq!(
        (figures.completed_total, figures.panicked_total, figures.threads),
        (4, 2, 1)
    );
}

#[test]
fn a_reply_that_panics_costs_no_thread() {
    let workers = Workers::start(&options(1, 8, 0)).unwrap();
    let job = Job::new(Cancellation::new(), |_| (), |_| panic!("broken reply"));
    workers.submitter().try_submit(job).unwrap();
    assert_eq!(Held::started(&workers.submitter()).finish(), Outcome::Done(false));
}

#[test]
fn jobs_start_in_the_order_of_submission() {
    let workers = Workers::start(&options(1, 64, 0)).unwrap();
    let submitter = workers.submitter();
    let gate = Held::started(&submitter);
    let (note, order) = mpsc::channel();
    for number in 0..64 {
        let note = note.clone();
        let job = Job::new(Cancellation::new(), move |_| note.send(number).unwrap(), |_| ());
        submitter.try_submit(job).unwrap();
    }
    gate.finish();
    assert!(order.iter().take(64).eq(0..64));
}

#[test]
fn as_many_jobs_run_at_once_as_there_are_threads_and_spares_stay_idle() {
    let workers = Workers::start(&options(3, 8, 4)).unwrap();
    let meeting = Arc::new(Barrier::new(3));
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (reply, done) = mpsc::channel();
    for _ in 0..12 {
        let (meeting, at_once, most) = (Arc::clone(&meeting), Arc::clone(&at_once), Arc::clone(&most));
        let reply = reply.clone();
        let run = move |_: &Cancellation| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Passes only if three jobs run side by side.
            meeting.wait();
            at_once.fetch_sub(1, Ordering::SeqCst);
        };
        let job = Job::new(Cancellation::new(), run, move |_| reply.send(()).unwrap());
        workers.submitter().try_submit(job).unwrap();
    }
    for _ in 0..12 {
        done.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_full_queue_refuses_and_gives_the_job_back() {
    let workers = Workers::start(&options(2, 2, 2)).unwrap();
    let submitter = workers.submitter();
    let running: Vec<_> = (0..2).map(|_| Held::started(&submitter)).collect();
    let queued: Vec<_> = (0..4).map(|_| Held::submit(&submitter).unwrap()).collect();
    let Err(Refused::Full(job)) = Held::submit(&submitter).map(|_| ()) else {
        panic!("a fifth job found a place in a queue of four");
    };
    let figures = workers.figures();
    assert_eq!(
        (
            figures.busy,
            figures.queued,
            figures.queue_depth_max,
            figures.refused_total
        ),
        (2, 4, 4, 1)
    );
    for held in running.into_iter().chain(queued) {
        assert_eq!(held.finish(), Outcome::Done(false));
    }
    wait_until(&workers, |figures| figures.busy == 0);
    submitter.try_submit(job).unwrap();
}

#[test]
fn a_queue_of_zero_serves_free_threads_only() {
    let workers = Workers::start(&options(1, 0, 0)).unwrap();
    let submitter = workers.submitter();
    let held = Held::submit(&submitter).unwrap();
    assert!(matches!(Held::submit(&submitter), Err(Refused::Full(_))));
    assert_eq!(held.finish(), Outcome::Done(false));
}

#[test]
fn a_job_given_up_in_the_queue_never_runs_and_frees_its_place() {
    let workers = Workers::start(&options(1, 1, 0)).unwrap();
    let submitter = workers.submitter();
    let running = Held::started(&submitter);
    let queued = Held::submit(&submitter).unwrap();
    assert_eq!(queued.handle.abandon(), Stopped::Dropped);
    assert_eq!(queued.handle.abandon(), Stopped::Ended);
    assert!(queued.cancellation.is_cancelled());
    // The job was dropped whole: everything it owned is gone, with no reply.
    assert!(queued.started.recv_timeout(PATIENCE).is_err());
    assert!(queued.outcome.recv_timeout(PATIENCE).is_err());
    let next = Held::submit(&submitter).unwrap();
    assert_eq!(running.finish(), Outcome::Done(false));
    assert_eq!(next.finish(), Outcome::Done(false));
    assert_eq!(
        (workers.figures().cancelled_total, workers.figures().queued),
        (1, 0)
    );
}

#[test]
fn a_running_job_sees_its_cancellation_and_still_replies() {
    let workers = Workers::start(&options(1, 1, 0)).unwrap();
    let held = Held::started(&workers.submitter());
    let handle = held.handle.clone();
    held.cancellation.cancel();
    assert_eq!(held.finish(), Outcome::Done(true));
    assert_eq!(handle.abandon(), Stopped::Ended);
    assert_eq!(workers.figures().abandoned_total, 0);
}

#[test]
fn abandoned_jobs_are_replaced_up_to_the_spares_then_the_pool_shrinks_then_recovers() {
    let workers = Workers::start(&options(2, 4, 1)).unwrap();
    let submitter = workers.submitter();
    let stuck: Vec<_> = (0..2).map(|_| Held::started(&submitter)).collect();
    assert_eq!(stuck[0].handle.abandon(), Stopped::Running);
    assert_eq!(stuck[0].handle.abandon(), Stopped::Ended, "given up once only");
    assert_eq!(workers.figures().jobs_max, 2);
    // The spare takes the place of the first.
    let third = Held::started(&submitter);
    // The second is abandoned too: of three threads one is left.
    assert_eq!(stuck[1].handle.abandon(), Stopped::Running);
    assert_eq!(workers.figures().jobs_max, 1);
    assert_eq!(third.handle.abandon(), Stopped::Running);
    let figures = workers.figures();
    assert_eq!(
        (
            figures.jobs_max,
            figures.busy,
            figures.abandoned,
            figures.abandoned_total
        ),
        (0, 3, 3, 3)
    );
    // No thread is left to run it: it waits, and after it the queue fills and refuses.
    let waiting: Vec<_> = (0..8).map(|_| Held::submit(&submitter).unwrap()).collect();
    assert!(matches!(Held::submit(&submitter), Err(Refused::Full(_))));
    // A stuck job that ends sends no reply, and its thread serves again.
    for held in stuck.into_iter().chain([third]) {
        drop(held.release);
        assert!(held.outcome.recv_timeout(PATIENCE).is_err());
    }
    for held in waiting {
        assert_eq!(held.finish(), Outcome::Done(false));
    }
    wait_until(&workers, |figures| figures.busy == 0);
    let figures = workers.figures();
    assert_eq!(
        (
            figures.jobs_max,
            figures.abandoned,
            figures.abandoned_total,
            figures.completed_total
        ),
        (2, 0, 3, 8)
    );
}

#[test]
fn abandoning_wakes_a_spare_for_a_job_that_waits_already() {
    let workers = Workers::start(&options(1, 1, 1)).unwrap();
    let submitter = workers.submitter();
    let stuck = Held::started(&submitter);
    let waiting = Held::submit(&submitter).unwrap();
    assert_eq!(stuck.handle.abandon(), Stopped::Running);
    assert_eq!(waiting.finish(), Outcome::Done(false));
    assert_eq!(workers.figures().abandoned, 1);
}

#[test]
fn a_shutdown_of_a_pool_that_has_done_everything_joins_everybody() {
    let workers = Workers::start(&options(2, 8, 2)).unwrap();
    let submitter = workers.submitter();
    let held: Vec<_> = (0..2).map(|_| Held::started(&submitter)).collect();
    let (reply, outcomes) = mpsc::channel();
    for number in 0..8 {
        let reply = reply.clone();
        let job = Job::new(
            Cancellation::new(),
            move |_| number,
            move |outcome| reply.send(outcome).unwrap(),
        );
        submitter.try_submit(job).unwrap();
    }
    let handle = held[0].handle.clone();
    drop(held);
    drop(reply);
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Done(_)))
            .count(),
        8
    );
    let report = workers.shutdown(PATIENCE);
    assert_eq!((report.joined, report.left_behind, report.discarded), (4, 0, 0));
    assert!(matches!(Held::submit(&submitter), Err(Refused::Stopping(_))));
    assert_eq!(handle.abandon(), Stopped::Ended);
}

#[test]
fn a_shutdown_discards_the_queue_tells_running_jobs_and_leaves_the_stuck_behind() {
    let workers = Workers::start(&options(2, 8, 1)).unwrap();
    let submitter = workers.submitter();
    let stuck = Held::started(&submitter);
    let obedient = Held::started(&submitter);
    let queued = Held::submit(&submitter).unwrap();
    // The pool ends although nobody releases the stuck job, and however little it may wait.
    let report = workers.shutdown(Duration::ZERO);
    assert_eq!((report.joined, report.left_behind, report.discarded), (1, 2, 1));
    assert_eq!(queued.outcome.recv_timeout(PATIENCE).unwrap(), Outcome::Discarded);
    assert_eq!(obedient.finish(), Outcome::Done(true), "it saw the flag");
    assert_eq!(stuck.finish(), Outcome::Done(true), "a late answer still arrives");
}

#[test]
fn a_shutdown_joins_idle_threads_beside_a_stuck_one() {
    let workers = Workers::start(&options(1, 8, 3)).unwrap();
    let submitter = workers.submitter();
    let stuck = Held::started(&submitter);
    let queued = Held::submit(&submitter).unwrap();
    let report = workers.shutdown(Duration::ZERO);
    assert_eq!((report.joined, report.left_behind, report.discarded), (3, 1, 1));
    assert_eq!(queued.outcome.recv_timeout(PATIENCE).unwrap(), Outcome::Discarded);
    assert_eq!(stuck.finish(), Outcome::Done(true));
}

#[test]
fn threads_run_on_the_cpus_asked_for() {
    let mine = rustix::thread::sched_getaffinity(None).unwrap();
    let cpu = (0..rustix::thread::CpuSet::MAX_CPU)
        .find(|&cpu| mine.is_set(cpu))
        .unwrap();
    let workers = Workers::start(&WorkerSettings {
        cpus: vec![CpuId(cpu)],
        ..options(1, 1, 0)
    })
    .unwrap();
    let (reply, outcome) = mpsc::channel();
    let run = move |_: &Cancellation| {
        let set = rustix::thread::sched_getaffinity(None).unwrap();
        (set.is_set(cpu), set.count())
    };
    let job = Job::new(Cancellation::new(), run, move |outcome| {
        reply.send(outcome).unwrap()
    });
    workers.submitter().try_submit(job).unwrap();
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), Outcome::Done((true, 1)));
}

#[test]
fn impossible_options_are_refused_with_the_reason() {
    assert!(matches!(
        Workers::start(&options(0, 1, 0)),
        Err(StartError::NoThreads)
    ));
    let far = WorkerSettings {
        cpus: vec![CpuId(1 << 20)],
        ..options(1, 1, 0)
    };
    let error = Workers::start(&far).unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker CPU 1048576 is out of range; the largest is 1023"
    );
}

/// Many submitters, cancellers and abandoners at once: every job ends in exactly one way.
#[test]
fn under_a_storm_every_job_ends_exactly_once() {
    const SUBMITTERS: u64 = 4;
    const JOBS: u64 = 2_000;
    let workers = Workers::start(&options(3, 16, 2)).unwrap();
    let (replies, dropped, gone) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let refused = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for seed in 0..SUBMITTERS {
            let submitter = workers.submitter();
            let (replies, dropped, gone, refused) = (&replies, &dropped, &gone, &refused);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..JOBS {
                    let panics = random.u8(..) < 16;
                    let replies = Arc::clone(replies);
                    let run = move |_: &Cancellation| assert!(!panics, "as planned");
                    let cancellation = Cancellation::new();
                    let job = Job::new(cancellation.clone(), run, move |_| {
                        replies.fetch_add(1, Ordering::SeqCst);
                    });
                    let Ok(handle) = submitter.try_submit(job) else {
                        refused.fetch_add(1, Ordering::SeqCst);
                        continue;
                    };
                    match random.u8(..4) {
                        0 => {
                            cancellation.cancel();
                            0
                        }
                        1 => match handle.abandon() {
                            Stopped::Dropped => dropped.fetch_add(1, Ordering::SeqCst),
                            Stopped::Running => gone.fetch_add(1, Ordering::SeqCst),
                            Stopped::Ended => 0,
                        },
                        _ => 0,
                    };
                }
            });
        }
    });
    wait_until(&workers, |figures| figures.busy == 0 && figures.queued == 0);
    let figures = workers.figures();
    let count = |of: &AtomicUsize| of.load(Ordering::SeqCst) as u64;
    assert_eq!(
        count(&replies) + count(&dropped) + count(&gone) + count(&refused),
        SUBMITTERS * JOBS
    );
    assert_eq!(
        (figures.completed_total, figures.cancelled_total),
        (count(&replies), count(&dropped))
    );
    assert_eq!(
        (figures.abandoned_total, figures.refused_total),
        (count(&gone), count(&refused))
    );
    assert_eq!((figures.abandoned, figures.jobs_max), (0, 3));
    assert_eq!(workers.shutdown(PATIENCE).joined, 5);
}

#[test]
fn a_step_of_work_under_way_needs_no_place_in_the_queue() {
    let workers = Workers::start(&options(1, 0, 0)).unwrap();
    let submitter = workers.submitter();
    let held = Held::started(&submitter);
    assert!(matches!(Held::submit(&submitter), Err(Refused::Full(_))));
    let (reply, outcome) = mpsc::channel();
    let step = |number: u32| {
        let reply = reply.clone();
        Job::new(
            Cancellation::new(),
            move |_| number,
            move |outcome| drop(reply.send(outcome)),
        )
    };
    for number in 0..3 {
        submitter.submit_step(step(number)).unwrap();
    }
    held.finish();
    let steps = outcome.iter().take(3).collect::<Vec<_>>();
    assert_eq!(steps, [0, 1, 2].map(Outcome::Done));
    workers.shutdown(PATIENCE);
    assert!(matches!(
        submitter.submit_step(step(3)),
        Err(Refused::Stopping(_))
    ));
}
