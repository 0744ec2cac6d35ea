//! The time after which a shard will be able to serve a client that it refuses: the number in `Retry-After`.
//!
//! The estimate follows from who is in front and from how long calls take, not from how many ended recently: a shard
//! whose first burst is still running has ended no call, and a shard that was idle has ended few. How long calls take
//! is the mean of those that ended, in which recent calls count most, or the mean age of those that run if that is at
//! least twice as much: calls that have become slow show before any of them ends. This module reads no clock.

use std::time::{Duration, Instant};

/// The duration of a call so many calls ago counts for a third (1/e) of the last one's.
const MEMORY_CALLS: f64 = 32.0;
/// Where durations are memoryless, running calls are on average as old as ended calls were long. They are this much
/// older by chance only rarely.
const AGE_OVER_MEAN_MIN: f64 = 2.0;
/// The longest that a client is told to wait: by then things may have changed altogether.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// The calls in a shard's handlers, and the durations of ended ones.
#[derive(Debug)]
pub struct DrainRate {
    /// The beginning of each handler's call.
    began: Vec<Option<Instant>>,
    /// Calls that ended, up to [`MEMORY_CALLS`].
    ended: f64,
    mean_seconds: f64,
    outlook: Outlook,
}

/// The estimate at one time; all refusals of a burst are answered from it.
#[derive(Debug, Default)]
struct Outlook {
    at: Option<Instant>,
    call_seconds: f64,
    /// The seconds after which each running call will have ended, soonest first.
    ends: Vec<f64>,
}

impl DrainRate {
    /// The shortest that a client is told to wait: the least that `Retry-After` can say.
    pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

    /// The estimate for `handlers` handlers in which nothing has run yet.
    pub fn new(handlers: u32) -> DrainRate {
        let handlers = handlers as usize;
        DrainRate {
            began: vec![None; handlers],
            ended: 0.0,
            mean_seconds: 0.0,
            outlook: Outlook {
                ends: Vec::with_capacity(handlers),
                ..Outlook::default()
            },
        }
    }

    /// There is a handler of this number from now on.
    pub fn make_room(&mut self, handler: u32) {
        if handler as usize >= self.began.len() {
            self.began.resize(handler as usize + 1, None);
        }
    }

    /// Notes that a call begins in a handler.
    #[inline]
    pub fn on_began(&mut self, handler: u32, now: Instant) {
        if let Some(began) = self.began.get_mut(handler as usize) {
            *began = Some(now);
        }
    }

    /// Notes that the call in a handler has ended.
    #[inline]
    pub fn on_ended(&mut self, handler: u32, now: Instant) {
        let Some(began) = self.began.get_mut(handler as usize).and_then(Option::take) else {
            return;
        };
        let seconds = now.saturating_duration_since(began).as_secs_f64();
        self.ended = (self.ended + 1.0).min(MEMORY_CALLS);
        self.mean_seconds += (seconds - self.mean_seconds) / self.ended;
    }

    /// Notes that the call in a handler gives the handler back before its end.
    #[inline]
    pub fn on_given_back(&mut self, handler: u32) {
        if let Some(began) = self.began.get_mut(handler as usize) {
            *began = None;
        }
    }

    /// The time after which a client behind `depth` waiters may expect a handler: whole milliseconds, from one second
    /// to thirty. The first call for each `now` looks at every handler.
    pub fn retry_after(&mut self, depth: usize, now: Instant) -> Duration {
        self.look_ahead(now);
        let Outlook {
            call_seconds, ends, ..
        } = &self.outlook;
        if ends.is_empty() {
            return Self::RETRY_AFTER_MIN;
        }
        // Each handler ends its call, and after it others of the same length: the client behind `depth` gets the
        // handler that falls free in its turn.
        let (rounds, turn) = (depth / ends.len(), depth % ends.len());
        to_say(rounds as f64 * call_seconds + ends[turn])
    }

    /// The time after which a client that finds the workers' queue full may expect its turn: it would wait as long as
    /// the jobs in the queue do.
    pub fn retry_after_workers(&self) -> Duration {
        to_say(self.mean_seconds)
    }

    fn look_ahead(&mut self, now: Instant) {
        let outlook = &mut self.outlook;
        if outlook.at == Some(now) {
            return;
        }
        let ages = self.began.iter().flatten();
        outlook.ends.clear();
        outlook
            .ends
            .extend(ages.map(|began| now.saturating_duration_since(*began).as_secs_f64()));
        let running = outlook.ends.len().max(1) as f64;
        let age = outlook.ends.iter().sum::<f64>() / running;
        let call = if age >= AGE_OVER_MEAN_MIN * self.mean_seconds {
            age
        } else {
            self.mean_seconds
        };
        for end in &mut outlook.ends {
            *end = seconds_left(*end, call);
        }
        outlook.ends.sort_unstable_by(f64::total_cmp);
        (outlook.call_seconds, outlook.at) = (call, Some(now));
    }
}

