//! `weir size`: the numbers for a pool, their arithmetic, and flags to paste.
//!
//! The arithmetic is in `config`; here it is put into words. The flags are tried on this machine, and the notes that
//! `serve` would have are printed.

use std::process::ExitCode;

use super::command;
use super::given::machine;
use super::terminal::{print_error, print_line, refuse};
use crate::config::{
    Around, Host, Inputs, Linger, Queue, SizeError, SizeRequest, Sizing, Source, WHICH_ADVICE, resolve, size,
};
use crate::units::{ByteSize, display_duration};

/// Prints how large a pool must be.
pub(super) fn run(given: &clap::ArgMatches) -> ExitCode {
    let host = match machine() {
        Ok(host) => host,
        Err(status) => return status,
    };
    let request = match SizeRequest::read(|name| command::size_text(given, name), &host) {
        Ok(request) => request,
        Err(errors) => return refuse(&errors),
    };
    load(&request).iter().for_each(|line| print_line(line));
    match size(&request) {
        Ok(sizing) => {
            lines(&sizing, &host).iter().for_each(|line| print_line(line));
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&refusal(&error));
            ExitCode::FAILURE
        }
    }
}

/// The load that the numbers are for, and the assumptions in it.
fn load(request: &SizeRequest) -> Vec<String> {
    if request.linger == Linger::Forever {
        let mut lines = vec!["linger: forever, so every client holds a handler, busy or not".to_owned()];
        if request.rate_given.is_some() || request.service_time_given.is_some() {
            lines.push("note: --rate and --service-time change nothing with --linger forever".to_owned());
        }
        return lines;
    }
    let mut lines = Vec::new();
    if request.rate_given.is_none() {
        lines.push(format!(
            "assumed: rate = {} requests/s, each client asks once a second; --rate changes it",
            request.rate_per_second()
        ));
    }
    if request.service_time_given.is_none() {
        lines.push(format!(
            "assumed: service time = {} from call to answer; --service-time changes it",
            display_duration(request.service_time())
        ));
    }
    if let Linger::For(time) = request.linger {
        lines.push(format!(
            "linger: {} adds no handlers, because it is cut short when others wait",
            display_duration(time)
        ));
    }
    lines
}

fn refusal(error: &SizeError) -> String {
    format!("does not fit: {error}")
}

fn lines(sizing: &Sizing, host: &Host) -> Vec<String> {
    let mut lines = arithmetic(sizing);
    lines.push(String::new());
    lines.push(command_line(sizing));
    lines.push(format!("note: {WHICH_ADVICE}"));
    lines.extend(said_by_serve(sizing, host));
    lines
}

/// Each number with its derivation.
fn arithmetic(sizing: &Sizing) -> Vec<String> {
    let Sizing { request, fit, .. } = sizing;
    let busy = match request.linger {
        Linger::Forever => format!("{} clients", sizing.busy),
        Linger::None | Linger::For(_) => format!(
            "{} requests/s x {} = {} in flight",
            request.rate_per_second(),
            display_duration(request.service_time()),
            sizing.busy
        ),
    };
    let is_least = u64::from(request.cores) > sizing.handlers_total;
    let least = if is_least { " (the least)" } else { "" };
    let capped = if sizing.is_connections_capped() {
        ", but no more than"
    } else {
        " ="
    };
    let mut lines = vec![
        format!(
            "handlers: {busy}, / 0.75 = {} (a quarter stays free; every step rounds up)",
            sizing.handlers_total
        ),
        if request.pool_size_given.is_some() {
            format!("pool per core: {}, as given", fit.handlers)
        } else {
            format!(
                "pool per core: {} / {} cores = {}{least}",
                sizing.handlers_total, request.cores, fit.handlers
            )
        },
        format!(
            "queue depth per core: 2 x {}, at least 32 = {}",
            fit.handlers, fit.queue_depth
        ),
        format!(
            "connections: {} clients / 0.75{capped} {}",
            request.peak_clients, sizing.connections
        ),
        format!("descriptors: {}", sizing.descriptors),
        format!("memory: {}", fit.plan),
        format!(
            "of the run time: {} per core for large bodies, and over all {} for streams and sessions, {} for tasks",
            ByteSize(fit.plan.heap_bytes_per_shard()).rounded(),
            ByteSize(fit.plan.live_bytes()).rounded(),
            ByteSize(fit.plan.task_bytes()).rounded(),
        ),
        format!(
            "which must fit into: {}",
            ByteSize(request.budget_bytes).rounded()
        ),
    ];
    lines.extend(sizing.queue().map(|queue| predicted(&queue)));
    lines.extend(tightness(sizing));
    lines
}

