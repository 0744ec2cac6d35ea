//! Searches of simulated servers, by the hundred: how far off they are is printed, and bounded.

use super::found::{Ended, Found, Rule};
use super::limit::Limit;
use super::observation::Observation;
use super::search::{Goal, Search};
use super::simulated::{Simulated, Spread};

const GOAL: Goal = Goal {
    p99: None,
    budget: 115.0,
    rate_max: None,
    clients_max: 4096,
};

/// Steps of the curve, and the one below them.
const SHARES_AND_ONE: usize = 6;

const SERVER: Simulated = Simulated {
    handlers: 64,
    queue_places: 128,
    service: 0.02,
    spread: Spread::Exponential,
    cpu: 20e-6,
    noise: 0.05,
    stalls: 0.2,
    stall: 0.01,
    is_seen: true,
};

/// A search to its end, and the seconds that it took.
fn searched(server: &Simulated, goal: Goal, seed: u64) -> (Found, f64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut search = Search::new(goal);
    let (mut spent, mut refused) = (0.0, 0);
    while let Some(step) = search.next() {
        let seen = server.observe(step, &mut random);
        spent += seen.spent;
        refused += seen.refused;
        search.tell(seen);
    }
    assert!(refused <= 100, "{server:?} refused {refused}");
    (search.found(), spent)
}

/// The settings whose searches are counted: pools of 4 to 256, all spreads, bound by the pool and by the CPU.
fn settings() -> Vec<Simulated> {
    let mut settings = Vec::new();
    for handlers in [4, 16, 64, 256] {
        for spread in [Spread::Constant, Spread::Exponential, Spread::Mixed] {
            for cpu in [20e-6, 400e-6] {
                settings.push(Simulated {
                    handlers,
                    queue_places: (2 * handlers).max(32),
                    spread,
                    cpu,
                    ..SERVER
                });
            }
        }
    }
    settings
}

/// The shares of errors, largest of the best half, nineteen of twenty, and all.
fn distribution(mut errors: Vec<f64>) -> [f64; 3] {
    errors.sort_by(f64::total_cmp);
    [0.5, 0.95, 1.0].map(|share| errors[((errors.len() as f64 * share) as usize).min(errors.len()) - 1])
}

#[test]
fn hundreds_of_simulated_servers_are_judged_rightly() {
    let (mut saturation, mut over, mut under, mut seconds) = (vec![], vec![], vec![], vec![]);
    let (mut runs, mut held, mut broke) = (0, 0, 0);
    for (index, server) in settings().iter().enumerate() {
        let rounds = 10;
        for round in 0..rounds {
            let goal = Goal {
                // Twice as long as the longest call in a hundred, as users would say it.
                p99: Some(server.service * [2.0, 6.0, 9.0][index / 2 % 3]),
                ..GOAL
            };
            let seed = (index * 100 + round) as u64;
            let (found, spent) = searched(server, goal, seed);
            runs += 1;
            seconds.push(spent);
            let rate = found.saturation.as_ref().unwrap().rate;
            saturation.push((rate / server.capacity() - 1.0).abs());
            let limit = &found.saturation.as_ref().unwrap().limit;
            let is_cpu_bound = server.capacity() < 0.99 * server.handlers as f64 / server.service;
            match limit {
                Limit::Cpu { .. } => assert!(is_cpu_bound, "{server:?}"),
                Limit::Pool => assert!(!is_cpu_bound, "{server:?}"),
                limit => panic!("{server:?}: {limit:?}"),
            }
            // The truth is a long run at the recommended rate, and at 1.3 times of it.
            if round < 2 {
                let within = found.within.expect("a rate that holds");
                let mut random = fastrand::Rng::with_seed(seed + 7);
                let objective = goal.p99.unwrap();
                let (p99, refused) = server.p99_at(within.rate, &mut random);
                over.push((p99 / objective - 1.0).max(0.0));
                held += usize::from(p99 <= 1.05 * objective && refused < 1e-3);
                let (p99, refused) = server.p99_at(1.3 * within.rate, &mut random);
                under.push((objective / p99 - 1.0).max(0.0));
                broke += usize::from(p99 > objective || refused > 1e-3);
            }
        }
    }
    let judged = under.len();
    let [half, most, all] = distribution(saturation);
    println!("{runs} searches");
    println!(
        "saturation rate off by: P50 {:.1} %, P95 {:.1} %, max {:.1} %",
        half * 1e2,
        most * 1e2,
        all * 1e2
    );
    let over = distribution(over);
    println!(
        "P99 at the recommended rate over the objective by: P50 {:.1} %, P95 {:.1} %, max {:.1} %",
        over[0] * 1e2,
        over[1] * 1e2,
        over[2] * 1e2
    );
    println!("the recommended rate held in {held} of {judged}, 1.3 times of it did not in {broke}");
    let seconds = distribution(seconds);
    println!(
        "seconds: P50 {:.0}, P95 {:.0}, max {:.0}",
        seconds[0], seconds[1], seconds[2]
    );
    assert!(half < 0.03 && most < 0.10, "{half} {most} {all}");
    assert!(held * 100 >= 90 * judged, "{held} of {judged}");
    assert!(broke * 100 >= 95 * judged, "{broke} of {judged}");
    assert!(seconds[2] < 120.0);
}

