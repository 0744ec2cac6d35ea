//! Chance that can be repeated: dice, and the seeds a run goes through.

/// A few seconds' worth in a debug build.
pub(super) const SEEDS: u64 = 120;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Prints the seed if the test dies.
pub(super) struct Announce(pub u64, pub &'static str);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Announce(seed, test) = self;
            eprintln!("seed {seed}: WEIR_SEED={seed} cargo test --lib shard::tests::{test}");
        }
    }
}

pub(super) fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("WEIR_SEED"), number("WEIR_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    }
}