/// What queueing theory expects of the pool.
fn predicted(queue: &Queue) -> String {
    let time = |seconds: f64| match seconds {
        seconds if seconds < 5e-6 => "0 ms".to_owned(),
        seconds if seconds < 0.1 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    };
    let Some(waits) = queue.waits() else {
        return format!(
            "predicted: {:.1} calls in flight are more than {} handlers serve, so the queue grows until calls are refused",
            queue.busy(),
            queue.servers
        );
    };
    format!(
        "predicted: {:.0} % of the handlers busy; {:.1} % of calls wait, {} on average over all calls, and 99 of 100 no longer \
         than {} (if their times vary by {} times the average; --service-cv)",
        waits.utilization * 100.0,
        waits.waiting * 100.0,
        time(waits.mean),
        time(waits.p99),
        queue.service_cv
    )
}

/// The sizes that are smaller than they should be, if any are.
fn tightness(sizing: &Sizing) -> Option<String> {
    let plan = &sizing.fit.plan;
    (plan.budget_bytes < sizing.budget_wanted_bytes).then(|| {
        format!(
            "note: to fit, a core has {} ring buffers, {} assembly buffers and {} for run time; {} would shrink none of \
             them",
            sizing.fit.ring_buffers,
            sizing.fit.assembly_buffers,
            ByteSize(plan.runtime_bytes_per_shard).rounded(),
            ByteSize(sizing.budget_wanted_bytes)
        )
    })
}

fn command_line(sizing: &Sizing) -> String {
    let mut line = "weir serve".to_owned();
    for (name, text) in sizing.flags() {
        line.push_str(&format!(" --{name} {text}"));
    }
    line
}

