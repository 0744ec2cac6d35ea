//! Many shards under load on the machine's own memory: what the models show for a few steps holds for many.

use super::site::{Site, assert_balanced, settle, sites};
use crate::shard::StdSync;

const SITES: u16 = 4;
const HANDLERS: u32 = 3;
/// How often all come to rest, which is when it shows what was forgotten.
const ROUNDS: u64 = 100;
const STEPS: u32 = 300;
/// More do not join a queue.
const WAITERS_MAX: u32 = 8;

/// Asks, serves, gives up and handles events by chance, and then no more than answers.
fn live(site: &mut Site<StdSync>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..STEPS {
        match random.u32(0..8) {
            0..3 if site.ripe < WAITERS_MAX => site.ask(),
            3..6 if site.busy > 0 => site.finish(),
            6 => {
                site.is_leaving = random.bool();
                site.abort_moves();
            }
            _ => {
                site.handle_events();
            }
        }
    }
    site.is_leaving = false;
    site.abort_moves();
}

#[test]
fn permits_and_waiters_balance_under_load() {
    for reserve in 0..2 {
        let seed = fastrand::u64(..);
        println!("seed {seed}, reserve {reserve}");
        let mut sites: Vec<Site<StdSync>> = sites(SITES, HANDLERS, reserve);
        for round in 0..ROUNDS {
            std::thread::scope(|scope| {
                for (site, number) in sites.iter_mut().zip(0u64..) {
                    let seed = seed.wrapping_add(round * u64::from(SITES) + number);
                    scope.spawn(move || live(site, seed));
                }
            });
            settle(&mut sites);
            assert_balanced(&sites);
        }
    }
}
