//! The arithmetic of `weir size`: from peak clients to a pool.
//!
//! This is pure, and in whole numbers that are rounded up, so that each can be followed by hand. [`MemoryDemand`]
//! divides the memory, as it does for `serve`; given the flags of a [`Sizing`], `serve` uses precisely its numbers.
//! This finds no limits of the machine (see `host`) and prints nothing.

use std::time::Duration;

use super::descriptors::DescriptorPlan;
use super::headroom::with_headroom;
use super::kind::{CONNECTIONS_MAX, HANDLERS_MAX, SHARDS_MAX};
use super::memory::{
    Clientele, ConnectionsDemand, MemoryDemand, MemoryFit, MemoryShort, queue_depth_default,
};
use super::queueing::Queue;
use super::size_request::SizeRequest;
use super::values::Linger;
use crate::units::{ByteSize, display_duration};

/// Processes that each program has at most where each client has one of its own, unless its pool says otherwise.
const PROCESSES_EACH: u32 = 64;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Numbers for `weir serve`, and the request they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// The request.
    pub request: SizeRequest,
    /// The busy handlers at the peak, over all cores: one per client, or one per call in service.
    pub busy: u64,
    /// Handlers over all cores, before they are shared out.
    pub handlers_total: u64,
    /// Connections over all cores.
    pub connections: u32,
    /// A budget that shrinks no buffers.
    pub budget_wanted_bytes: u64,
    /// The pool, queue and buffers of each core, and the memory they take.
    pub fit: MemoryFit,
    /// Descriptors of the process.
    pub descriptors: DescriptorPlan,
}

/// Why there are no such numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// More handlers are needed than a shard can have.
    #[error(
        "{handlers_total} handlers over {cores} cores are {each} each, and a core has at most {HANDLERS_MAX}; {}",
        cores_needed(*.handlers_total)
    )]
    PoolTooLarge {
        /// Handlers over all cores.
        handlers_total: u64,
        /// Handlers on each of them.
        each: u64,
        /// The number of cores.
        cores: u32,
    },
    /// More memory is needed than there may be.
    #[error(
        "memory = {}, but at least {} are needed: {}; {}",
        .short.budget,
        .short.need,
        .short.arithmetic,
        fitting(.would_fit)
    )]
    Memory {
        /// The arithmetic.
        short: Box<MemoryShort>,
        /// The most that fits into the same memory on as many cores.
        would_fit: Option<Box<Sizing>>,
    },
}

impl Sizing {
    /// How the pool fares under the load, if handlers are leased for calls. Cores that take waiting calls from each
    /// other are one queue.
    pub fn queue(&self) -> Option<Queue> {
        (self.request.linger != Linger::Forever).then(|| Queue {
            servers: f64::from(self.fit.handlers) * f64::from(self.request.cores),
            rate: f64::from(self.request.rate_per_second()),
            service: self.request.service_time().as_secs_f64(),
            service_cv: self.request.service_cv(),
        })
    }
}

/// Sizes a pool.
///
/// # Errors
/// Fails when the load takes more handlers than shards can have, or more memory than there may be.
pub fn size(request: &SizeRequest) -> Result<Sizing, SizeError> {
    try_size(request).map_err(|refusal| match refusal {
        SizeError::Memory { short, .. } => SizeError::Memory {
            short,
            would_fit: most_that_fits(request).map(Box::new),
        },
        other => other,
    })
}

/// Little's law: the number of calls in service at a time.
fn in_service(rate_per_second: u32, service_time: Duration) -> u64 {
    let nanos = u128::from(rate_per_second).saturating_mul(service_time.as_nanos());
    u64::try_from(nanos.div_ceil(NANOS_PER_SECOND)).unwrap_or(u64::MAX)
}