/// The notes and refusals that `serve` would have for these flags here. They may be meant for another machine.
fn said_by_serve(sizing: &Sizing, host: &Host) -> Vec<String> {
    let mut inputs = Inputs::new();
    for (name, text) in sizing.flags() {
        inputs.insert(name, vec![text], Source::Flag);
    }
    match Around::this_process(|around| resolve(&inputs, host, &around)) {
        Ok(resolved) => resolved
            .notes
            .iter()
            .map(|note| format!("note: on this machine {note}"))
            .collect(),
        Err(errors) => errors
            .iter()
            .map(|error| format!("note: not on this machine as it is: {error}"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::CpuId;

    fn host(memory_mib: u64, descriptors: u64) -> Host {
        Host {
            cpus: (0..2).map(CpuId).collect(),
            cpu_quota: None,
            memory_bytes: memory_mib << 20,
            cgroup_memory_bytes: None,
            descriptors_max: Some(descriptors),
            memlock_bytes_max: None,
            is_memlock_exempt: true,
            kernel_release: "6.18.44".to_owned(),
            io_uring_disabled: 0,
        }
    }

    fn request(flags: &[(&str, &str)], host: &Host) -> SizeRequest {
        let given = |name: &str| {
            let found = flags.iter().find(|(flag, _)| *flag == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        SizeRequest::read(given, host).unwrap()
    }

    fn told(flags: &[(&str, &str)], host: &Host) -> Vec<String> {
        let request = request(flags, host);
        let mut told = load(&request);
        told.extend(lines(&size(&request).unwrap(), host));
        told
    }

    #[test]
    fn leases_are_told_with_assumptions_arithmetic_and_flags() {
        let told = told(&[("peak-clients", "750")], &host(4096, 20_000));
        assert_eq!(
            told[..7],
            [
                "assumed: rate = 750 requests/s, each client asks once a second; --rate changes it",
                "assumed: service time = 100ms from call to answer; --service-time changes it",
                "handlers: 750 requests/s x 100ms = 75 in flight, / 0.75 = 100 (a quarter stays free; every step rounds up)",
                "pool per core: 100 / 2 cores = 50",
                "queue depth per core: 2 x 50, at least 32 = 100",
                "connections: 750 clients / 0.75 = 1000",
                "descriptors: 1048 = process 16 + 2 shards x 12 + 2 workers x 4 + 1000 connections",
            ]
        );
        assert!(told[7].starts_with("memory: 34 MiB = process 6.2 MiB + connection table 1000 KiB + 2 x"));
        assert_eq!(
            told[8..],
            [
                "of the run time: 4.3 MiB per core for large bodies, and over all 2.1 MiB \
                 for streams and sessions, 746 KiB for tasks",
                "which must fit into: 2 GiB",
                "predicted: 75 % of the handlers busy; 0.4 % of calls wait, 0.01 ms on average over all calls, and 99 of \
                 100 no longer than 0 ms (if their times vary by 1 times the average; --service-cv)",
                "",
                "weir serve --shards 2 --pool-size 50 --memory-max 34MiB --queue-depth 100 --linger 0s \
                 --connections-max 1000 --workers 2",
                format!("note: {WHICH_ADVICE}").as_str(),
            ]
        );
    }

    #[test]
    fn what_is_known_is_not_assumed() {
        let told = told(
            &[
                ("peak-clients", "2"),
                ("rate", "30"),
                ("service-time", "2s"),
                ("linger", "500ms"),
                ("cores", "1"),
            ],
            &host(4096, 20_000),
        );
        assert_eq!(
            told[..3],
            [
                "linger: 500ms adds no handlers, because it is cut short when others wait",
                "handlers: 30 requests/s x 2s = 60 in flight, / 0.75 = 80 (a quarter stays free; every step rounds up)",
                "pool per core: 80 / 1 cores = 80",
            ]
        );
    }

    #[test]
    fn a_pool_that_is_there_is_asked_about() {
        let flags = [
            ("peak-clients", "100"),
            ("cores", "1"),
            ("rate", "720"),
            ("service-time", "20ms"),
        ];
        let asked = |more: &[(&'static str, &'static str)]| {
            let told = told(&[&flags, more].concat(), &host(4096, 20_000));
            let predicted = told.iter().find(|line| line.starts_with("predicted: "));
            assert!(told.iter().any(|line| line.contains("--pool-size 16 ")) || more.len() < 2);
            predicted.unwrap().clone()
        };
        let pool = ("pool-size", "16");
        let exponential = asked(&[pool, ("service-cv", "1")]);
        assert!(
            exponential.contains("90 % of the handlers busy; 59.1 % of calls wait"),
            "{exponential}"
        );
        let constant = asked(&[pool, ("service-cv", "0")]);
        assert_ne!(exponential, constant);
        let full = asked(&[("pool-size", "14")]);
        assert!(
            full.contains("14.4 calls in flight are more than 14 handlers serve"),
            "{full}"
        );
    }

    #[test]
    fn the_classic_pool_holds_every_client() {
        let flags = [("peak-clients", "3"), ("linger", "forever"), ("rate", "9")];
        let told = told(&flags, &host(4096, 20_000));
        assert_eq!(
            told[..4],
            [
                "linger: forever, so every client holds a handler, busy or not",
                "note: --rate and --service-time change nothing with --linger forever",
                "handlers: 3 clients, / 0.75 = 4 (a quarter stays free; every step rounds up)",
                "pool per core: 4 / 2 cores = 2",
            ]
        );
    }

    #[test]
    fn what_serve_would_say_here_is_said() {
        let small = host(4096, 64);
        let descriptors = told(&[("peak-clients", "750")], &small);
        assert!(
            descriptors
                .last()
                .unwrap()
                .starts_with("note: not on this machine as it is: descriptors = 64, but "),
            "{descriptors:?}"
        );
        let large = [
            ("peak-clients", "10000"),
            ("linger", "forever"),
            ("memory", "1TiB"),
        ];
        let memory = told(&large, &host(64, 1_000_000));
        assert!(
            memory
                .last()
                .unwrap()
                .starts_with("note: not on this machine as it is: memory-max = "),
            "{memory:?}"
        );
        let cores = told(&[("peak-clients", "1"), ("cores", "4")], &host(4096, 20_000));
        assert!(cores.contains(&"pool per core: 2 / 4 cores = 1 (the least)".to_owned()));
        assert!(
            cores
                .last()
                .unwrap()
                .starts_with("note: on this machine shards = 4, but "),
            "{cores:?}"
        );
        let tight = told(
            &[("peak-clients", "750"), ("memory", "24MiB")],
            &host(4096, 20_000),
        );
        assert!(
            tight
                .iter()
                .any(|line| line.starts_with("note: to fit, a core has 256 ring buffers, 50 assembly ")),
            "{tight:?}"
        );
    }
}