/// How much longer a call of this age runs where calls take `call` seconds. A call that is overdue by some time is as
/// likely as not to take that time again, but no longer than another call.
fn seconds_left(age: f64, call: f64) -> f64 {
    if age < call {
        call - age
    } else {
        (age - call + call / 4.0).min(call)
    }
}

fn to_say(seconds: f64) -> Duration {
    if seconds >= RETRY_AFTER_MAX.as_secs_f64() {
        return RETRY_AFTER_MAX;
    }
    Duration::from_millis((seconds * 1000.0).ceil() as u64).max(DrainRate::RETRY_AFTER_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// The durations of calls.
    #[derive(Debug, Clone, Copy)]
    enum Length {
        Always(f64),
        /// Evenly between a factor less and a factor more.
        About(f64, f64),
        /// Without a memory: most are short, some long.
        Exponential(f64),
    }

    impl Length {
        fn draw(self, random: &mut fastrand::Rng) -> f64 {
            match self {
                Length::Always(seconds) => seconds,
                Length::About(seconds, part) => seconds * (1.0 + part * (2.0 * random.f64() - 1.0)),
                Length::Exponential(seconds) => -seconds * (1.0 - random.f64()).ln(),
            }
        }
    }

    /// A refusal: the estimate that was given, and the truth.
    #[derive(Debug, Clone, Copy)]
    struct Refusal {
        said: f64,
        truth: f64,
    }

    impl Refusal {
        /// Both numbers as `Retry-After` can say them.
        fn is_within(self, factor: f64) -> bool {
            let truth = to_say(self.truth).as_secs_f64();
            self.said <= truth * factor && truth <= self.said * factor
        }
    }

    /// A shard with handlers and a queue, without the rest of the world: a client that comes finds a handler, a place,
    /// or neither. Each refusal is followed until all in front have had a handler and another becomes free.
    struct Shard {
        rate: DrainRate,
        epoch: Instant,
        /// The end of each handler's call.
        ends: Vec<Option<f64>>,
        queue: VecDeque<f64>,
        queue_max: usize,
        random: fastrand::Rng,
        length: Length,
        /// The refusals: the time, the estimate, and how many handlers must become free first.
        waiting: Vec<(f64, f64, usize)>,
        refusals: Vec<Refusal>,
    }

    impl Shard {
        fn new(handlers: usize, queue_max: usize, length: Length) -> Shard {
            let epoch = Instant::now();
            Shard {
                rate: DrainRate::new(handlers as u32),
                epoch,
                ends: vec![None; handlers],
                queue: VecDeque::new(),
                queue_max,
                random: fastrand::Rng::with_seed(7),
                length,
                waiting: Vec::new(),
                refusals: Vec::new(),
            }
        }

        fn time(&self, at: f64) -> Instant {
            self.epoch + Duration::from_secs_f64(at)
        }

        fn arrive(&mut self, at: f64) {
            self.advance(at);
            let length = self.length.draw(&mut self.random);
            match self.ends.iter().position(Option::is_none) {
                Some(handler) => self.begin(handler, at, length),
                None if self.queue.len() < self.queue_max => self.queue.push_back(length),
                None => {
                    let now = self.time(at);
                    let said = self.rate.retry_after(self.queue.len(), now).as_secs_f64();
                    self.waiting.push((at, said, self.queue.len() + 1));
                }
            }
        }

        fn begin(&mut self, handler: usize, at: f64, length: f64) {
            self.ends[handler] = Some(at + length);
            self.rate.on_began(handler as u32, self.time(at));
        }

        /// Lets calls end until that time.
        fn advance(&mut self, until: f64) {
            loop {
                let busy = self
                    .ends
                    .iter()
                    .enumerate()
                    .filter_map(|(at, end)| Some((at, (*end)?)));
                let next = busy.min_by(|a, b| a.1.total_cmp(&b.1));
                let Some((handler, at)) = next.filter(|(_, end)| *end <= until) else {
                    return;
                };
                self.ends[handler] = None;
                self.rate.on_ended(handler as u32, self.time(at));
                for (since, said, left) in &mut self.waiting {
                    *left -= 1;
                    if *left == 0 {
                        let (said, truth) = (*said, at - *since);
                        self.refusals.push(Refusal { said, truth });
                    }
                }
                self.waiting.retain(|(_, _, left)| *left > 0);
                if let Some(length) = self.queue.pop_front() {
                    self.begin(handler, at, length);
                }
            }
        }

        /// So many clients arrive at once.
        fn burst(&mut self, at: f64, count: usize) {
            (0..count).for_each(|_| self.arrive(at));
        }

        /// How many estimates were right within `factor`, and how many refusals there were.
        fn judge(&self, factor: f64) -> (usize, usize) {
            let good = self.refusals.iter().filter(|refusal| refusal.is_within(factor));
            (good.count(), self.refusals.len())
        }
    }

    /// With a pool of 2, a queue of 32, calls of 30 ms and nothing known, the queue empties in half a second.
    #[test]
    fn the_first_burst_is_told_when_the_queue_will_be_empty() {
        let mut shard = Shard::new(2, 32, Length::Always(0.03));
        shard.burst(0.0, 40);
        let said: Vec<f64> = shard.waiting.iter().map(|(_, said, _)| *said).collect();
        assert_eq!(said, [1.0; 6]);
        shard.advance(10.0);
        assert_eq!(shard.judge(2.0), (6, 6), "{:?}", shard.refusals);
    }

    /// With one call seen of each length, every later burst gets the right estimate, its first refusal too.
    #[test]
    fn bursts_are_told_the_truth_from_the_first_refusal_on() {
        for handlers in [1, 2, 8, 64] {
            for queue_max in [0, 8, 32, 512] {
                for seconds in [0.005, 0.03, 0.3, 2.0, 10.0] {
                    for length in [Length::Always(seconds), Length::About(seconds, 0.2)] {
                        let mut shard = Shard::new(handlers, queue_max, length);
                        shard.arrive(0.0);
                        let size = handlers + queue_max;
                        for burst in 1..4 {
                            // Some clients come while the queue in front is half done.
                            let at = f64::from(burst) * 1000.0 * seconds;
                            shard.burst(at, size + 3);
                            shard.burst(at + 0.5 * seconds, 3);
                        }
                        shard.advance(1e9);
                        let (good, all) = shard.judge(2.0);
                        let what = format!("{handlers} handlers, {queue_max} places, {length:?}");
                        assert!(
                            all >= 15 && good == all,
                            "{good} of {all}: {what}: {:?}",
                            shard.refusals
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn steady_overload_is_told_the_truth_whatever_calls_are_like() {
        for (length, share) in [
            (Length::Always(0.5), 0.99),
            (Length::About(0.5, 0.5), 0.99),
            (Length::Exponential(0.5), 0.85),
        ] {
            for (handlers, queue_max) in [(2, 16), (8, 64), (64, 256)] {
                let mut shard = Shard::new(handlers, queue_max, length);
                let gap = 0.5 / handlers as f64 / 3.0;
                (0..20_000).for_each(|n| shard.arrive(f64::from(n) * gap));
                shard.advance(1e9);
                let (good, all) = shard.judge(2.0);
                assert!(all > 1000, "{all} refused");
                assert!(
                    good as f64 >= share * all as f64,
                    "{good} of {all}: {handlers} handlers, {queue_max} places, {length:?}"
                );
            }
        }
    }

    #[test]
    fn calls_that_have_become_slow_show_before_they_end() {
        let start = Instant::now();
        let mut rate = DrainRate::new(2);
        for call in 0..100 {
            rate.on_began(0, start + Duration::from_millis(call));
            rate.on_ended(0, start + Duration::from_millis(call + 1));
        }
        let stuck = start + Duration::from_secs(1);
        (0..2).for_each(|handler| rate.on_began(handler, stuck));
        assert_eq!(rate.retry_after(10, stuck), DrainRate::RETRY_AFTER_MIN);
        let later = rate.retry_after(10, stuck + Duration::from_secs(4));
        assert!(later >= Duration::from_secs(20), "{later:?}");
        let much_later = rate.retry_after(10, stuck + Duration::from_secs(40));
        assert_eq!(much_later, RETRY_AFTER_MAX);
    }

    #[test]
    fn who_gave_a_handler_back_says_nothing_of_how_long_calls_take() {
        let start = Instant::now();
        let mut rate = DrainRate::new(1);
        rate.on_began(0, start);
        rate.on_given_back(0);
        rate.on_ended(0, start + Duration::from_secs(9));
        assert_eq!(rate.retry_after_workers(), DrainRate::RETRY_AFTER_MIN);
        assert_eq!(
            rate.retry_after(5, start),
            DrainRate::RETRY_AFTER_MIN,
            "nothing runs"
        );
    }
}