fn try_size(request: &SizeRequest) -> Result<Sizing, SizeError> {
    let busy = match request.linger {
        Linger::Forever => u64::from(request.peak_clients),
        // A finite linger ends as soon as another client waits, so nobody waits for it.
        Linger::None | Linger::For(_) => in_service(request.rate_per_second(), request.service_time()),
    };
    let handlers_total = with_headroom(busy);
    let each = request.pool_size_given.map_or_else(
        || handlers_total.div_ceil(u64::from(request.cores)).max(1),
        u64::from,
    );
    let handlers = u32::try_from(each)
        .ok()
        .filter(|handlers| u64::from(*handlers) <= HANDLERS_MAX)
        .ok_or(SizeError::PoolTooLarge {
            handlers_total,
            each,
            cores: request.cores,
        })?;
    // The bound is below 32 bits.
    let connections = with_headroom(request.peak_clients.into()).min(CONNECTIONS_MAX) as u32;
    let wanted = demand(request, handlers, connections, request.budget_bytes);
    let budget_wanted_bytes = wanted.budget_wanted_bytes(request.body_bytes_max);
    let budget = budget_wanted_bytes.min(request.budget_bytes);
    let fit = demand(request, handlers, connections, budget)
        .fit()
        .map_err(|short| SizeError::Memory {
            short,
            would_fit: None,
        })?;
    Ok(Sizing {
        request: *request,
        busy,
        handlers_total,
        connections,
        budget_wanted_bytes,
        fit,
        descriptors: DescriptorPlan {
            shards: request.cores,
            workers: request.cores,
            more_addresses: 0,
            children: request.programs.saturating_mul(PROCESSES_EACH),
            connections,
        },
    })
}

/// The demand of `serve` with the flags of the sizing.
fn demand(request: &SizeRequest, handlers: u32, connections: u32, budget_bytes: u64) -> MemoryDemand {
    MemoryDemand {
        clientele: Clientele::Many,
        budget_bytes,
        shards: request.cores,
        workers: request.cores,
        programs: request.programs,
        connections: ConnectionsDemand::Exactly(connections),
        handlers: Some(handlers),
        buffer_bytes: request.buffer_bytes,
        ring_buffers: None,
        assembly_buffers: None,
        queue_depth: Some(queue_depth_default(handlers)),
    }
}

/// Fewer clients never need more, so halving the interval finds the most that fit.
fn most_that_fits(request: &SizeRequest) -> Option<Sizing> {
    let mut best = try_size(&request.with_clients(1)).ok()?;
    let (mut fits, mut fits_not) = (1, request.peak_clients);
    while fits_not - fits > 1 {
        let clients = fits + (fits_not - fits) / 2;
        match try_size(&request.with_clients(clients)) {
            Ok(sizing) => (best, fits) = (sizing, clients),
            Err(_) => fits_not = clients,
        }
    }
    Some(best)
}

impl Sizing {
    /// Whether there are fewer connections than the clients with headroom need, because there can be no more.
    pub fn is_connections_capped(&self) -> bool {
        u64::from(self.connections) < with_headroom(self.request.peak_clients.into())
    }

    /// The flags for `serve`, in the order of the table.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let linger = match self.request.linger {
            Linger::None => "0s".to_owned(),
            Linger::For(time) => display_duration(time).to_string(),
            Linger::Forever => "forever".to_owned(),
        };
        vec![
            ("shards", self.request.cores.to_string()),
            ("pool-size", self.fit.handlers.to_string()),
            ("memory-max", ByteSize(self.fit.plan.budget_bytes).to_string()),
            ("queue-depth", self.fit.queue_depth.to_string()),
            ("linger", linger),
            ("connections-max", self.connections.to_string()),
            ("workers", self.descriptors.workers.to_string()),
        ]
    }
}

fn cores_needed(handlers_total: u64) -> String {
    let cores = handlers_total.div_ceil(HANDLERS_MAX);
    if cores > SHARDS_MAX {
        format!("not even {SHARDS_MAX} cores are enough: spread the clients over several machines")
    } else {
        format!("give --cores {cores} or more")
    }
}