/// A search of a quick server, which tells what limits it.
fn limit(change: impl FnOnce(&mut Simulated), goal: Goal) -> (Limit, Found) {
    let mut server = SERVER;
    change(&mut server);
    let (found, _) = searched(&server, goal, 3);
    (found.saturation.clone().unwrap().limit, found)
}

#[test]
fn what_is_short_is_named_and_followed() {
    let (pool, found) = limit(|_| {}, GOAL);
    assert_eq!((pool, found.ended.clone()), (Limit::Pool, Ended::Complete));
    let recommended = found.recommended.unwrap();
    assert_eq!((recommended.pool_size, recommended.shards), (64, 1));
    assert!(recommended.larger.is_some() && recommended.queue_depth >= 32);
    assert!(found.little.unwrap().agrees);
    assert_eq!(found.classic.unwrap().rule, Rule::Wastes);
    let (cpu, found) = limit(|server| server.cpu = 1e-3, GOAL);
    assert!(matches!(cpu, Limit::Cpu { .. }), "{cpu:?}");
    let recommended = found.recommended.unwrap();
    // Of 64 handlers 20 are busy at the most.
    assert!((20..48).contains(&recommended.pool_size), "{recommended:?}");
    assert_eq!(
        (recommended.larger, found.classic.unwrap().rule),
        (None, Rule::SaysNothing)
    );
    let (most, found) = limit(
        |_| {},
        Goal {
            rate_max: Some(500.0),
            ..GOAL
        },
    );
    assert_eq!(most, Limit::RateMax { rate: 500.0 });
    assert!(found.steps.iter().all(|step| step.offered() <= 500.0));
    let (unknown, found) = limit(|server| server.is_seen = false, GOAL);
    assert_eq!(
        (unknown, found.recommended, found.classic),
        (Limit::Unknown, None, None)
    );
    let rate = found.saturation.unwrap().rate;
    assert!((rate / SERVER.capacity() - 1.0).abs() < 0.1, "{rate}");
}

#[test]
fn an_objective_that_a_call_misses_by_itself_is_told() {
    let goal = Goal {
        p99: Some(0.01),
        ..GOAL
    };
    let (_, found) = limit(|_| {}, goal);
    assert_eq!((found.within, found.recommended), (None, None));
    assert_eq!(found.ended, Ended::Complete);
    // Nothing above a tenth of the rate can hold it either, so it is not tried.
    assert!(found.steps.len() <= SHARES_AND_ONE, "{}", found.steps.len());
}

#[test]
fn a_search_that_ends_early_says_what_it_knows() {
    let short = Goal { budget: 20.0, ..GOAL };
    let (_, found) = limit(|_| {}, short);
    assert_eq!(found.ended, Ended::TimeIsUp);
    assert!(found.saturation.is_some());
    let mut random = fastrand::Rng::with_seed(1);
    let mut search = Search::new(GOAL);
    let step = search.next().unwrap();
    search.tell(SERVER.observe(step, &mut random));
    let step = search.next().unwrap();
    let mut gone = SERVER.observe(step, &mut random);
    gone.latency.count = 0;
    gone.failure = Some("reset: gone".to_owned());
    search.tell(gone);
    assert_eq!(search.next(), None);
    let found = search.found();
    assert_eq!(found.ended, Ended::Failed("reset: gone".to_owned()));
    assert!(found.idle.is_some() && found.saturation.is_none());
    let mut search = Search::new(GOAL);
    search.end(Ended::Interrupted);
    assert_eq!((search.next(), search.found().ended), (None, Ended::Interrupted));
}

