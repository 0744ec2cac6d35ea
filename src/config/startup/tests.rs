//! The lines for an operator, topic by topic.

use super::*;
use crate::config::CpuQuota;
use crate::units::CpuId;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn needs(shards: u32) -> Needs {
    Needs {
        shards,
        registered_bytes_per_shard: 192 * KIB,
        memlock_bytes_per_shard: 456 * KIB,
        memory_budget_bytes: 512 * MIB,
        connections_max: 10_000,
    }
}

fn findings() -> Findings {
    Findings {
        host: Host {
            cpus: (0..4).map(CpuId).collect(),
            cpu_quota: None,
            memory_bytes: 1024 * MIB,
            cgroup_memory_bytes: None,
            descriptors_max: Some(20_000),
            memlock_bytes_max: Some(8 * MIB),
            is_memlock_exempt: false,
            kernel_release: "6.18.44-generic".to_owned(),
            io_uring_disabled: 0,
        },
        io_uring: Ok(()),
        start: None,
        ring_users: Vec::new(),
    }
}

fn find(lines: &[Line], topic: &str) -> (Verdict, String) {
    let line = lines.iter().find(|line| line.topic == topic).unwrap();
    (line.verdict, line.text.clone())
}

#[test]
fn a_fit_machine_passes() {
    let lines = evaluate(&needs(4), &findings());
    assert!(lines.iter().all(|line| line.verdict == Verdict::Ok), "{lines:?}");
    let shown: Vec<String> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "ok       kernel: Linux 6.18.44-generic",
            "ok       io_uring: available",
            "ok       memlock: 8 MiB may be locked, needed: 1.7 MiB (4 shards x 456 KiB)",
            "ok       descriptors: 20000 descriptors, 10000 connections",
            "ok       memory: 512 MiB of the machine's 1 GiB",
            "ok       cpus: 4 shards, CPUs 0-3 allowed",
        ]
    );
}

#[test]
fn a_quota_is_told_beside_the_cpus() {
    let mut findings = findings();
    findings.host.cpu_quota = Some(CpuQuota { millis: 2500 });
    let text = "2 shards, CPUs 0-3 allowed, the cgroup's quota is the time of 2.5".to_owned();
    assert_eq!(find(&evaluate(&needs(2), &findings), "cpus"), (Verdict::Ok, text));
}

#[test]
fn too_little_locked_memory_is_named_with_the_arithmetic() {
    let mut findings = findings();
    findings.host.memlock_bytes_max = Some(64 * KIB);
    assert_eq!(
        find(&evaluate(&needs(4), &findings), "memlock"),
        (
            Verdict::Missing,
            "RLIMIT_MEMLOCK = 64 KiB, needed: 1.7 MiB (4 shards x 456 KiB); raise it (`LimitMEMLOCK=1824K` in the \
             unit, `ulimit -l 1824` in a shell, `--ulimit memlock=1867776` in Docker), or lower --shards"
                .to_owned()
        )
    );
}

#[test]
fn locked_memory_is_judged_at_the_limit_and_one_below() {
    // The columns are shards, exempt, kernel and need.
    let cases = [
        (1, false, "6.18.0", 512 * KIB),
        (2, false, "6.18.0", 912 * KIB),
        (17, false, "6.14.0", 17 * 456 * KIB),
        (17, false, "6.13.9", 17 * 192 * KIB),
        (2, false, "6.1.0", 512 * KIB),
        (64, true, "6.18.0", 512 * KIB),
        (64, false, "unreadable", 64 * 456 * KIB),
    ];
    for (shards, is_memlock_exempt, release, need) in cases {
        let mut findings = findings();
        findings.host.is_memlock_exempt = is_memlock_exempt;
        findings.host.kernel_release = release.to_owned();
        let mut verdict = |limit: Option<u64>| {
            findings.host.memlock_bytes_max = limit;
            find(&evaluate(&needs(shards), &findings), "memlock").0
        };
        assert_eq!(verdict(Some(need)), Verdict::Ok, "{shards} {release}");
        assert_eq!(verdict(Some(need - 1)), Verdict::Missing, "{shards} {release}");
        assert_eq!(verdict(None), Verdict::Ok);
    }
}

