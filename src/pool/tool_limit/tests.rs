use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;

/// A shard as far as a limit knows one: what came, and was not looked at yet.
#[derive(Debug, Default)]
struct Inbox(Mutex<VecDeque<Granted>>);

impl Inbox {
    fn take(&self) -> Option<Granted> {
        self.0.lock().unwrap().pop_front()
    }
}

impl PermitListener for Inbox {
    fn on_permit(&self, granted: Granted) {
        self.0.lock().unwrap().push_back(granted);
    }
}

fn listener(inbox: &Arc<Inbox>) -> Arc<dyn PermitListener> {
    Arc::clone(inbox) as Arc<dyn PermitListener>
}

fn bounds(in_flight_max: u32, queue_max: Option<u32>) -> Concurrency {
    Concurrency {
        in_flight_max,
        queue_max,
    }
}

/// A place of this number.
fn place(number: u32) -> WaitPlace {
    use crate::slab::SlabKey;
    WaitPlace {
        wait: WaitKey::new(number, 0),
        connection: ConnectionKey {
            slot: number,
            generation: 0,
        },
    }
}

fn number(granted: &Granted) -> u32 {
    granted.place.connection.slot
}

#[test]
fn whoever_came_first_goes_first_whichever_shard_it_came_to() {
    let limit = ToolLimit::new(bounds(1, None));
    let inboxes = [Arc::<Inbox>::default(), Arc::default()];
    let mut running = limit.try_enter(Instant::now());
    assert!(running.is_some());
    let mut tickets = Vec::new();
    for number in 0..6 {
        assert!(limit.try_enter(Instant::now()).is_none());
        let shard = &inboxes[number as usize % 2];
        tickets.push(limit.wait(place(number), &listener(shard)).unwrap());
    }
    for expected in 0..6_u32 {
        assert!(inboxes.iter().all(|inbox| inbox.take().is_none()));
        drop(running.take());
        assert!(
            limit.try_enter(Instant::now()).is_none(),
            "it is the oldest ticket's"
        );
        let granted = inboxes[expected as usize % 2].take().unwrap();
        assert_eq!(number(&granted), expected);
        running = Some(granted.permit);
    }
    drop(running);
    assert!(!limit.is_used());
}

#[test]
fn who_leaves_gives_its_place_in_the_line_up_and_a_permit_on_its_way() {
    let limit = ToolLimit::new(bounds(1, None));
    let inbox = Arc::<Inbox>::default();
    let running = limit.try_enter(Instant::now());
    let mut tickets: VecDeque<ToolTicket> = (0..4)
        .map(|number| limit.wait(place(number), &listener(&inbox)).unwrap())
        .collect();
    tickets.remove(1);
    drop(running);
    // The first has left when its permit comes: that is dropped, as by a shard that finds nobody.
    tickets.pop_front();
    assert_eq!(inbox.take().map(|granted| number(&granted)), Some(0));
    let granted = inbox.take().unwrap();
    assert_eq!(number(&granted), 2);
    drop(granted);
    assert_eq!(inbox.take().map(|granted| number(&granted)), Some(3));
    assert!(!limit.is_used());
}

#[test]
fn past_its_bound_nobody_waits_and_who_is_refused_is_told_for_how_long() {
    let limit = ToolLimit::new(bounds(2, Some(1)));
    let inbox = Arc::<Inbox>::default();
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    // Calls take ten seconds.
    let first = limit.try_enter(start).unwrap();
    first.on_ended(after(10));
    drop(first);
    let _running = [limit.try_enter(after(10)), limit.try_enter(after(14))];
    let ticket = limit.wait(place(0), &listener(&inbox));
    assert!(ticket.is_some());
    assert!(limit.wait(place(1), &listener(&inbox)).is_none());
    // One place is free in four seconds and is the ticket's, the next in eight.
    assert_eq!(limit.on_refused(after(16)), (1, Duration::from_secs(8)));
    let figures = limit.figures().unwrap();
    assert_eq!((figures.in_flight, figures.in_flight_max), (2, 2));
    assert_eq!((figures.waiting, figures.refused_total), (1, 1));
    let none = ToolLimit::new(bounds(1, Some(0)));
    let _running = none.try_enter(start);
    assert!(none.wait(place(0), &listener(&inbox)).is_none());
}

