//! Which child takes a call, and when another child pays.

use std::time::{Duration, Instant};

/// A mean of times in which the last ones count most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate(Option<f64>);

impl Estimate {
    /// The weight of a new value.
    const WEIGHT: f64 = 0.1;

    /// Takes the next value.
    pub fn add(&mut self, value: Duration) {
        let value = value.as_secs_f64();
        self.0 = Some(self.0.map_or(value, |mean| mean + Self::WEIGHT * (value - mean)));
    }

    /// The mean; `None` without values.
    pub fn get(&self) -> Option<Duration> {
        self.0.map(Duration::from_secs_f64)
    }
}

/// Whether the calls that wait would take longer to be finished than another child takes to start: `waiting × service
/// ÷ (children × in flight at each) > start`.
pub fn starting_pays(
    waiting: usize,
    service: Duration,
    children: u32,
    in_flight_max: u32,
    start: Duration,
) -> bool {
    let at_once = f64::from(children.max(1)) * f64::from(in_flight_max.max(1));
    waiting as f64 * service.as_secs_f64() / at_once > start.as_secs_f64()
}

/// What decides which child takes the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Places that are taken.
    pub taken: u32,
    /// Places that are free.
    pub room: u32,
}

/// The child with the fewest places taken of those with room. Among equals it is the first from `turn` on, round and
/// round, so that idle children take turns.
pub fn least_loaded(loads: &[Load], turn: usize) -> Option<usize> {
    let count = loads.len();
    let order = (0..count).map(|step| (turn.wrapping_add(step)) % count.max(1));
    order
        .filter_map(|at| loads.get(at).map(|load| (at, load)))
        .filter(|(_, load)| load.room > 0)
        .min_by_key(|(_, load)| load.taken)
        .map(|(at, _)| at)
}

/// The moment after which so much time has passed since `at`.
pub(super) fn age(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_with_room_is_next_and_equals_take_turns() {
        let load = |taken, room| Load { taken, room };
        let loads = [load(3, 1), load(1, 0), load(2, 2), load(2, 2)];
        let chosen: Vec<_> = (0..5).map(|turn| least_loaded(&loads, turn)).collect();
        assert_eq!(chosen, [Some(2), Some(2), Some(2), Some(3), Some(2)]);
        assert_eq!(least_loaded(&[load(1, 0)], 0), None);
        assert_eq!(least_loaded(&[], 7), None);
        assert_eq!(least_loaded(&[load(0, 1)], usize::MAX), Some(0));
    }

    #[test]
    fn another_child_pays_when_the_queue_outlasts_its_start() {
        let (service, start) = (Duration::from_millis(10), Duration::from_millis(300));
        assert!(!starting_pays(30, service, 1, 1, start));
        assert!(starting_pays(31, service, 1, 1, start));
        assert!(!starting_pays(31, service, 2, 1, start));
        assert!(!starting_pays(31, service, 1, 64, start));
        assert!(!starting_pays(0, service, 0, 0, Duration::ZERO));
    }

    #[test]
    fn an_estimate_follows_slowly() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.get(), None);
        estimate.add(Duration::from_millis(100));
        assert_eq!(estimate.get(), Some(Duration::from_millis(100)));
        estimate.add(Duration::from_millis(200));
        let after_one = estimate.get().unwrap();
        assert!(after_one > Duration::from_millis(109) && after_one < Duration::from_millis(111));
        (0..100).for_each(|_| estimate.add(Duration::from_millis(200)));
        assert!(estimate.get().unwrap() > Duration::from_millis(199));
    }
}