#[test]
fn locked_memory_that_others_use_up_is_missing_though_the_limit_would_do() {
    let mut findings = findings();
    findings.start = Some(Err(StartProblem {
        is_locked_memory: true,
        text: "shard 1 did not start".to_owned(),
    }));
    findings.ring_users = ["a (pid 1, 4 rings)", "b", "c", "d", "e"]
        .map(str::to_owned)
        .to_vec();
    let lines = evaluate(&needs(4), &findings);
    assert_eq!(
        find(&lines, "memlock"),
        (
            Verdict::Missing,
            "RLIMIT_MEMLOCK = 8 MiB, needed: 1.7 MiB (4 shards x 456 KiB), but other processes of this user, in \
             other containers too, among them a (pid 1, 4 rings), b, c, 2 more, have locked so much that less is left; stop some, run as \
             a user of its own, or raise the limit by what they need (`LimitMEMLOCK=10016K` in the unit, `ulimit -l \
             10016` in a shell, `--ulimit memlock=10256384` in Docker)"
                .to_owned()
        )
    );
    assert!(lines.iter().all(|line| line.topic != "start"));
    // Not even a small ring could be made, so nothing else was tried.
    findings.start = None;
    findings.ring_users = Vec::new();
    findings.io_uring = Err(RingProblem::LockedMemory("Cannot allocate memory".to_owned()));
    let lines = evaluate(&needs(4), &findings);
    for topic in ["io_uring", "memlock"] {
        assert_eq!(find(&lines, topic).0, Verdict::Missing, "{topic}");
    }
    assert!(
        find(&lines, "memlock")
            .1
            .contains("other processes of this user, in other containers too, have locked")
    );
    assert!(lines.iter().all(|line| line.topic != "start"));
    // Without a limit it is the kernel that has no memory.
    for (memlock_bytes_max, is_memlock_exempt) in [(None, false), (Some(8 * MIB), true)] {
        findings.host.memlock_bytes_max = memlock_bytes_max;
        findings.host.is_memlock_exempt = is_memlock_exempt;
        let (verdict, text) = find(&evaluate(&needs(4), &findings), "memlock");
        assert_eq!(verdict, Verdict::Missing);
        assert!(text.starts_with("no limit holds, needed: "), "{text}");
    }
}

#[test]
fn a_trial_of_the_shards_is_told() {
    let mut findings = findings();
    findings.start = Some(Ok(()));
    let one = (Verdict::Ok, "1 shard and all workers, on trial".to_owned());
    assert_eq!(find(&evaluate(&needs(1), &findings), "start"), one);
    let expected = (Verdict::Ok, "4 shards and all workers, on trial".to_owned());
    assert_eq!(find(&evaluate(&needs(4), &findings), "start"), expected);
    findings.start = Some(Err(StartProblem {
        is_locked_memory: false,
        text: "no threads\nleft".to_owned(),
    }));
    let lines = evaluate(&needs(4), &findings);
    assert_eq!(
        find(&lines, "start"),
        (Verdict::Missing, "no threads\\nleft".to_owned())
    );
    assert_eq!(find(&lines, "memlock").0, Verdict::Ok);
}

#[test]
fn a_refused_ring_names_who_refuses() {
    let cases = [
        (0, "seccomp profile"),
        (1, "without privileges"),
        (2, "is switched off: `sysctl"),
    ];
    for (disabled, advice) in cases {
        let mut findings = findings();
        findings.host.io_uring_disabled = disabled;
        findings.io_uring = Err(RingProblem::Refused(
            "Operation not permitted\n(os error 1)".to_owned(),
        ));
        let (verdict, text) = find(&evaluate(&needs(1), &findings), "io_uring");
        assert_eq!(verdict, Verdict::Missing);
        assert!(text.contains(advice), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn a_ring_that_lacks_something_speaks_for_itself() {
    let mut findings = findings();
    findings.io_uring = Err(RingProblem::Lacking("no buffer rings; upgrade".to_owned()));
    let expected = (Verdict::Missing, "no buffer rings; upgrade".to_owned());
    assert_eq!(find(&evaluate(&needs(1), &findings), "io_uring"), expected);
}

#[test]
fn kernels_are_told_apart() {
    let cases = [
        ("6.0.0", Verdict::Ok),
        ("6.18.44-fc", Verdict::Ok),
        ("7.1", Verdict::Ok),
        ("10.0.0", Verdict::Ok),
        ("5.19.17", Verdict::Missing),
        ("4.18.0-553.el8", Verdict::Missing),
        ("", Verdict::Warning),
        ("x.y", Verdict::Warning),
    ];
    for (release, verdict) in cases {
        let mut findings = findings();
        findings.host.kernel_release = release.to_owned();
        assert_eq!(
            find(&evaluate(&needs(1), &findings), "kernel").0,
            verdict,
            "{release}"
        );
    }
}

#[test]
fn tight_descriptors_and_memory_are_warned_of() {
    let mut findings = findings();
    findings.host.descriptors_max = Some(1024);
    let tight = Needs {
        connections_max: 990,
        memory_budget_bytes: 769 * MIB,
        ..needs(4)
    };
    let lines = evaluate(&tight, &findings);
    for topic in ["descriptors", "memory"] {
        assert_eq!(find(&lines, topic).0, Verdict::Warning, "{topic}");
    }
    findings.host.descriptors_max = None;
    let edge = Needs {
        memory_budget_bytes: 768 * MIB,
        ..needs(4)
    };
    let lines = evaluate(&edge, &findings);
    assert!(lines.iter().all(|line| line.verdict == Verdict::Ok), "{lines:?}");
    findings.host.cgroup_memory_bytes = Some(600 * MIB);
    let (verdict, text) = find(&evaluate(&needs(4), &findings), "memory");
    assert_eq!(verdict, Verdict::Warning);
    assert!(text.starts_with("512 MiB of the cgroup's 600 MiB;"), "{text}");
}
