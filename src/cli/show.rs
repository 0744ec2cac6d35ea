//! `weir check`: what a configuration file means, or a file of other programs to serve, or a command line.

use std::process::ExitCode;

use super::command;
use super::given::{insert_flags, resolved};
use super::terminal::{print_line, refuse};
use crate::config::{
    ChildServer, ChildSettings, Inputs, Needs, Resolved, Settings, Source, TransportKind, display_cpu_list,
    joined, name_prefix, uri_prefix,
};
use crate::units::{ByteSize, CpuId};

/// Prints what a file or a program means; the environment's options are not considered, and nothing is started.
pub(super) fn check(given: &clap::ArgMatches) -> ExitCode {
    let mut inputs = Inputs::new();
    match command::file_argument(given) {
        // Clients name such files so, and their settings have other endings.
        Some(path) if path.ends_with(".json") => {
            inputs.insert("mcp-json", vec![path.to_owned()], Source::Flag);
        }
        Some(path) => {
            if let Err(errors) = inputs.read_file(path) {
                return refuse(&errors);
            }
        }
        None => {}
    }
    insert_flags(&mut inputs, given);
    match resolved(&inputs) {
        Ok(resolved) => {
            lines(&resolved).iter().for_each(|line| print_line(line));
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

/// Every option with its value and source, then the plan, then notes on settings that may surprise.
fn lines(resolved: &Resolved) -> Vec<String> {
    let width =
        |text: fn(&crate::config::Effective) -> usize| resolved.effective.iter().map(text).max().unwrap_or(0);
    let (names, values) = (width(|row| row.name.len()), width(|row| row.value.len()));
    let rows = resolved
        .effective
        .iter()
        .map(|row| format!("{:names$}  {:values$}  {}", row.name, row.value, row.source));
    let notes = resolved.notes.iter().map(|note| format!("note: {note}"));
    rows.chain([String::new()])
        .chain(plan(&resolved.settings))
        .chain(notes)
        .collect()
}

fn plan(settings: &Settings) -> Vec<String> {
    let places = if settings.executor.is_pinned {
        settings
            .shards
            .iter()
            .map(|place| format!("{} on CPU {}", place.shard, place.cpu))
            .collect::<Vec<_>>()
            .join(", ")
    } else {
        format!("{} on any CPU", settings.shards.len())
    };
    let workers = &settings.workers;
    let needs = Needs::of(settings);
    let mut plan = vec![
        format!("shards: {places}"),
        format!(
            "workers: {} {}, {} calls may wait",
            workers.options.thread_count(),
            worker_place(&workers.cpus),
            workers.queue_depth_max
        ),
        format!("memory: {}", settings.memory),
        format!(
            "locked memory: {} x {} without CAP_IPC_LOCK",
            needs.shards,
            ByteSize(needs.memlock_bytes_per_shard).rounded()
        ),
    ];
    let children = &settings.children;
    plan.extend(children.servers.iter().map(|server| child_line(server, children)));
    if settings.endpoints.transport == TransportKind::Http {
        plan.extend(children.servers.iter().map(endpoint_line));
    }
    if children.servers.len() > 1 {
        plan.extend(children.servers.iter().map(merged_line));
        plan.push(MERGED_RULE.to_owned());
    }
    plan
}

/// The names of tools are known only when their servers run.
const MERGED_RULE: &str = "names of more than 64 characters, or with others than A-Z a-z 0-9 _ -, are cut and end in eight \
                           characters that are always the same for them; URIs of ui: become ui://SERVER/…";

/// Where one server is served alone.
fn endpoint_line(server: &ChildServer) -> String {
    format!("server {} alone: {}/mcp", server.name, server.path_base())
}

/// What the names of a server are among those of others.
fn merged_line(server: &ChildServer) -> String {
    let (name, uri) = (name_prefix(&server.name), uri_prefix(&server.name));
    format!(
        "server {} among others: tools and prompts {name}__NAME, resources {uri}+URI",
        server.name
    )
}

/// What would be started for one server. Values of variables may be secrets, so only their names are shown.
fn child_line(server: &ChildServer, children: &ChildSettings) -> String {
    let words = std::iter::once(&server.command).chain(&server.args);
    let words: Vec<String> = words.cloned().collect();
    // A file's words may have a NUL, and any control character.
    let command = joined(&words).unwrap_or_else(|_| words.join(" "));
    let command = command.chars().map(|c| match c {
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    });
    let command: String = command.collect();
    let variables: Vec<&str> = server.env.keys().map(String::as_str).collect();
    let with = if variables.is_empty() {
        String::new()
    } else {
        format!(", with {}", variables.join(", "))
    };
    let directory = server.cwd.as_ref();
    let directory = directory.map_or_else(String::new, |cwd| format!(", in {}", cwd.display()));
    format!(
        "server {}: {command}{with}{directory}; {} to {} of them, {} calls at a time each, {}",
        server.name,
        server.pool.min_idle,
        server.pool.max(children.cpu_count),
        server.pool.in_flight_max(),
        worker_place(&children.cpus)
    )
}

fn worker_place(cpus: &[CpuId]) -> String {
    if cpus.is_empty() {
        "on any CPU".to_owned()
    } else {
        format!("on CPUs {}", display_cpu_list(cpus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Around, CpuQuota, Host, resolve};

    fn host() -> Host {
        Host {
            cpus: (0..4).map(CpuId).collect(),
            cpu_quota: None,
            memory_bytes: 4 << 30,
            cgroup_memory_bytes: None,
            descriptors_max: Some(20_000),
            memlock_bytes_max: Some(8 << 20),
            is_memlock_exempt: false,
            kernel_release: "6.18.44".to_owned(),
            io_uring_disabled: 0,
        }
    }

    #[test]
    fn a_file_is_told_with_sources_plan_and_notes() {
        let mut inputs = Inputs::new();
        inputs
            .insert_file(
                "weir.toml",
                "shards = 2\nlisten = '0.0.0.0:80'\ntoolset = ['demo', 'files']",
            )
            .unwrap();
        let told = lines(&resolve(&inputs, &host(), &Around::nothing()).unwrap());
        let is_told = |start: &str, end: &str| {
            let found = told
                .iter()
                .any(|line| line.starts_with(start) && line.ends_with(end));
            assert!(found, "{start} … {end}: {told:#?}");
        };
        is_told("listen                    0.0.0.0:80 ", " file");
        is_told("toolset                   demo, files ", " file");
        is_told("head-timeout              10s ", " default");
        is_told("shards: 0 on CPU 0, 1 on CPU 1", "");
        is_told("workers: 4 on CPUs 2-3, 256 calls may wait", "");
        is_told(
            "memory: 2 GiB = process 6.5 MiB + connection table 19.4 MiB + 2 x (executor",
            ")",
        );
        is_told("locked memory: 2 x 456 KiB", "");
        is_told("note: listen = 0.0.0.0:80 is reachable from outside", "");
    }

    #[test]
    fn a_program_is_told_as_a_shell_would_take_it() {
        let mut inputs = Inputs::new();
        let line = "npx -y 'a b' \"it's\" 'c\td'";
        inputs.insert("stdio", vec![line.to_owned()], crate::config::Source::Flag);
        inputs.insert(
            "pool",
            vec!["mode=shared".to_owned()],
            crate::config::Source::Flag,
        );
        let told = lines(&resolve(&inputs, &host(), &Around::nothing()).unwrap());
        let told = told.iter().find(|line| line.starts_with("server ")).unwrap();
        assert!(
            told.starts_with(r#"server a-b: npx -y 'a b' "it's" 'c\td'; "#),
            "{told}"
        );
    }

    #[test]
    fn shards_under_a_quota_go_anywhere() {
        let host = Host {
            cpu_quota: Some(CpuQuota { millis: 2500 }),
            ..host()
        };
        let resolved = resolve(&Inputs::new(), &host, &Around::nothing()).unwrap();
        assert_eq!(plan(&resolved.settings)[0], "shards: 2 on any CPU");
    }

    #[test]
    fn workers_without_cpus_of_their_own_go_anywhere() {
        let resolved = resolve(&Inputs::new(), &host(), &Around::nothing()).unwrap();
        let told = plan(&resolved.settings);
        assert_eq!(told[1], "workers: 4 on any CPU, 256 calls may wait");
    }
}