#[test]
fn a_limit_that_is_raised_or_lifted_lets_in_who_waits_and_a_lower_one_nobody() {
    let limit = ToolLimit::new(bounds(2, None));
    let inbox = Arc::<Inbox>::default();
    let mut running: Vec<_> = (0..2).map(|_| limit.try_enter(Instant::now()).unwrap()).collect();
    let tickets: Vec<_> = (0..6)
        .map(|number| limit.wait(place(number), &listener(&inbox)).unwrap())
        .collect();
    limit.set(bounds(3, None));
    let granted = inbox.take().unwrap();
    assert_eq!((number(&granted), inbox.take().is_none()), (0, true));
    running.push(granted.permit);
    limit.set(bounds(1, None));
    running.pop();
    running.pop();
    assert!(inbox.take().is_none(), "one is in flight, and one may be");
    running.pop();
    let granted = inbox.take().unwrap();
    assert_eq!(number(&granted), 1);
    limit.lift();
    assert_eq!(limit.figures(), None);
    let rest: Vec<Granted> = std::iter::from_fn(|| inbox.take()).collect();
    assert_eq!(rest.iter().map(number).collect::<Vec<_>>(), [2, 3, 4, 5]);
    // What was let in counts when the limit comes back.
    limit.set(bounds(5, None));
    assert!(limit.try_enter(Instant::now()).is_none());
    drop((granted, rest, tickets));
    assert!(!limit.is_used());
}

/// The same limit, as plainly as it can be written: who is in flight, who waits, and permits on their way.
#[derive(Debug, Default)]
struct Twin {
    in_flight_max: usize,
    queue_max: usize,
    in_flight: Vec<u32>,
    on_their_way: Vec<u32>,
    waiting: VecDeque<u32>,
    /// Those that have left since their permit was sent.
    left: Vec<u32>,
}

impl Twin {
    fn used(&self) -> usize {
        self.in_flight.len() + self.on_their_way.len()
    }

    fn grant(&mut self) {
        while self.used() < self.in_flight_max
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.on_their_way.push(oldest);
        }
    }
}

#[test]
fn it_does_what_its_plain_twin_does() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut twin = Twin {
            in_flight_max: random.usize(1..4),
            queue_max: random.usize(0..6),
            ..Twin::default()
        };
        let numbers = |twin: &Twin| bounds(twin.in_flight_max as u32, Some(twin.queue_max as u32));
        let limit = ToolLimit::new(numbers(&twin));
        let inboxes = [Arc::<Inbox>::default(), Arc::default()];
        let mut permits: Vec<(u32, Arc<ToolPermit>)> = Vec::new();
        let mut tickets: Vec<(u32, ToolTicket)> = Vec::new();
        for call in 0..400 {
            match random.u8(0..8) {
                0..=2 => match limit.try_enter(Instant::now()) {
                    Some(permit) => {
                        permits.push((call, permit));
                        twin.in_flight.push(call);
                    }
                    None => {
                        let inbox = &inboxes[random.usize(0..2)];
                        let ticket = limit.wait(place(call), &listener(inbox));
                        assert_eq!(ticket.is_some(), twin.waiting.len() < twin.queue_max, "{seed}");
                        if let Some(ticket) = ticket {
                            tickets.push((call, ticket));
                            twin.waiting.push_back(call);
                        }
                    }
                },
                3 | 4 if !permits.is_empty() => {
                    let (ended, _) = permits.swap_remove(random.usize(0..permits.len()));
                    twin.in_flight.retain(|call| *call != ended);
                }
                5 if !tickets.is_empty() => {
                    let (left, _) = tickets.swap_remove(random.usize(0..tickets.len()));
                    twin.waiting.retain(|call| *call != left);
                    twin.left.push(left);
                }
                6 if random.u8(0..8) == 0 => {
                    (twin.in_flight_max, twin.queue_max) = (random.usize(1..4), random.usize(0..6));
                    limit.set(numbers(&twin));
                }
                _ => {
                    // A shard looks into its inbox.
                    while let Some(granted) = inboxes[random.usize(0..2)].take() {
                        let came = number(&granted);
                        twin.on_their_way.retain(|call| *call != came);
                        if twin.left.contains(&came) {
                            drop(granted);
                        } else {
                            tickets.retain(|(call, _)| *call != came);
                            permits.push((came, granted.permit));
                            twin.in_flight.push(came);
                        }
                        twin.grant();
                    }
                }
            }
            twin.grant();
            let figures = limit.figures().unwrap();
            assert_eq!(
                (figures.in_flight as usize, figures.waiting as usize),
                (twin.used(), twin.waiting.len()),
                "seed {seed}: {twin:?}"
            );
        }
        // Nothing is lost: with everything over, all places are free.
        drop((permits, tickets));
        for inbox in &inboxes {
            while inbox.take().is_some() {}
        }
        for inbox in &inboxes {
            while inbox.take().is_some() {}
        }
        assert!(!limit.is_used(), "seed {seed}");
    }
}