#[test]
fn a_generator_that_cannot_more_is_not_taken_for_the_server() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut search = Search::new(GOAL);
    while let Some(step) = search.next() {
        let mut seen = SERVER.observe(step, &mut random);
        // However many clients, the generator makes no more than so much.
        seen.served = seen.served.min(900.0);
        if let Some(inside) = &mut seen.server {
            (inside.leased, inside.calls) = (inside.leased.min(18.0), Some(seen.served));
        }
        seen.hindrance = (seen.served >= 900.0).then(|| "busy".to_owned());
        search.tell(seen);
    }
    let limit = search.found().saturation.unwrap().limit;
    assert_eq!(
        limit,
        Limit::Generator {
            why: "busy".to_owned()
        }
    );
}

/// A search whose steps from the fourth on are changed by something that happens to the server.
fn disturbed(change: impl Fn(&mut Observation)) -> Found {
    let mut random = fastrand::Rng::with_seed(2);
    let mut search = Search::new(GOAL);
    let mut steps = 0;
    while let Some(step) = search.next() {
        let mut seen = SERVER.observe(step, &mut random);
        steps += 1;
        if steps > 3 {
            change(&mut seen);
        }
        search.tell(seen);
    }
    assert!(steps <= 4, "{steps} steps");
    search.found()
}

#[test]
fn what_happens_to_the_server_ends_the_search() {
    let restarted = disturbed(|seen| {
        if let Some(inside) = &mut seen.server {
            inside.started = Some(1_000.0);
        }
    });
    assert_eq!(
        restarted.ended,
        Ended::Failed("it was started anew meanwhile".to_owned())
    );
    let blind = disturbed(|seen| seen.server = None);
    assert_eq!(
        blind.ended,
        Ended::Failed("its metrics cannot be read any more".to_owned())
    );
    let died = disturbed(|seen| (seen.failed, seen.failure) = (1_000_000, Some("reset: gone".to_owned())));
    assert_eq!(died.ended, Ended::Failed("reset: gone".to_owned()));
    assert_eq!((died.recommended, died.steps.len()), (None, 0));
    let refused = disturbed(|seen| (seen.latency.count, seen.refused) = (0, 50));
    assert_eq!(
        refused.ended,
        Ended::Failed("it refused every request".to_owned())
    );
}

#[test]
fn a_step_that_was_cut_at_its_beginning_is_overload_and_not_the_end() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut search = Search::new(GOAL);
    let mut steps = 0;
    while let Some(step) = search.next() {
        let mut seen = SERVER.observe(step, &mut random);
        steps += 1;
        if steps == 4 {
            (seen.is_cut, seen.latency.count, seen.served, seen.server) = (true, 0, 0.0, None);
        }
        search.tell(seen);
    }
    let found = search.found();
    assert_eq!(found.ended, Ended::Complete);
    assert!(found.saturation.unwrap().rate > 0.0 && steps > 6, "{steps}");
}

#[test]
fn a_call_that_takes_long_is_waited_for() {
    let slow = Simulated {
        service: 3.0,
        spread: Spread::Constant,
        handlers: 8,
        ..SERVER
    };
    let mut random = fastrand::Rng::with_seed(1);
    let mut search = Search::new(GOAL);
    let mut lengths = Vec::new();
    while let Some(step) = search.next() {
        let mut seen = slow.observe(step, &mut random);
        // The simulation counts calls when they begin.
        if step.warm_up + step.seconds < slow.service {
            seen.latency.count = 0;
        }
        lengths.push(step.seconds);
        search.tell(seen);
    }
    assert_eq!(lengths[..2], [1.5, 6.0], "{lengths:?}");
    assert!(search.found().idle.is_some());
}

#[test]
fn no_more_is_sent_than_may_be() {
    for rate_max in [1.0, 20.0, 150.0] {
        let (found, _) = searched(
            &SERVER,
            Goal {
                rate_max: Some(rate_max),
                ..GOAL
            },
            5,
        );
        let idle = found.idle.as_ref().unwrap().served;
        let most = found.fills.iter().chain(&found.steps).map(|seen| seen.offered());
        assert!(most.fold(0.0, f64::max) <= 1.2 * rate_max.max(idle), "{rate_max}");
        assert!(matches!(found.saturation.unwrap().limit, Limit::RateMax { .. }));
    }
}
