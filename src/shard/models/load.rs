//! Many shards under load on the machine's own memory: what the models show for a few steps holds for many.

use super::model_shard::{ModelShard, assert_balanced, settle, shards};
use crate::shard::StdSync;

const SITES: u16 = 4;
const HANDLERS: u32 = 3;
/// How often all come to rest, which is when it shows what was forgotten.
const ROUNDS: u64 = 100;
const STEPS: u32 = 300;
/// More do not join a queue.
const WAITERS_MAX: u32 = 8;

/// Asks, serves, gives up and handles events by chance, and then no more than answers.
fn live(shard: &mut ModelShard<StdSync>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..STEPS {
        match random.u32(0..9) {
            0..3 if shard.ripe < WAITERS_MAX => shard.ask(),
            3..6 if shard.busy > 0 => shard.finish(),
            6 => {
                shard.is_leaving = random.bool();
                shard.abort_moves();
            }
            7 => shard.tick(),
            _ => {
                shard.handle_events();
            }
        }
    }
    shard.is_leaving = false;
    shard.abort_moves();
}

#[test]
fn permits_and_waiters_balance_under_load() {
    for reserve in 0..2 {
        let seed = fastrand::u64(..);
        println!("seed {seed}, reserve {reserve}");
        let mut shards: Vec<ModelShard<StdSync>> = shards(SITES, HANDLERS, reserve);
        for round in 0..ROUNDS {
            std::thread::scope(|scope| {
                for (shard, number) in shards.iter_mut().zip(0u64..) {
                    let seed = seed.wrapping_add(round * u64::from(SITES) + number);
                    scope.spawn(move || live(shard, seed));
                }
            });
            settle(&mut shards);
            assert_balanced(&shards);
        }
    }
}