#[test]
fn threads_never_have_more_permits_than_there_are_and_lose_none() {
    const THREADS: u32 = 4;
    const CALLS: u32 = 3000;
    const IN_FLIGHT_MAX: u32 = 2;
    let limit = ToolLimit::new(bounds(IN_FLIGHT_MAX, None));
    let running = AtomicU32::new(0);
    let run = |permit: Arc<ToolPermit>| {
        assert!(running.fetch_add(1, Ordering::SeqCst) < IN_FLIGHT_MAX);
        thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
        drop(permit);
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limit, run) = (&limit, &run);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread.into());
                let inbox = Arc::<Inbox>::default();
                for call in 0..CALLS {
                    if let Some(permit) = limit.try_enter(Instant::now()) {
                        run(permit);
                        continue;
                    }
                    let ticket = limit.wait(place(call), &listener(&inbox)).unwrap();
                    if random.u8(0..4) == 0 {
                        // It leaves, and its permit may have come meanwhile.
                        drop(ticket);
                        inbox.take();
                        continue;
                    }
                    let granted = loop {
                        match inbox.take() {
                            Some(granted) if number(&granted) == call => break granted,
                            // That of one that had left.
                            Some(_) => {}
                            None => thread::yield_now(),
                        }
                    };
                    run(granted.permit);
                    drop(ticket);
                }
                while inbox.take().is_some() {}
            });
        }
    });
    // Permits that came to a thread's inbox after its last look have been dropped with that.
    assert!(!limit.is_used());
}

#[test]
fn what_a_lifted_limit_let_through_does_not_hold_once_there_are_bounds_again() {
    let limit = ToolLimit::new(bounds(1, None));
    let inbox = Arc::<Inbox>::default();
    let running = limit.try_enter(Instant::now()).unwrap();
    let tickets: Vec<_> = (0..3)
        .map(|number| limit.wait(place(number), &listener(&inbox)).unwrap())
        .collect();
    limit.lift();
    let lifted: Vec<_> = std::iter::from_fn(|| inbox.take()).collect();
    assert_eq!(lifted.len(), 3);
    assert!(
        lifted.iter().all(|granted| granted.permit.is_of(&limit)),
        "nothing bounds them"
    );
    limit.set(bounds(1, None));
    assert!(
        lifted.iter().all(|granted| !granted.permit.is_of(&limit)),
        "they wait again"
    );
    assert!(running.is_of(&limit), "it runs, and counts");
    drop((lifted, tickets, running));
    let next = limit.try_enter(Instant::now()).unwrap();
    assert!(next.is_of(&limit));
    assert!(limit.try_enter(Instant::now()).is_none());
}
