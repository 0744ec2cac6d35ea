//! How long calls wait for handlers, by queueing theory: what `weir size` predicts.
//!
//! Calls arrive independently of each other (a Poisson process) and are served by `servers` handlers in the order in
//! which they came: M/G/c, in the words of the field. How many find no handler is Erlang's C formula. How long they
//! wait is known exactly for exponential times in service; for others it follows from their coefficient of variation,
//! by Kimura's interpolation between exponential and constant times, whose waits are Cosmetatos'. Waits are taken as
//! exponential, which their tail is. Pools that steal from each other are one queue of all their handlers.

/// A pool under load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    /// Handlers of all shards.
    pub servers: f64,
    /// Calls per second.
    pub rate: f64,
    /// Seconds in service, on average.
    pub service: f64,
    /// The standard deviation of that time, by its mean.
    pub service_cv: f64,
}

/// How calls wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waits {
    /// The share of handlers that are busy, below 1.
    pub utilization: f64,
    /// The share of calls that have to wait.
    pub waiting: f64,
    /// Seconds that calls wait, on average over all of them.
    pub mean: f64,
    /// Seconds that 99 of 100 calls wait at most.
    pub p99: f64,
}

impl Queue {
    /// Handlers that are busy, by Little's law.
    pub fn busy(&self) -> f64 {
        self.rate * self.service
    }

    /// How calls wait; `None` if they come faster than they can be served, so that the queue grows for ever.
    pub fn waits(&self) -> Option<Waits> {
        let (busy, servers) = (self.busy(), self.servers);
        if busy.is_nan() || busy >= servers {
            return None;
        }
        let utilization = busy / servers;
        let waiting = erlang_c(servers, busy);
        let exponential = waiting * self.service / (servers - busy);
        let squared = self.service_cv * self.service_cv;
        // One over the mean, between the two that are known.
        let constant = constant_factor(servers, utilization);
        let mean = exponential * (1.0 + squared) / (2.0 * squared + (1.0 - squared) / constant);
        let p99 = if waiting > 0.01 {
            mean / waiting * (waiting / 0.01).ln()
        } else {
            0.0
        };
        Some(Waits {
            utilization,
            waiting,
            mean,
            p99,
        })
    }
}

/// The share of calls that find all of `servers` busy when `busy` of them are on average. It is computed from Erlang's
/// B, one server after the other, which is stable for any number of them.
fn erlang_c(servers: f64, busy: f64) -> f64 {
    let mut blocked = 1.0;
    for server in 1..=servers as u64 {
        blocked = busy * blocked / (server as f64 + busy * blocked);
    }
    let utilization = busy / servers;
    blocked / (1.0 - utilization * (1.0 - blocked))
}

