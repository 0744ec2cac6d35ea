//! Plans that are sound, and refusals that say enough.

use super::demand::{EXECUTOR_BYTES, LAUNCHER_BYTES, PROCESS_BYTES, PROGRAM_BYTES, WORKER_BYTES};
use super::*;
use crate::units::ByteSize;

const MIB: u64 = 1 << 20;

fn demand(budget_bytes: u64, shards: u32) -> MemoryDemand {
    MemoryDemand {
        clientele: Clientele::Many,
        budget_bytes,
        shards,
        workers: shards,
        programs: 0,
        connections: ConnectionsDemand::UpTo(20_000),
        handlers: None,
        buffer_bytes: 16 << 10,
        ring_buffers: None,
        assembly_buffers: None,
        queue_depth: None,
    }
}

/// The sum, calculated once more.
fn spent(fit: &MemoryFit, demand: &MemoryDemand) -> u64 {
    let shard = EXECUTOR_BYTES
        + u64::from(fit.handlers) * (2 * demand.buffer_bytes + 1024)
        + u64::from(fit.ring_buffers) * (4096 + 16)
        + u64::from(fit.assembly_buffers) * demand.buffer_bytes
        + u64::from(fit.queue_depth) * (4096 + 64);
    let launcher = if demand.programs > 0 { LAUNCHER_BYTES } else { 0 };
    PROCESS_BYTES
        + u64::from(demand.workers) * WORKER_BYTES
        + launcher
        + u64::from(demand.programs) * PROGRAM_BYTES
        + u64::from(fit.connections) * 1024
        + u64::from(demand.shards) * (shard + fit.plan.runtime_bytes_per_shard)
}

fn assert_sound(demand: &MemoryDemand) -> MemoryFit {
    let fit = demand.fit().unwrap_or_else(|short| panic!("{demand:?}: {short}"));
    let spent = spent(&fit, demand);
    assert!(spent <= demand.budget_bytes, "{demand:?} {fit:?}");
    assert!(
        demand.budget_bytes - spent < u64::from(demand.shards),
        "nothing is left lying about"
    );
    assert!(
        fit.plan.runtime_bytes_per_shard >= demand.budget_bytes / 4 / u64::from(demand.shards),
        "{fit:?}"
    );
    for (given, got) in [
        (demand.handlers, fit.handlers),
        (demand.ring_buffers, fit.ring_buffers),
        (demand.assembly_buffers, fit.assembly_buffers),
        (demand.queue_depth, fit.queue_depth),
    ] {
        assert!(given.is_none_or(|given| given == got), "{demand:?} {fit:?}");
    }
    fit
}

#[test]
fn with_room_the_defaults_are_whole() {
    let fit = assert_sound(&demand(1024 * MIB, 4));
    assert_eq!(
        (fit.handlers, fit.ring_buffers, fit.assembly_buffers),
        (256, 1024, 256)
    );
    assert_eq!(fit.connections, 20_000);
    assert!(!fit.is_pool_shrunk(&demand(1024 * MIB, 4)));
}

#[test]
fn what_is_for_run_time_is_shared_out_whole() {
    let plan = assert_sound(&demand(1024 * MIB, 3)).plan;
    let heap = 3 * plan.heap_bytes_per_shard();
    assert_eq!(
        heap + plan.live_bytes() + plan.task_bytes(),
        3 * plan.runtime_bytes_per_shard
    );
    assert!(plan.task_bytes() > 0 && plan.task_bytes() <= plan.live_bytes());
}

#[test]
fn the_defaults_fit_half_of_a_64_mib_cgroup() {
    let counts = |shards| {
        let fit = assert_sound(&demand(32 * MIB, shards));
        assert_eq!(fit.connections, 4096);
        assert_eq!(fit.queue_depth, 2 * fit.handlers, "the queue follows the pool");
        (fit.handlers, fit.ring_buffers, fit.assembly_buffers)
    };
    assert_eq!(counts(1), (256, 256, 64));
    assert_eq!(counts(2), (128, 64, 32));
    assert_eq!(counts(4), (32, 128, 32));
}

#[test]
fn what_was_asked_for_is_kept_or_refused() {
    let asked = |handlers, ring_buffers, assembly_buffers| MemoryDemand {
        handlers,
        ring_buffers,
        assembly_buffers,
        ..demand(32 * MIB, 1)
    };
    for given in [
        (Some(1), None, None),
        (Some(300), None, None),
        (None, Some(2048), None),
        (None, None, Some(512)),
        (Some(8), Some(16), Some(2)),
    ] {
        assert_sound(&asked(given.0, given.1, given.2));
    }
    for refused in [
        (Some(1000), None, None),
        (None, Some(32_768), None),
        (None, None, Some(65_535)),
        (Some(65_535), Some(32_768), Some(65_535)),
    ] {
        asked(refused.0, refused.1, refused.2).fit().unwrap_err();
    }
}

#[test]
fn a_pool_fits_up_to_the_last_byte_and_not_one_further() {
    let exact = |budget_bytes| MemoryDemand {
        handlers: Some(100),
        ring_buffers: Some(64),
        assembly_buffers: Some(10),
        queue_depth: Some(50),
        connections: ConnectionsDemand::Exactly(1000),
        ..demand(budget_bytes, 2)
    };
    let fixed = exact(64 * MIB).fit().unwrap().plan.fixed_bytes();
    // Three quarters of the budget may be fixed.
    let least = fixed.div_ceil(3) * 4 - 3;
    let first = (least - 8..least + 8)
        .find(|budget| exact(*budget).fit().is_ok())
        .unwrap();
    assert!(first - first / 4 >= fixed);
    assert!(first - 1 - (first - 1) / 4 < fixed);
}