fn fitting(would_fit: &Option<Box<Sizing>>) -> String {
    let Some(sizing) = would_fit else {
        return "not even one client fits: give more --memory or fewer --cores".to_owned();
    };
    let request = &sizing.request;
    let rate = match request.rate_given {
        Some(rate) => format!(" --rate {rate}"),
        None => String::new(),
    };
    format!(
        "what would fit is --peak-clients {}{rate}, with {} handlers per core; or give more --memory",
        request.peak_clients, sizing.fit.handlers
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Around, Host, Inputs, Source, resolve};
    use crate::units::CpuId;

    const MIB: u64 = 1 << 20;

    fn host() -> Host {
        Host {
            cpus: (0..4).map(CpuId).collect(),
            cpu_quota: None,
            memory_bytes: 1 << 50,
            cgroup_memory_bytes: None,
            descriptors_max: None,
            memlock_bytes_max: None,
            is_memlock_exempt: true,
            kernel_release: "6.18.44".to_owned(),
            io_uring_disabled: 0,
        }
    }

    fn request(peak_clients: u32, cores: u32, linger: Linger) -> SizeRequest {
        SizeRequest {
            peak_clients,
            cores,
            linger,
            ..SizeRequest::read(|name| (name == "peak-clients").then(|| "1".to_owned()), &host()).unwrap()
        }
    }

    /// The naive twin counts up instead of dividing.
    fn least(mut is_enough: impl FnMut(u64) -> bool) -> u64 {
        (0..).find(|number| is_enough(*number)).unwrap()
    }

    /// Asserts that `serve` uses the sizing's numbers when it gets its flags.
    fn assert_served_as_sized(sizing: &Sizing) {
        let mut inputs = Inputs::new();
        for (name, text) in sizing.flags() {
            inputs.insert(name, vec![text], Source::Flag);
        }
        let settings = resolve(&inputs, &host(), &Around::nothing()).unwrap().settings;
        assert_eq!(settings.memory, sizing.fit.plan, "{sizing:?}");
        let served = (
            settings.shards.len(),
            settings.sizes.handlers,
            settings.sizes.queue_depth_max,
            u32::from(settings.ring.buffers),
            settings.sizes.assembly_buffers as u32,
            settings.connections.limit(),
            settings.workers.options.thread_count() as u32,
            settings.queue.linger,
        );
        let fit = &sizing.fit;
        let sized = (
            sizing.request.cores as usize,
            fit.handlers,
            fit.queue_depth,
            fit.ring_buffers,
            fit.assembly_buffers,
            fit.connections,
            sizing.descriptors.workers,
            sizing.request.linger,
        );
        assert_eq!(served, sized);
    }

    #[test]
    fn both_rules_in_numbers() {
        let classic = size(&request(750, 2, Linger::Forever)).unwrap();
        assert_eq!(
            (
                classic.handlers_total,
                classic.fit.handlers,
                classic.fit.queue_depth
            ),
            (1000, 500, 1000)
        );
        assert_eq!(classic.connections, 1000);
        // 1000, 16 for the process, 2 shards x 12 and 2 workers x 4.
        assert_eq!(classic.descriptors.total(), 1048);
        for linger in [Linger::None, Linger::For(Duration::from_secs(2))] {
            let leases = size(&request(750, 2, linger)).unwrap();
            assert_eq!(
                (leases.busy, leases.handlers_total, leases.fit.handlers),
                (75, 100, 50)
            );
            assert_eq!(leases.connections, 1000);
            assert_served_as_sized(&leases);
        }
        assert_served_as_sized(&classic);
    }

    #[test]
    fn programs_take_memory_and_descriptors_but_no_handlers() {
        let plain = size(&request(750, 2, Linger::None)).unwrap();
        let asked = SizeRequest {
            programs: 3,
            ..request(750, 2, Linger::None)
        };
        let sizing = size(&asked).unwrap();
        assert_eq!(sizing.handlers_total, plain.handlers_total);
        assert!(sizing.fit.plan.programs_bytes > 0 && sizing.budget_wanted_bytes > plain.budget_wanted_bytes);
        assert!(sizing.descriptors.total() >= plain.descriptors.total() + 3 * 64 * 3);
    }

    #[test]
    fn division_agrees_with_counting() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let rate = random.u32(1..3000);
            let service_time = Duration::from_micros(random.u64(1..2_000_000));
            let cores = random.u32(1..=64);
            let asked = SizeRequest {
                rate_given: Some(rate),
                service_time_given: Some(service_time),
                ..request(random.u32(1..5000), cores, Linger::None)
            };
            let busy =
                least(|busy| u128::from(busy) * 1_000_000 >= u128::from(rate) * service_time.as_micros());
            let total = least(|handlers| 3 * handlers >= 4 * busy);
            let each = least(|each| each >= 1 && each * u64::from(cores) >= total);
            let sizing = size(&asked).unwrap();
            assert_eq!(
                (sizing.busy, sizing.handlers_total, u64::from(sizing.fit.handlers)),
                (busy, total, each),
                "{asked:?}"
            );
            assert_eq!(
                u64::from(sizing.connections),
                least(|connections| 3 * connections >= 4 * u64::from(asked.peak_clients))
            );
        }
    }

    #[test]
    fn whatever_is_sized_is_served_so_and_fits() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut sized = 0;
        for _ in 0..3000 {
            let asked = SizeRequest {
                rate_given: random.bool().then(|| random.u32(1..100_000)),
                service_time_given: random.bool().then(|| Duration::from_millis(random.u64(1..5000))),
                budget_bytes: 1 << random.u32(23..40),
                ..request(
                    1 << random.u32(0..24),
                    random.u32(1..=1024),
                    *random
                        .choice(&[Linger::None, Linger::For(Duration::from_secs(1)), Linger::Forever])
                        .unwrap(),
                )
            };
            match size(&asked) {
                Ok(sizing) => {
                    assert!(sizing.fit.plan.budget_bytes <= asked.budget_bytes);
                    assert_served_as_sized(&sizing);
                    sized += 1;
                }
                Err(SizeError::Memory {
                    would_fit: Some(most),
                    ..
                }) => assert!(most.fit.plan.budget_bytes <= asked.budget_bytes),
                Err(_) => {}
            }
        }
        assert!(sized > 500, "{sized}");
    }

    #[test]
    fn with_room_enough_nothing_is_shrunk() {
        for (clients, cores) in [(1, 1), (750, 2), (10_000, 8), (1_000_000, 1024)] {
            let sizing = size(&SizeRequest {
                budget_bytes: 1 << 50,
                ..request(clients, cores, Linger::Forever)
            })
            .unwrap();
            assert_eq!(sizing.fit.plan.budget_bytes, sizing.budget_wanted_bytes);
            assert_eq!(sizing.fit.ring_buffers, 1024);
            assert_eq!(sizing.fit.assembly_buffers, sizing.fit.handlers);
            assert!(sizing.fit.plan.heap_bytes_per_shard() >= 4 * MIB);
        }
    }

    #[test]
    fn the_most_that_fits_is_what_counting_finds() {
        for (linger, rate_given) in [(Linger::Forever, None), (Linger::None, Some(9000))] {
            let asked = SizeRequest {
                budget_bytes: 24 * MIB,
                rate_given,
                service_time_given: Some(Duration::from_secs(1)),
                ..request(750, 2, linger)
            };
            let Err(SizeError::Memory {
                short,
                would_fit: Some(most),
            }) = size(&asked)
            else {
                panic!("{asked:?} fits");
            };
            let fits = |clients: u32| size(&asked.with_clients(clients)).is_ok();
            let counted = (1..750).rev().find(|clients| fits(*clients)).unwrap();
            assert_eq!(most.request.peak_clients, counted);
            // And the named need is enough.
            size(&SizeRequest {
                budget_bytes: short.need.0,
                ..asked
            })
            .unwrap();
        }
    }

    #[test]
    fn extremes_are_sized_or_refused_with_the_next_step() {
        let everything = |clients, cores| SizeRequest {
            budget_bytes: 1 << 50,
            ..request(clients, cores, Linger::Forever)
        };
        assert_eq!(
            size(&everything(16_000_000, 1)).unwrap_err().to_string(),
            "21333334 handlers over 1 cores are 21333334 each, and a core has at most 65535; give --cores 326 or more"
        );
        let most = size(&everything(16_000_000, 326)).unwrap();
        assert_eq!((most.fit.handlers, most.connections), (65_440, 16_000_000));
        assert!(most.is_connections_capped());
        assert_served_as_sized(&most);
        assert_eq!(size(&everything(1, 1024)).unwrap().fit.handlers, 1);
        let busiest = SizeRequest {
            rate_given: Some(1_000_000_000),
            service_time_given: Some(Duration::from_secs(86_400)),
            ..request(1, 1024, Linger::None)
        };
        let refused = size(&busiest).unwrap_err().to_string();
        assert!(
            refused.ends_with("not even 1024 cores are enough: spread the clients over several machines"),
            "{refused}"
        );
        let tiny = SizeRequest {
            budget_bytes: 8 * MIB,
            ..request(5, 64, Linger::None)
        };
        let refused = size(&tiny).unwrap_err().to_string();
        assert!(
            refused.starts_with("memory = 8 MiB, but at least ")
                && refused.ends_with("; not even one client fits: give more --memory or fewer --cores"),
            "{refused}"
        );
    }
}