/// How long calls of constant length wait, by how long exponential ones do.
fn constant_factor(servers: f64, utilization: f64) -> f64 {
    let correction = (1.0 - utilization) * (servers - 1.0) * ((4.0 + 5.0 * servers).sqrt() - 2.0)
        / (16.0 * utilization * servers);
    0.5 * (1.0 + correction).min(2.0)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    const SERVICE: f64 = 0.02;

    fn queue(servers: u32, utilization: f64, service_cv: f64) -> Queue {
        Queue {
            servers: f64::from(servers),
            rate: f64::from(servers) * utilization / SERVICE,
            service: SERVICE,
            service_cv,
        }
    }

    /// The formula as books have it: sums of powers by factorials.
    fn erlang_c_by_the_book(servers: u32, busy: f64) -> f64 {
        let term = |count: u32| (1..=count).fold(1.0, |term, count| term * busy / f64::from(count));
        let all = term(servers) * f64::from(servers) / (f64::from(servers) - busy);
        all / ((0..servers).map(term).sum::<f64>() + all)
    }

    #[test]
    fn erlangs_formula_is_that_of_the_books() {
        for servers in [1, 2, 3, 10, 50, 100] {
            for percent in [1, 30, 50, 80, 95, 99] {
                let busy = f64::from(servers) * f64::from(percent) / 100.0;
                let (found, book) = (
                    erlang_c(f64::from(servers), busy),
                    erlang_c_by_the_book(servers, busy),
                );
                assert!((found - book).abs() < 1e-9, "{servers} {percent}: {found} {book}");
            }
        }
        assert!((erlang_c(10.0, 8.0) - 0.4092).abs() < 1e-4);
    }

    #[test]
    fn what_cannot_be_served_has_no_waits_and_what_can_has_finite_ones() {
        assert_eq!(queue(4, 1.0, 1.0).waits(), None);
        assert_eq!(queue(4, f64::NAN, 1.0).waits(), None);
        for servers in [1, 2, 100, 100_000] {
            let mut last = 0.0;
            for percent in 1..100 {
                for cv in [0.0, 0.5, 1.0, 3.0] {
                    let waits = queue(servers, f64::from(percent) / 100.0, cv).waits().unwrap();
                    assert!(waits.mean.is_finite() && waits.p99.is_finite() && waits.mean >= 0.0);
                    assert!((0.0..=1.0).contains(&waits.waiting));
                    if cv == 1.0 {
                        assert!(waits.mean >= last, "{servers} {percent}");
                        last = waits.mean;
                    }
                }
            }
        }
    }

    /// The slow reference: calls, one by one. Mean wait, P99 of waits, share of handlers that were busy.
    fn simulated(queue: &Queue, calls: u32, seed: u64, draw: impl Fn(&mut fastrand::Rng) -> f64) -> [f64; 3] {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut free: BinaryHeap<Reverse<u64>> = (0..queue.servers as u64).map(|_| Reverse(0)).collect();
        let (mut at, mut busy) = (0.0, 0.0);
        let mut waits = Vec::new();
        for call in 0..calls {
            at -= (1.0 - random.f64()).ln() / queue.rate;
            let Reverse(next) = free.pop().unwrap();
            let start = f64::max(at, next as f64 / 1e9);
            let service = queue.service * draw(&mut random);
            free.push(Reverse(((start + service) * 1e9) as u64));
            busy += service;
            // The beginning is emptier than the rest.
            if call > calls / 20 {
                waits.push(start - at);
            }
        }
        waits.sort_by(f64::total_cmp);
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        [mean, waits[waits.len() * 99 / 100], busy / at / queue.servers]
    }

    fn exponential(random: &mut fastrand::Rng) -> f64 {
        -(1.0 - random.f64()).ln()
    }

    /// Log-normal, with a coefficient of variation of 2.
    fn heavy(random: &mut fastrand::Rng) -> f64 {
        let variance = 5_f64.ln();
        let normal = (2.0 * exponential(random)).sqrt() * (std::f64::consts::TAU * random.f64()).cos();
        variance.sqrt().mul_add(normal, -variance / 2.0).exp()
    }

    #[test]
    fn predictions_are_those_of_a_simulation() {
        let mut worst = [0.0_f64; 3];
        for (servers, utilization) in [(4, 0.7), (4, 0.9), (16, 0.8), (16, 0.9), (64, 0.9), (64, 0.95)] {
            for (cv, draw) in [
                (0.0, (|_| 1.0) as fn(&mut fastrand::Rng) -> f64),
                (1.0, exponential),
                (2.0, heavy),
            ] {
                let queue = queue(servers, utilization, cv);
                let predicted = queue.waits().unwrap();
                let [mean, p99, busy] = simulated(&queue, 600_000, 7, draw);
                let off = [
                    predicted.mean / mean,
                    predicted.p99 / p99,
                    predicted.utilization / busy,
                ];
                println!(
                    "{servers:>3} handlers, {:.0} % busy, cv {cv}: mean wait {:+.1} %, P99 {:+.1} %, utilization {:+.1} %",
                    utilization * 100.0,
                    (off[0] - 1.0) * 100.0,
                    (off[1] - 1.0) * 100.0,
                    (off[2] - 1.0) * 100.0
                );
                for (worst, off) in worst.iter_mut().zip(off) {
                    *worst = worst.max((off - 1.0).abs());
                }
            }
        }
        println!("worst: {worst:?}");
        assert!(worst[0] < 0.15 && worst[1] < 0.25 && worst[2] < 0.02, "{worst:?}");
    }
}