#[test]
fn a_refusal_is_the_whole_arithmetic_and_names_what_to_lower() {
    let asked = MemoryDemand {
        handlers: Some(1000),
        ..demand(32 * MIB, 2)
    };
    assert_eq!(
        asked.fit().unwrap_err().to_string(),
        "memory-max = 32 MiB, but at least 103MiB are needed: process 6.2 MiB + connection table 4 MiB + 2 x \
         (executor 768 KiB + 1000 handlers of 2 x 16KiB 32.2 MiB + 32 ring buffers 128.5 KiB + 8 assembly buffers \
         128 KiB + 8 waiting buffers 32.5 KiB) + a quarter for run time; lower --pool-size or --buffer-size or --shards, or raise --memory-max"
            .replace("128.5 KiB", &ByteSize(32 * 4112).rounded())
    );
}

#[test]
fn programs_that_are_served_have_a_share_that_is_named() {
    let with = |programs, budget_bytes| MemoryDemand {
        programs,
        ..demand(budget_bytes, 2)
    };
    let without = assert_sound(&with(0, 1024 * MIB)).plan;
    assert!(!without.to_string().contains("programs"), "{without}");
    let plan = assert_sound(&with(8, 1024 * MIB)).plan;
    assert_eq!(plan.fixed_bytes(), without.fixed_bytes() + 8 * MIB);
    assert!(
        plan.to_string().contains(" + programs 8 MiB + connection table"),
        "{plan}"
    );
    let short = with(100, 32 * MIB).fit().unwrap_err().to_string();
    assert!(short.contains(" + programs 54 MiB + "), "{short}");
    with(0, 32 * MIB).fit().unwrap();
}

#[test]
fn the_need_a_refusal_names_is_enough() {
    for (handlers, shards) in [(1000, 1), (1000, 2), (65_535, 8), (40, 64)] {
        let asked = |budget_bytes| MemoryDemand {
            handlers: Some(handlers),
            connections: ConnectionsDemand::Exactly(5000),
            ..demand(budget_bytes, shards)
        };
        let short = asked(32 * MIB).fit().unwrap_err();
        let ByteSize(need) = short.need;
        assert_sound(&asked(need));
        asked(need - 2 * MIB).fit().unwrap_err();
    }
}

#[test]
fn every_budget_gives_a_sound_plan_or_a_refusal() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let maybe = |random: &mut fastrand::Rng, most: u32| random.bool().then(|| random.u32(1..=most));
        let demand = MemoryDemand {
            clientele: Clientele::Many,
            budget_bytes: 1 << random.u64(23..36),
            shards: random.u32(1..=64),
            workers: random.u32(1..=64),
            programs: random.u32(0..=20),
            connections: if random.bool() {
                ConnectionsDemand::UpTo(random.u32(1..=1_000_000))
            } else {
                ConnectionsDemand::Exactly(random.u32(1..=100_000))
            },
            handlers: maybe(&mut random, 2000),
            buffer_bytes: 4096 << random.u32(0..4),
            ring_buffers: maybe(&mut random, 4096),
            assembly_buffers: maybe(&mut random, 2000),
            queue_depth: maybe(&mut random, 5000).map(|depth| depth - 1),
        };
        if demand.fit().is_ok() {
            assert_sound(&demand);
        }
    }
}

#[test]
fn a_queue_is_kept_or_refused_when_asked_for_and_gives_way_to_a_pool_that_was() {
    let asked = |handlers, queue_depth| MemoryDemand {
        handlers,
        queue_depth,
        ..demand(32 * MIB, 1)
    };
    for depth in [0, 1, 1000, 2000] {
        let fit = assert_sound(&asked(None, Some(depth)));
        assert!(!fit.is_queue_shrunk(&asked(None, Some(depth))));
    }
    let refused = asked(Some(8), Some(5000)).fit().unwrap_err().to_string();
    for part in [
        "5000 waiting buffers 19.8 MiB",
        "lower --pool-size or",
        "or --queue-depth or",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let whole = assert_sound(&asked(Some(100), None));
    assert_eq!(whole.queue_depth, 200);
    assert!(!whole.is_queue_shrunk(&asked(Some(100), None)));
    let tight = assert_sound(&asked(Some(350), None));
    assert!(tight.is_queue_shrunk(&asked(Some(350), None)), "{tight:?}");
}

#[test]
fn absurd_numbers_saturate_and_are_refused() {
    let absurd = MemoryDemand {
        handlers: Some(u32::MAX),
        buffer_bytes: u64::MAX,
        shards: u32::MAX,
        ..demand(u64::MAX, 1)
    };
    absurd.fit().unwrap_err();
}

#[test]
fn the_plan_can_be_read() {
    let plan = demand(32 * MIB, 1).fit().unwrap().plan;
    let text = plan.to_string();
    assert!(
        text.starts_with("32 MiB = process 6.1 MiB + connection table 4 MiB + 1 x (executor 768 KiB"),
        "{text}"
    );
}
