//! The `weir` command from outside: exit statuses, and what is written to stdout and stderr. No server is started.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

fn weir(arguments: &[&str]) -> Output {
    command(WEIR).args(arguments).output().unwrap()
}

/// A program that does not see the options in the environment of the tests.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"WEIR_") {
            command.env_remove(name);
        }
    }
    command
}

/// The command under a shell's limits or redirections.
fn shell(script: &str) -> Output {
    let script = script.replace("WEIR ", &format!("{WEIR} "));
    command("sh").args(["-c", &script]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A file that is removed when the test ends.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weir-command-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn version_and_help_are_answers() {
    let version = weir(&["--version"]);
    assert!(version.status.success());
    assert_eq!(
        text(&version.stdout),
        format!("weir {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(text(&weir(&["serve", "--help"]).stdout).contains("--pool-size"));
}

#[test]
fn a_file_is_checked_without_the_environment() {
    let file = File::new("good.toml", "pool-size = 8\ntoolset = ['demo']\n");
    let checked = command(WEIR)
        .args(["check", file.path()])
        .env("WEIR_POOL_SIZE", "9")
        .output()
        .unwrap();
    assert!(checked.status.success());
    let told = text(&checked.stdout);
    let is_told = |name: &str, value: &str, source: &str| {
        told.lines()
            .any(|line| line.split_whitespace().eq([name, value, source]))
    };
    assert!(is_told("pool-size", "8", "file"), "{told}");
    assert!(is_told("head-timeout", "10s", "default"), "{told}");
    assert!(told.contains("\nmemory: "), "{told}");
    assert_eq!(text(&checked.stderr), "");
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_with_its_line_and_a_caret() {
    let file = File::new(
        "bad.toml",
        "pool_size = 8\n\"a\\nb\" = 1\n[serve]\nhead-max = '8KiB'\n",
    );
    let path = file.path();
    let checked = weir(&["check", path]);
    assert_eq!(checked.status.code(), Some(2));
    assert_eq!(text(&checked.stdout), "");
    let expected = format!(
        "weir: {path}:1:1: unknown key `pool_size`; did you mean `pool-size`?\n  \
           |\n1 | pool_size = 8\n  | ^^^^^^^^^\n\
         weir: {path}:2:1: unknown key `a\\nb`; `weir serve --help` lists all of them\n  \
           |\n2 | \"a\\nb\" = 1\n  | ^^^^^^\n\
         weir: {path}:3:2: `serve` is a table, but options stand at the top of the file, in no table; drop the line \
         `[serve]`\n  \
           |\n3 | [serve]\n  |  ^^^^^\n"
    );
    assert_eq!(text(&checked.stderr), expected);

    let file = File::new("broken.toml", "workers = 1\npool-size = = 8\n");
    let path = file.path();
    for arguments in [
        ["check"].as_slice(),
        &["serve", "--config"],
        &["doctor", "--config"],
    ] {
        let refused = weir(&[arguments, &[path]].concat());
        assert_eq!(refused.status.code(), Some(2));
        let said: Vec<&str> = text(&refused.stderr).lines().collect();
        assert!(
            said[0].starts_with(&format!("weir: {path}:2:13: not TOML: ")),
            "{said:?}"
        );
        assert_eq!(said[1..], ["  |", "2 | pool-size = = 8", "  |             ^"]);
    }
    let file = File::new("value.toml", "\tsteal = 'yes'\n");
    let refused = weir(&["check", file.path()]);
    let said: Vec<&str> = text(&refused.stderr).lines().collect();
    assert_eq!(
        said[0],
        format!(
            "weir: {}:1:10: steal = yes (from the file) is not one of on, off",
            file.path()
        )
    );
    assert_eq!(said[1..], ["  |", "1 |  steal = 'yes'", "  |          ^^^^^"]);

    let missing = weir(&["check", "/nonexistent/weir.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).starts_with("weir: cannot read /nonexistent/weir.toml: "));
    let latin = File::new("latin.toml", "");
    std::fs::write(&latin.0, b"# one\n# caf\xe9\n").unwrap();
    let said = weir(&["check", latin.path()]);
    assert!(text(&said.stderr).contains("line 2 is not UTF-8"), "{said:?}");
    let marked = File::new("marked.toml", "\u{feff}steal = true\n");
    assert!(weir(&["check", marked.path()]).status.success());
}

#[test]
fn limits_of_tools_are_checked_against_the_tools_that_there_are() {
    let file = File::new(
        "tools.toml",
        "toolset = 'demo'\n[tool.sleep]\nconcurrency = 4\ntimeout = '5s'\n",
    );
    let checked = weir(&["check", file.path()]);
    assert!(checked.status.success(), "{checked:?}");
    let told = text(&checked.stdout);
    let said = told.lines().find(|line| line.starts_with("tool ")).unwrap();
    assert!(said.contains("sleep:concurrency=4,timeout=5s"), "{said}");
    let file = File::new(
        "no-tools.toml",
        "toolset = 'demo'\n[tool.slep]\nconcurrency = 4\n",
    );
    let refused = weir(&["check", file.path()]);
    assert!(!refused.status.success());
    let refusal = text(&refused.stderr);
    assert!(refusal.ends_with("did you mean `sleep`?\n"), "{refusal}");
    let demo = ["--toolset", "demo", "--tool"];
    for command in ["doctor", "serve"] {
        for (limits, refusal) in [
            (
                "slep:concurrency=4",
                "weir: tool = slep:concurrency=4: this process has no tool `slep`; did you mean `sleep`?",
            ),
            (
                "sleep:queue=4",
                "weir: tool = sleep:queue=4: `queue` is how many calls wait for `concurrency`, which this tool does not \
                 have; add it",
            ),
            (
                "sleep:concurrency=many",
                "weir: tool = sleep:concurrency=many (from --tool) is not a whole number; write one from 1 to 65535",
            ),
        ] {
            let refused = weir(&[&[command], &demo[..], &[limits]].concat());
            assert!(!refused.status.success());
            assert_eq!(text(&refused.stderr).trim_end(), refusal, "{command}");
        }
    }
}

#[test]
fn variables_that_are_no_options_end_nothing() {
    let variables = [
        ("WEIR_SERVICE_HOST", "10.0.0.7"),
        ("WEIR_SERVICE_PORT", "8080"),
        ("WEIR_PORT", "tcp://10.0.0.7:8080"),
        ("WEIR_PORT_8080_TCP_ADDR", "10.0.0.7"),
        ("WEIR_VERSION", "1.2.3"),
        ("WEIR_HOME", "/opt/weir"),
        ("WEIR_POOLSIZE", "8"),
    ];
    let arguments = ["doctor", "--listen", "127.0.0.1:0", "--admin", "off"];
    let output = command(WEIR)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .env("WEIR_TITLE", std::ffi::OsStr::from_bytes(b"a\xff"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told: Vec<&str> = text(&output.stdout)
        .lines()
        .filter(|line| line.contains("environment"))
        .collect();
    let is = "is set in the environment, but is not an option and changes nothing";
    assert_eq!(
        told,
        [
            format!("warning  settings: WEIR_POOLSIZE {is}; did you mean `WEIR_POOL_SIZE`?"),
            format!("ok       settings: WEIR_HOME {is}"),
            format!("ok       settings: WEIR_TITLE {is}"),
            format!("ok       settings: WEIR_VERSION {is}"),
        ]
    );
}

#[test]
fn flag_environment_and_file_rank_in_this_order() {
    let file = File::new("rank.toml", "pool-size = 0\nworkers = 0\nhead-max = 0\n");
    let output = command(WEIR)
        .args(["serve", "--config", file.path(), "--pool-size", "65536"])
        .env("WEIR_POOL_SIZE", "70000")
        .env("WEIR_WORKERS", "5000")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for part in [
        "pool-size = 65536 (from --pool-size)",
        "workers = 5000 (from WEIR_WORKERS)",
        "head-max = 0 (from the file)",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let unreadable = shell("WEIR_ROOT=$(printf 'a\\377') exec WEIR serve");
    assert_eq!(unreadable.status.code(), Some(2));
    assert_eq!(
        text(&unreadable.stderr),
        "weir: WEIR_ROOT = a\u{fffd} is not Unicode; write it in UTF-8\n"
    );
    let by_variable = command(WEIR)
        .arg("serve")
        .env("WEIR_CONFIG", file.path())
        .output()
        .unwrap();
    assert!(text(&by_variable.stderr).contains("pool-size = 0 (from the file)"));
    let by_none = command(WEIR)
        .args(["serve", "--listen", "nowhere"])
        .env("WEIR_CONFIG", "")
        .env("WEIR_POOL_SIZE", "")
        .output()
        .unwrap();
    let said: Vec<&str> = text(&by_none.stderr).lines().collect();
    assert!(
        said.len() == 1 && said[0].starts_with("weir: listen = nowhere "),
        "{said:?}"
    );
}

#[test]
fn a_file_that_is_none_is_refused_and_not_waited_for() {
    let fifo = std::env::temp_dir().join(format!("weir-command-{}-fifo", std::process::id()));
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let _removed = File(fifo.clone());
    let fifo = fifo.to_str().unwrap();
    for path in [fifo, "/dev/zero", "/dev/null", "/tmp"] {
        for arguments in [
            ["check"].as_slice(),
            &["serve", "--config"],
            &["doctor", "--config"],
        ] {
            // A command that hangs is stopped and has another status.
            let refused = command("timeout")
                .args(["10", WEIR])
                .args(arguments)
                .arg(path)
                .output()
                .unwrap();
            assert_eq!(refused.status.code(), Some(2), "{arguments:?} {path}");
            assert_eq!(
                text(&refused.stderr),
                format!("weir: cannot read {path}: not a regular file; check the path and its permissions\n")
            );
        }
    }
    let file = File::new("linked.toml", "pool-size = 8\n");
    let link = std::env::temp_dir().join(format!("weir-command-{}-link", std::process::id()));
    std::os::unix::fs::symlink(file.path(), &link).unwrap();
    let link = File(link);
    assert!(weir(&["check", link.path()]).status.success());
}

/// The flags of a line such as `weir serve --shards 2 --linger 0s`.
fn flags_of(line: &str) -> Vec<(&str, &str)> {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[..2], ["weir", "serve"], "{line}");
    words[2..]
        .chunks(2)
        .map(|pair| (pair[0].strip_prefix("--").unwrap(), pair[1]))
        .collect()
}

#[test]
fn the_flags_of_a_size_are_served_as_they_were_sized() {
    let asked: [&[&str]; 4] = [
        &["--peak-clients", "30"],
        &["--peak-clients", "30", "--linger", "forever", "--cores", "2"],
        &[
            "--peak-clients",
            "30",
            "--rate",
            "200",
            "--service-time",
            "2s",
            "--linger",
            "1s",
        ],
        &["--peak-clients", "30", "--cores", "1", "--memory", "14MiB"],
    ];
    for (index, arguments) in asked.into_iter().enumerate() {
        let sized = weir(&[&["size"], arguments].concat());
        assert_eq!(sized.status.code(), Some(0), "{sized:?}");
        let told = text(&sized.stdout);
        let line = told.lines().find(|line| line.starts_with("weir serve ")).unwrap();
        let flags = flags_of(line);
        let file: String = flags
            .iter()
            .map(|(name, value)| format!("{name} = '{value}'\n"))
            .collect();
        let file = File::new(&format!("size-{index}.toml"), &file);
        let checked = weir(&["check", file.path()]);
        assert!(checked.status.success(), "{checked:?}");
        let is_checked = |words: &[&str]| {
            text(&checked.stdout)
                .lines()
                .any(|line| line.split_whitespace().eq(words.iter().copied()))
        };
        for (name, value) in flags {
            assert!(is_checked(&[name, value, "file"]), "{name} {value}: {checked:?}");
        }
        // The plan is the same to the last word.
        let memory = told.lines().find(|line| line.starts_with("memory: ")).unwrap();
        assert!(
            text(&checked.stdout).lines().any(|line| line == memory),
            "{memory}"
        );

        // As flags they are read too; only the address is wrong.
        let mut words: Vec<&str> = line.split(' ').skip(1).collect();
        words.extend(["--listen", "nowhere"]);
        let served = weir(&words);
        assert_eq!(served.status.code(), Some(2));
        let said: Vec<&str> = text(&served.stderr).lines().collect();
        assert!(
            said.len() == 1 && said[0].starts_with("weir: listen = nowhere "),
            "{said:?}"
        );
    }
}

#[test]
fn what_cannot_be_sized_is_refused_with_what_could() {
    let short = weir(&[
        "size",
        "--peak-clients",
        "750",
        "--cores",
        "2",
        "--linger",
        "forever",
        "--memory",
        "24MiB",
    ]);
    assert_eq!(short.status.code(), Some(1));
    assert!(!text(&short.stdout).contains("weir serve"), "{short:?}");
    let said = text(&short.stderr);
    for part in [
        "weir: does not fit: memory = 24 MiB, but at least ",
        "2 x (executor 768 KiB + 500 handlers of 2 x 16KiB ",
        "; what would fit is --peak-clients ",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let would_fit = said
        .split("--peak-clients ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let fitting = weir(&[
        "size",
        "--peak-clients",
        would_fit,
        "--cores",
        "2",
        "--linger",
        "forever",
        "--memory",
        "24MiB",
    ]);
    assert_eq!(fitting.status.code(), Some(0), "{fitting:?}");

    let nobody = weir(&["size", "--peak-clients", "0"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert_eq!(
        text(&nobody.stderr),
        "weir: peak-clients = 0 (from --peak-clients) is too small; the least is 1\n"
    );
}

#[test]
fn little_lockable_memory_is_named_at_once() {
    let began = Instant::now();
    let served = shell("ulimit -l 64 && exec WEIR serve --log-level off");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(served.status.code(), Some(1));
    let said = text(&served.stderr);
    assert!(
        said.starts_with("weir: memlock: RLIMIT_MEMLOCK = 64 KiB, needed: "),
        "{said}"
    );

    let doctor = shell("ulimit -l 64 && exec WEIR doctor");
    assert_eq!(doctor.status.code(), Some(1));
    let told = text(&doctor.stdout);
    assert!(told.contains("\nmissing  memlock: "), "{told}");
    assert!(told.starts_with("ok       kernel: "), "{told}");
}

/// A shell without the privilege to lock memory past the limit; tests may be run by root.
fn unprivileged() -> Command {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap();
    let is_exempt = u64::from_str_radix(effective.trim(), 16).unwrap() >> CAP_IPC_LOCK & 1 == 1;
    if !is_exempt {
        return command("sh");
    }
    let mut command = command("setpriv");
    command.args(["--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "sh"]);
    command
}

/// A server that has locked memory, until it is dropped.
struct Holder(std::process::Child);

impl Holder {
    fn start(shards: u32) -> Self {
        let script = format!(
            "exec {WEIR} serve --listen 127.0.0.1:0 --admin off --toolset demo --shards {shards} --pool-size 4"
        );
        let mut child = unprivileged()
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(" serving ")));
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The kernel counts what all processes of a user lock against the limit of each of them.
#[test]
fn locked_memory_that_is_used_up_is_named_by_who_has_it() {
    let run = |limit_kib: u64, command: &str| {
        let script = format!(
            "ulimit -l {limit_kib} && exec {WEIR} {command} --listen 127.0.0.1:0 --admin off --shards 2"
        );
        unprivileged().args(["-c", &script]).output().unwrap()
    };
    let poor = run(64, "doctor");
    let need_kib: u64 = text(&poor.stdout)
        .split_once("`ulimit -l ")
        .and_then(|(_, rest)| rest.split_once('`'))
        .unwrap_or_else(|| panic!("{poor:?}"))
        .0
        .parse()
        .unwrap();
    let holder = Holder::start(4);

    // The limit alone would be enough.
    let doctor = run(need_kib, "doctor");
    let told = text(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(1), "{told}");
    let line = told
        .lines()
        .find(|line| line.starts_with("missing  memlock: RLIMIT_MEMLOCK = "))
        .unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("but other processes of this user, "), "{line}");
    let name = format!("weir (pid {}, ", holder.0.id());
    assert!(line.contains(&name), "{name}: {line}");

    let served = run(need_kib, "serve");
    assert_eq!(served.status.code(), Some(1));
    let said = text(&served.stderr);
    for words in ["weir: ", "RLIMIT_MEMLOCK = ", "processes of this user"] {
        assert!(said.contains(words), "{said}");
    }
    for word in ["Romulus", "panic"] {
        assert!(!told.contains(word) && !said.contains(word), "{told}{said}");
    }

    // The kernel releases it a moment later, which the test waits for.
    drop(holder);
    let doctor = run(need_kib, "doctor");
    let told = text(&doctor.stdout);
    assert!(doctor.status.success(), "{told}");
    assert!(
        told.contains("\nok       start: 2 shards and all workers, on trial\n"),
        "{told}"
    );
}

#[test]
fn too_few_descriptors_are_named() {
    let served = shell("ulimit -n 24 && exec WEIR serve --shards 1 --workers 1");
    assert_eq!(served.status.code(), Some(2));
    let said = text(&served.stderr);
    assert!(
        said.starts_with("weir: descriptors = 24, but 32 are needed for 1 shards and 1 workers"),
        "{said}"
    );
}

#[test]
fn nobody_listening_is_no_panic() {
    for script in [
        "WEIR doctor >&-",
        "WEIR doctor >/dev/full",
        "WEIR serve --pool-size 0 2>&-",
        "WEIR serve --pool-size 0 2>/dev/full",
    ] {
        let output = shell(script);
        assert!(
            matches!(output.status.code(), Some(0..=2)),
            "{script}: {:?}",
            output.status
        );
        assert!(!text(&output.stderr).contains("panic"), "{script}");
    }
    // A reader that left: its end of the pipe is closed before anything is written.
    let mut gone = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = gone.stdin.take().unwrap();
    gone.wait().unwrap();
    let status = command(WEIR)
        .args(["serve", "--pool-size", "0"])
        .stderr(pipe)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn the_doctor_looks_at_the_admin_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().to_string();
    let doctor = |arguments: &[&str]| weir(&[&["doctor", "--listen", "127.0.0.1:0"], arguments].concat());

    let told = doctor(&["--admin", &busy]);
    assert_eq!(told.status.code(), Some(1));
    let line = format!("\nmissing  admin: cannot listen on {busy}: Address already in use");
    assert!(text(&told.stdout).contains(&line), "{told:?}");
    let served = weir(&["serve", "--listen", "127.0.0.1:0", "--admin", &busy]);
    assert_eq!(served.status.code(), Some(1));
    assert!(
        text(&served.stderr).contains(&format!("weir: admin: cannot listen on {busy}: ")),
        "{served:?}"
    );

    // Nobody asked for the default port, which is busy now whoever has it.
    let _default = std::net::TcpListener::bind("127.0.0.1:9464");
    let told = doctor(&[]);
    assert_eq!(told.status.code(), Some(0));
    assert!(
        text(&told.stdout).contains("\nwarning  admin: 127.0.0.1:9464 is busy ("),
        "{told:?}"
    );
    let told = doctor(&["--admin", "off"]);
    assert!(
        told.status.success() && !text(&told.stdout).contains(" admin: "),
        "{told:?}"
    );
    let told = doctor(&["--admin", "localhost:0"]);
    assert!(
        text(&told.stdout).contains("\nok       admin: 127.0.0.1:0\n"),
        "{told:?}"
    );
}

#[test]
fn why_nothing_is_served_is_said_last() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // The log is written by a thread of its own.
    for _ in 0..20 {
        let served = command(WEIR)
            .args(["serve", "--listen", &address, "--admin", "off"])
            .env("WEIR_NO_OPTION", "1")
            .output()
            .unwrap();
        let said: Vec<&str> = text(&served.stderr).lines().collect();
        let refusal = format!("weir: listen: cannot listen on {address}: ");
        assert!(
            said.len() == 2 && said[0].contains("WEIR_NO_OPTION is set") && said[1].starts_with(&refusal),
            "{said:?}"
        );
    }
}

#[test]
fn the_doctor_looks_at_the_address_and_the_root() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = weir(&["doctor", "--listen", &address, "--root", "/nonexistent"]);
    assert_eq!(told.status.code(), Some(1));
    let said = text(&told.stdout);
    let listen = format!("\nmissing  listen: cannot listen on {address}: Address already in use");
    assert!(said.contains(&listen), "{said}");
    assert!(
        said.contains("\nmissing  files: root = \"/nonexistent\" cannot be served: No such file"),
        "{said}"
    );
    let served = weir(&["serve", "--listen", &address, "--admin", "off"]);
    assert_eq!(served.status.code(), Some(1));
    let refusal = format!("weir: listen: cannot listen on {address}: ");
    assert!(text(&served.stderr).starts_with(&refusal), "{served:?}");

    let demo = [
        "--toolset",
        "demo",
        "--root",
        "/nonexistent",
        "--listen",
        "127.0.0.1:0",
    ];
    let told = weir(&[&["doctor"], &demo[..]].concat());
    assert!(told.status.success(), "{told:?}");
    assert!(
        text(&told.stdout).contains("\nok       listen: 127.0.0.1:0\n"),
        "{told:?}"
    );
}
