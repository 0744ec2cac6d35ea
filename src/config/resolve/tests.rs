use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::inputs::Source;
use crate::config::{
    AccessSettings, AdminSettings, Around, ChannelSettings, CpuList, CpuQuota, EndpointSettings, Linger,
    ListenAddress, LogFormat, LogLevel, Needs, Options, QueueOptions, ReportFormat, ReportStream,
    ReportTarget, TaskSettings, Timeouts, Toolset, TransportKind, UnixMode,
};
use crate::units::{CpuId, ShardId, TimeLimit};

const MIB: u64 = 1 << 20;

fn host(cpus: usize, memory_mib: u64) -> Host {
    Host {
        cpus: (0..cpus).map(CpuId).collect(),
        cpu_quota: None,
        memory_bytes: memory_mib * MIB,
        cgroup_memory_bytes: None,
        descriptors_max: Some(20_000),
        memlock_bytes_max: Some(8 * MIB),
        is_memlock_exempt: false,
        kernel_release: "6.18.44".to_owned(),
        io_uring_disabled: 0,
    }
}

fn inputs(flags: &[(&'static str, &str)]) -> Inputs {
    let mut inputs = Inputs::new();
    for (name, text) in flags {
        inputs.insert(name, vec![(*text).to_owned()], Source::Flag);
    }
    inputs
}

fn settings(flags: &[(&'static str, &str)], host: &Host) -> Resolved {
    resolve(&inputs(flags), host, &Around::nothing()).unwrap_or_else(|errors| panic!("{flags:?}: {errors:?}"))
}

/// The effective value of an option.
fn shown<'a>(resolved: &'a Resolved, name: &str) -> &'a str {
    let row = resolved.effective.iter().find(|row| row.name == name);
    row.unwrap().value.as_str()
}

fn refusal(flags: &[(&'static str, &str)], host: &Host) -> Vec<String> {
    resolve(&inputs(flags), host, &Around::nothing())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let Resolved { settings, notes, .. } = settings(&[], &host(2, 4096));
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(
        settings
            .endpoints
            .listen
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["127.0.0.1:8080"]
    );
    assert!(!settings.endpoints.shares_port);
    let endpoints = EndpointSettings {
        transport: TransportKind::Http,
        listen: vec![ListenAddress::Internet("127.0.0.1:8080".parse().unwrap())],
        unix_mode: UnixMode(0o600),
        unix_owner: None,
        unix_peers: None,
        shares_port: false,
        paths: vec!["/mcp".to_owned()],
        has_health: false,
        admin: AdminSettings::IfFree("127.0.0.1:9464".parse().unwrap()),
    };
    assert_eq!(settings.endpoints, endpoints);
    let places: Vec<(ShardId, CpuId)> = settings.shards.iter().map(|at| (at.shard, at.cpu)).collect();
    assert_eq!(places, [(ShardId(0), CpuId(0)), (ShardId(1), CpuId(1))]);
    assert_eq!(
        (settings.sizes.handlers, settings.sizes.handler_buffer_bytes),
        (256, 16_384)
    );
    assert_eq!((settings.ring.buffers, settings.ring.buffer_bytes), (1024, 4096));
    assert_eq!(settings.run.busy_poll, None);
    assert_eq!(
        (
            settings.sizes.assembly_buffers,
            settings.sizes.assembly_buffer_bytes
        ),
        (256, 16_384)
    );
    assert_eq!(settings.memory.budget_bytes, 2048 * MIB);
    let seconds = Duration::from_secs;
    assert_eq!(settings.sizes.queue_depth_max, 512);
    let queue = QueueOptions {
        depth_max: Some(512),
        timeout: seconds(5),
        timeout_agent: Some(seconds(5)),
        steal: true,
        steal_reserve: Some(25),
        linger: Linger::None,
    };
    assert_eq!(settings.queue, queue);
    assert_eq!(settings.connections.per_ip, None);
    let timeouts = Timeouts {
        head: seconds(10),
        body: seconds(60),
        read: seconds(30),
        idle: TimeLimit::For(seconds(75)),
        write: seconds(30),
        call: seconds(60),
        ask: seconds(300),
        stream_after: seconds(10),
        keep_alive: seconds(15),
    };
    assert_eq!(settings.timeouts, timeouts);
    assert_eq!(settings.endpoints.transport, TransportKind::Http);
    let channels = ChannelSettings {
        websocket: true,
        websocket_timeout: seconds(60),
        in_flight_max: 64,
        sse_legacy: false,
    };
    assert_eq!(settings.channels, channels);
    let tasks = TaskSettings {
        tasks_max: 4096,
        per_client_max: 256,
        ttl_given: Some(seconds(900)),
        ttl_max: seconds(86_400),
    };
    assert_eq!(settings.tasks, tasks);
    assert_eq!(settings.tasks.ttl(), seconds(900));
    assert_eq!(
        (settings.http.head_bytes_max, settings.http.body_bytes_max),
        (32 << 10, 4 << 20)
    );
    // 20,000 less 16 for the process, 2 shards x 12 and 2 workers x 4.
    assert_eq!(settings.connections.limit(), 19_952);
    assert_eq!(settings.access, AccessSettings::default());
    assert_eq!(settings.session.key_file, None);
    assert_eq!(settings.session.max_age, seconds(86_400));
    assert!(!settings.session.is_required);
    assert_eq!(
        (
            settings.workers.options.thread_count(),
            settings.workers.queue_depth_max
        ),
        (2, 128)
    );
    assert_eq!(settings.workers.cpus, []);
    assert_eq!(settings.toolsets.names, [Toolset::Files]);
    assert_eq!(settings.toolsets.root, PathBuf::from("."));
    assert!(settings.executor.is_pinned);
    assert_eq!(settings.machine.cpus, Some(CpuList(vec![CpuId(0), CpuId(1)])));
    assert_eq!(settings.shards.len(), 2);
    assert_eq!(
        (settings.sizes.handlers, settings.sizes.queue_depth_max),
        (256, 512)
    );
    assert_eq!(settings.connections.limit(), 19_952);
    assert_eq!(settings.memory.budget_bytes, 2048 * MIB);
    assert_eq!(settings.run.drain_timeout, seconds(10));
    assert_eq!(settings.output.report(), ReportTarget::Stream(ReportFormat::Text));
    assert_eq!(settings.report_stream, ReportStream::Stdout);
    assert_eq!(
        (settings.output.log_level, settings.output.log_format),
        (LogLevel::Info, LogFormat::Text)
    );
}

#[test]
fn a_path_may_be_no_other_endpoints() {
    let refused = |path: &str, name: &'static str| refusal(&[("path", path), (name, "on")], &host(1, 4096));
    for (path, name) in [
        ("/sse", "sse-legacy"),
        ("/messages", "sse-legacy"),
        ("/messages/", "sse-legacy"),
        ("/healthz", "health"),
        ("/readyz/", "health"),
    ] {
        let own = path.trim_end_matches('/');
        let text = format!(
            "path = {own}, but {name} = on serves something else there; choose another --path, or --{name} off"
        );
        assert_eq!(refused(path, name), [text]);
        // While the option is off, the path is free.
        settings(&[("path", path)], &host(1, 4096));
    }
    settings(
        &[("path", "/"), ("sse-legacy", "on"), ("health", "on")],
        &host(1, 4096),
    );
}

#[test]
fn paths_are_all_served_and_none_twice() {
    let mut several = Inputs::new();
    let texts = ["/mcp", "/", "/api/mcp/"].map(str::to_owned);
    several.insert("path", texts.to_vec(), Source::Flag);
    let resolved = resolve(&several, &host(1, 4096), &Around::nothing()).unwrap();
    assert_eq!(resolved.settings.endpoints.paths, ["/mcp", "/", "/api/mcp"]);
    several.insert(
        "path",
        ["/mcp", "/mcp/"].map(str::to_owned).to_vec(),
        Source::Flag,
    );
    let text = resolve(&several, &host(1, 4096), &Around::nothing()).unwrap_err()[0].to_string();
    assert_eq!(text, "path = /mcp/ (from --path) is given twice; give it once");
}

#[test]
fn every_option_changes_the_settings() {
    let changed = [
        ("transport", "stdio"),
        ("listen", "127.0.0.1:1"),
        ("unix-mode", "0660"),
        ("unix-owner", "root:root"),
        ("unix-peers", "0,www-data"),
        ("reuse-port", "on"),
        ("path", "/"),
        ("health", "on"),
        ("admin", "off"),
        ("toolset", "demo"),
        ("root", "/srv"),
        ("tool", "echo:concurrency=1,queue=0,timeout=1s"),
        ("files-read-max", "1MiB"),
        ("files-search-max", "1MiB"),
        ("shards", "1"),
        ("cpus", "1"),
        ("pool-size", "8"),
        ("buffer-size", "8KiB"),
        ("ring-buffers", "8"),
        ("assembly-buffers", "8"),
        ("memory-max", "1GiB"),
        ("prefault", "on"),
        ("queue-depth", "0"),
        ("queue-timeout", "1s"),
        ("queue-timeout-agent", "1s"),
        ("steal", "off"),
        ("steal-reserve", "1"),
        ("linger", "forever"),
        ("connections-max", "8"),
        ("connections-per-ip", "8"),
        ("head-max", "8KiB"),
        ("body-max", "8KiB"),
        ("head-timeout", "1s"),
        ("body-timeout", "1s"),
        ("read-timeout", "1s"),
        ("idle-timeout", "forever"),
        ("write-timeout", "1s"),
        ("call-timeout", "1s"),
        ("ask-timeout", "1s"),
        ("stream-after", "1s"),
        ("stream-keep-alive", "1s"),
        ("websocket", "off"),
        ("websocket-timeout", "1s"),
        ("in-flight-per-connection", "1"),
        ("sse-legacy", "on"),
        ("tasks-max", "0"),
        ("tasks-per-client-max", "1"),
        ("task-ttl", "1s"),
        ("task-ttl-max", "1h"),
        ("drain-timeout", "0s"),
        ("busy-poll", "0s"),
        ("allow-origin", "*"),
        ("allow-host", "mcp.example"),
        ("session-key-file", "key"),
        ("session-max-age", "1h"),
        ("require-session", "true"),
        ("workers", "1"),
        ("worker-queue", "1"),
        ("tokio-threads", "3"),
        ("report", "none"),
        ("access-log", "all"),
        ("log-level", "debug"),
        ("log-format", "json"),
        ("starts-max", "1"),
        ("flight-recorder", "flights"),
    ];
    // Those of other programs go together, in the test below.
    assert_eq!(changed.len() + 3, Options::specs().count());
    let host = host(2, 4096);
    let plain = settings(&[], &host).settings;
    for (name, text) in changed {
        let resolved = settings(&[(name, text)], &host);
        assert_ne!(resolved.settings, plain, "{name}");
        let effective = resolved.effective.iter().find(|row| row.name == name).unwrap();
        assert_eq!(
            (effective.name, effective.value.as_str(), effective.source),
            (name, text, Source::Flag)
        );
    }
}

/// Servers of a file, of a machine with a file `servers.json`.
fn with_programs(flags: &[(&'static str, &str)], cpus: usize) -> Result<Resolved, Vec<ConfigError>> {
    let around = Around {
        directory: std::path::Path::new("/work"),
        variable: &|_| None,
        read: &|path| match path.to_str() {
            Some("/work/servers.json") => Ok(r#"{"mcpServers":{"a":{"command":"x"}}}"#.to_owned()),
            _ => Err(std::io::Error::other("no such file")),
        },
    };
    resolve(&inputs(flags), &host(cpus, 4096), &around)
}

#[test]
fn other_programs_are_named_by_a_command_line_or_a_file() {
    let named = |flags: &[(&'static str, &str)]| with_programs(flags, 8).unwrap();
    let of_line = named(&[("stdio", "npx -y thing"), ("pool", "mode=shared,max=3")]);
    let [server] = &of_line.settings.children.servers[..] else {
        panic!("{of_line:?}");
    };
    assert_eq!((server.name.as_str(), server.pool.max), ("thing", Some(3)));
    assert_eq!(shown(&of_line, "pool"), "mode=shared,max=3");
    let of_file = named(&[("mcp-json", "servers.json"), ("pool", "mode=shared")]);
    assert_eq!(of_file.settings.children.servers[0].name, "a");
    let both = |line| {
        let flags = [
            ("stdio", line),
            ("mcp-json", "servers.json"),
            ("pool", "mode=shared"),
        ];
        with_programs(&flags, 8)
    };
    let servers = both("x").unwrap().settings.children.servers;
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["x", "a"]);
    let alike = both("a").unwrap_err();
    let said = alike[0].to_string();
    assert!(said.starts_with("two servers are called `a`"), "{said}");
    let refused = |flags: &[(&'static str, &str)]| with_programs(flags, 8).unwrap_err();
    // Each client has a child of its own unless the pool says otherwise.
    assert!(with_programs(&[("stdio", "x")], 8).is_ok());
    let with_faults = refused(&[("mcp-json", "no.json"), ("pool-size", "0")]);
    assert_eq!(with_faults.len(), 2, "{with_faults:?}");
}

#[test]
fn other_programs_take_the_place_of_the_default_toolset_and_three_quarters_of_the_cpus() {
    const SHARED: (&str, &str) = ("pool", "mode=shared");
    let served = |cpus, more: &[(&'static str, &str)]| {
        let resolved = with_programs(&[&[("stdio", "x"), SHARED], more].concat(), cpus).unwrap();
        let settings = &resolved.settings;
        let children = &settings.children;
        assert!(!shown(&resolved, "toolset").is_empty());
        (
            settings.toolsets.names.len(),
            settings.shards.len(),
            children.cpus.iter().map(|cpu| cpu.0).collect::<Vec<_>>(),
            children.cpu_count,
        )
    };
    assert_eq!(served(8, &[]), (0, 2, vec![2, 3, 4, 5, 6, 7], 6));
    assert_eq!(served(3, &[]), (0, 1, vec![1, 2], 2));
    assert_eq!(served(2, &[]), (0, 1, vec![], 2), "everything shares two");
    assert_eq!(served(1, &[]), (0, 1, vec![], 1));
    assert_eq!(served(8, &[("shards", "4")]), (0, 4, vec![4, 5, 6, 7], 4));
    assert_eq!(
        served(8, &[("toolset", "demo")]),
        (1, 8, vec![], 8),
        "it serves beside them"
    );
    let plain = with_programs(&[], 8).unwrap();
    assert_eq!(
        (plain.settings.toolsets.names.len(), plain.settings.shards.len()),
        (1, 8)
    );
    let over_stdio = with_programs(&[("stdio", "x"), SHARED, ("transport", "stdio")], 8).unwrap();
    assert_eq!(over_stdio.settings.shards.len(), 1);
}

#[test]
fn one_client_gets_a_report_only_if_it_was_asked_for() {
    let over_stdio = |report: &[(&'static str, &str)]| {
        let resolved = settings(&[&[("transport", "stdio")], report].concat(), &host(2, 4096));
        let shown = shown(&resolved, "report").to_owned();
        assert_eq!(resolved.settings.report_stream, ReportStream::Stderr);
        (resolved.settings.output.report(), shown)
    };
    let stream = ReportTarget::Stream;
    assert_eq!(over_stdio(&[]), (stream(ReportFormat::None), "none".to_owned()));
    for (text, format) in [
        ("text", stream(ReportFormat::Text)),
        ("json", stream(ReportFormat::Json)),
        ("none", stream(ReportFormat::None)),
        ("html:a b.html", ReportTarget::Page("a b.html".into())),
    ] {
        assert_eq!(over_stdio(&[("report", text)]), (format, text.to_owned()));
    }
    let over_http = settings(&[], &host(2, 4096));
    assert_eq!(shown(&over_http, "report"), "text");
}

#[test]
fn one_client_needs_no_port_and_little_of_the_machine() {
    let host = host(8, 4096);
    let resolved = settings(&[("transport", "stdio")], &host);
    let Resolved {
        settings: one, notes, ..
    } = &resolved;
    assert_eq!(*notes, Vec::<String>::new());
    assert_eq!(one.endpoints.transport, TransportKind::Stdio);
    assert_eq!(one.endpoints.admin, AdminSettings::Off);
    assert_eq!(one.shards.len(), 1);
    assert!(!one.executor.is_pinned);
    assert_eq!(
        (one.sizes.handlers, one.sizes.queue_depth_max, one.ring.buffers),
        (32, 64, 64)
    );
    assert_eq!(
        (one.workers.options.thread_count(), one.workers.cpus.as_slice()),
        (4, [].as_slice())
    );
    assert_eq!(one.connections.limit(), 1);
    let shown = |name: &str| shown(&resolved, name);
    assert_eq!((shown("admin"), shown("shards")), ("off", "1"));
    let locked = |settings: &Settings| Needs::of(settings).memlock_bytes_per_shard;
    let many = settings(&[], &host).settings;
    assert!(locked(one) < 256 << 10, "{} {}", locked(one), locked(&many));
}

#[test]
fn what_makes_no_sense_beside_one_client_is_said() {
    let stdio = ("transport", "stdio");
    let flags = [
        stdio,
        ("listen", "0.0.0.0:80"),
        ("admin", "127.0.0.1:0"),
        ("shards", "1"),
    ];
    let Resolved {
        settings: one, notes, ..
    } = settings(&flags, &host(2, 4096));
    let expected = "listen is given, but transport = stdio has no use for it; drop one of them";
    assert_eq!(notes, [expected]);
    assert!(matches!(one.endpoints.admin, AdminSettings::At(_)));
    assert_eq!(
        refusal(&[stdio, ("shards", "2")], &host(2, 4096)),
        ["shards = 2, but transport = stdio has one client, which one shard serves; drop --shards"]
    );
    let pinned = settings(&[stdio, ("cpus", "1")], &host(2, 4096)).settings;
    assert!(pinned.executor.is_pinned && pinned.shards[0].cpu == CpuId(1));
}

#[test]
fn tasks_are_kept_no_longer_than_the_most() {
    let ttl = |flags: &[(&'static str, &str)]| settings(flags, &host(2, 4096)).settings.tasks.ttl();
    assert_eq!(ttl(&[]), Duration::from_secs(900));
    assert_eq!(ttl(&[("task-ttl-max", "1m")]), Duration::from_secs(60));
    assert_eq!(
        refusal(&[("task-ttl-max", "1m"), ("task-ttl", "2m")], &host(2, 4096)),
        ["task-ttl = 2m, but task-ttl-max = 60s; lower --task-ttl or raise --task-ttl-max"]
    );
}

#[test]
fn derived_values_are_shown_as_they_came_out() {
    let resolved = settings(&[("cpus", "1,2,3"), ("shards", "2")], &host(4, 128));
    let shown = |name: &str| shown(&resolved, name);
    assert_eq!(shown("workers"), "4");
    assert_eq!(shown("memory-max"), "64MiB");
    assert_eq!(shown("pool-size"), "256");
    assert_eq!(shown("connections-max"), "8192");
    assert_eq!(shown("session-key-file"), "a random key");
    assert_eq!(resolved.settings.workers.cpus, [CpuId(0), CpuId(3)]);
}

#[test]
fn waiting_follows_what_was_said_of_it() {
    let seconds = Duration::from_secs;
    let of = |flags: &[(&'static str, &str)]| settings(flags, &host(2, 4096)).settings;
    let queue = of(&[("queue-timeout", "2s")]).queue;
    assert_eq!((queue.timeout, queue.agent_timeout()), (seconds(2), seconds(2)));
    let few = of(&[("queue-timeout-agent", "9s"), ("pool-size", "8")]);
    assert_eq!(
        (few.queue.timeout, few.queue.agent_timeout()),
        (seconds(5), seconds(9))
    );
    assert_eq!(few.sizes.queue_depth_max, 32, "no default queue is shorter");
    for (handlers, reserve) in [("1", 0), ("9", 0), ("10", 1), ("99", 9), ("1000", 100)] {
        assert_eq!(of(&[("pool-size", handlers)]).queue.reserve(), reserve);
    }
    let lingers = [
        ("0s", Linger::None),
        ("0ms", Linger::None),
        ("10ms", Linger::For(Duration::from_millis(10))),
        ("24h", Linger::For(seconds(86_400))),
        ("forever", Linger::Forever),
    ];
    for (text, linger) in lingers {
        assert_eq!(of(&[("linger", text)]).queue.linger, linger, "{text}");
    }
    let refused = refusal(&[("linger", "9ms")], &host(2, 4096));
    assert_eq!(
        refused,
        ["linger = 9ms (from --linger) is too small; the least is 10ms"]
    );
    let resolved = settings(&[("queue-timeout", "2s")], &host(2, 4096));
    assert_eq!(shown(&resolved, "queue-timeout-agent"), "2s");
}

#[test]
fn a_64_mib_cgroup_is_enough_for_the_defaults() {
    for cpus in [1, 2, 4] {
        let small = Host {
            cgroup_memory_bytes: Some(64 * MIB),
            ..host(cpus, 32_768)
        };
        let resolved = settings(&[], &small);
        assert_eq!(resolved.settings.memory.budget_bytes, 32 * MIB);
        assert!(resolved.settings.memory.fixed_bytes() <= 24 * MIB);
        let says_pool = resolved.notes.iter().any(|note| note.starts_with("pool-size = "));
        assert_eq!(
            says_pool,
            resolved.settings.sizes.handlers < 256,
            "{:?}",
            resolved.notes
        );
    }
}

#[test]
fn bodies_that_cannot_be_held_are_said() {
    let resolved = settings(&[("memory-max", "32MiB"), ("shards", "4")], &host(4, 4096));
    let note = resolved
        .notes
        .iter()
        .find(|note| note.starts_with("body-max = 4 MiB"))
        .unwrap();
    assert!(note.contains("larger ones get 503"), "{note}");
}

#[test]
fn impossible_values_are_refused_with_the_next_step() {
    let machine = host(2, 4096);
    let cases: [(&[(&'static str, &str)], &str); 8] = [
        (
            &[("listen", "unix:@weir")],
            "listen = unix:@weir has no file whose mode keeps other users out; name those who may connect, such as \
             --unix-peers $(id -u), or listen on a path",
        ),
        (
            &[("cpus", "0-3")],
            "cpus = 0-3, but this process may not use 2-3, only 0-1; change --cpus or widen the cpuset",
        ),
        (
            &[("memory-max", "5GiB")],
            "memory-max = 5 GiB, but there are only 4 GiB; lower --memory-max or raise the cgroup's limit",
        ),
        (
            &[("admin", "127.0.0.1:8080")],
            "listen and admin are both 127.0.0.1:8080; give one of them another port, or --admin off",
        ),
        (
            &[("connections-max", "19953")],
            "descriptors = 20000, but 48 are needed for 2 shards and 2 workers, and 19953 for connections; raise \
             the limit (`LimitNOFILE=` in the unit, `ulimit -n` in a shell) or lower --shards, --workers or \
             --connections-max",
        ),
        (
            &[("steal-reserve", "9"), ("pool-size", "8")],
            "steal-reserve = 9, but a shard has 8 handlers; lower --steal-reserve or raise --pool-size",
        ),
        (
            &[("pool-size", "65535"), ("memory-max", "64MiB")],
            "memory-max = 64 MiB, but at least ",
        ),
        (
            &[("pool-size", "0")],
            "pool-size = 0 (from --pool-size) is too small; the least is 1",
        ),
    ];
    for (flags, message) in cases {
        let refused = refusal(flags, &machine);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with(message), "{}", refused[0]);
    }
    settings(&[("connections-max", "19952")], &machine);
    settings(&[("memory-max", "4GiB")], &machine);
    settings(&[("admin", "127.0.0.1:0"), ("listen", "127.0.0.1:0")], &machine);
}

#[test]
fn few_descriptors_leave_few_connections_and_then_none() {
    let with = |descriptors| Host {
        descriptors_max: Some(descriptors),
        ..host(1, 4096)
    };
    // 16 for the process, 12 for a shard, 4 for a worker.
    assert_eq!(settings(&[], &with(64)).settings.connections.limit(), 32);
    assert_eq!(settings(&[], &with(33)).settings.connections.limit(), 1);
    assert!(refusal(&[], &with(32))[0].starts_with("descriptors = 32, but 32 are needed"));
    let unlimited = Host {
        descriptors_max: None,
        ..host(1, 4096)
    };
    // An eighth of 2 GiB holds as many entries of 1 KiB.
    assert_eq!(settings(&[], &unlimited).settings.connections.limit(), 262_144);
}

#[test]
fn a_cpu_quota_counts_for_shards_workers_and_pinning() {
    let under = |millis: u32, flags: &[(&'static str, &str)]| {
        let host = Host {
            cpu_quota: Some(CpuQuota { millis }),
            ..host(8, 4096)
        };
        settings(flags, &host)
    };
    // The columns are thousandths of a CPU, and shards and workers.
    for (millis, count) in [(500, 1), (1000, 1), (1999, 1), (2000, 2), (2500, 2), (7999, 7)] {
        let Resolved { settings, notes, .. } = under(millis, &[]);
        assert_eq!(settings.shards.len(), count, "{millis}");
        assert_eq!(settings.workers.options.thread_count(), count, "{millis}");
        assert!(!settings.executor.is_pinned);
        assert_eq!(settings.workers.cpus, []);
        assert_eq!(notes, Vec::<String>::new());
    }
    let stdio = under(2500, &[("transport", "stdio")]).settings;
    assert_eq!((stdio.shards.len(), stdio.workers.options.thread_count()), (1, 2));
    let Resolved { settings, notes, .. } = under(2500, &[("shards", "3"), ("workers", "5")]);
    assert_eq!(
        (settings.shards.len(), settings.workers.options.thread_count()),
        (3, 5)
    );
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("shards = 3, but the cgroup's quota is the time of 2.5 CPUs"),
        "{notes:?}"
    );
    // Named CPUs are used, and if they are fewer than the quota holds they are all there are.
    let named = under(2500, &[("cpus", "6")]).settings;
    assert!(named.executor.is_pinned);
    assert_eq!(named.shards.len(), 1);
    assert_eq!(named.shards[0].cpu, CpuId(6));
}

#[test]
fn the_default_budget_is_whole_mebibytes() {
    let host = Host {
        memory_bytes: 24_683_656 * 1024,
        ..host(2, 4096)
    };
    let resolved = settings(&[], &host);
    assert_eq!(shown(&resolved, "memory-max"), "12052MiB");
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place_in_the_order_of_the_table() {
    let file = "log-level = 'loud'\npool-size = 0\n";
    let mut inputs = Inputs::new();
    inputs.insert_file("/etc/weir.toml", file).unwrap();
    let refused = resolve(&inputs, &host(2, 4096), &Around::nothing()).unwrap_err();
    let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        told[0],
        "/etc/weir.toml:2:13: pool-size = 0 (from the file) is too small; the least is 1"
    );
    assert!(
        told[1].starts_with("/etc/weir.toml:1:13: log-level = loud"),
        "{told:?}"
    );
    assert_eq!(
        refused[0].excerpt(),
        ["  |", "2 | pool-size = 0", "  |             ^"]
    );
    // A flag takes precedence over the file, and so does its place.
    inputs.insert("pool-size", vec!["70000".to_owned()], Source::Flag);
    let refused = resolve(&inputs, &host(2, 4096), &Around::nothing()).unwrap_err();
    assert!(
        refused[0]
            .to_string()
            .starts_with("pool-size = 70000 (from --pool-size)")
    );
    assert!(refused[0].excerpt().is_empty());
}

#[test]
fn variables_that_are_no_options_are_noted_or_remarked_on() {
    let mut inputs = Inputs::new();
    let variables = [
        ("WEIR_POOLSIZE", "8"),
        ("WEIR_VERSION", "1"),
        ("WEIR_PORT", "tcp://10.0.0.7:80"),
    ];
    inputs.insert_environment(variables.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let Resolved { notes, remarks, .. } = resolve(&inputs, &host(2, 4096), &Around::nothing()).unwrap();
    assert!(
        notes.len() == 1 && notes[0].starts_with("WEIR_POOLSIZE is set"),
        "{notes:?}"
    );
    assert!(
        remarks.len() == 1 && remarks[0].starts_with("WEIR_VERSION is set"),
        "{remarks:?}"
    );
}

#[test]
fn all_errors_are_reported_in_the_order_of_the_table() {
    let refused = refusal(
        &[
            ("log-level", "loud"),
            ("listen", "x"),
            ("cpus", "7"),
            ("shards", "0"),
        ],
        &host(2, 4096),
    );
    let starts: Vec<&str> = refused.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(starts, ["listen", "shards", "log-level", "cpus"], "{refused:?}");
}

#[test]
fn what_may_surprise_is_said() {
    let notes = |flags: &[(&'static str, &str)]| settings(flags, &host(2, 4096)).notes;
    let cases: [(&[(&'static str, &str)], &str); 8] = [
        (
            &[("unix-mode", "0660")],
            "unix-mode is given, but no Unix socket is listened on; add --listen unix:PATH",
        ),
        (&[("shards", "3")], "shards = 3, but they may use 2 CPUs (0-1)"),
        (
            &[("listen", "0.0.0.0:80")],
            "listen = 0.0.0.0:80 is reachable from outside",
        ),
        (
            &[("steal-reserve", "8"), ("pool-size", "8")],
            "steal-reserve = 8 is the whole pool",
        ),
        (
            &[("steal-reserve", "8"), ("steal", "off")],
            "steal-reserve is given, but steal = off",
        ),
        (&[("pool-size", "600"), ("memory-max", "80MiB")], "queue-depth = "),
        (&[("root", "/srv"), ("toolset", "demo")], "root is given, but"),
        (
            &[("files-read-max", "1MiB"), ("toolset", "demo")],
            "files-read-max is given, but",
        ),
    ];
    for (flags, start) in cases {
        let said = notes(flags);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(start), "{}", said[0]);
    }
    assert!(notes(&[("listen", "0.0.0.0:80"), ("allow-host", "mcp.example")]).is_empty());
    assert!(notes(&[("listen", "[::1]:80")]).is_empty());
    assert!(notes(&[("listen", "unix:/run/weir.sock"), ("unix-mode", "0660")]).is_empty());
    assert!(notes(&[("listen", "unix:@weir"), ("unix-peers", "0,www-data")]).is_empty());
}
