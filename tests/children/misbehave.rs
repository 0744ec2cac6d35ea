//! A child with a switch for every sin, and a server that has such children.
//!
//! `misbehave MARK ACTION…` does the actions from left to right and then ends with 0. The mark does nothing: it is in
//! the arguments of every process that comes of it, so that a test can find them all. ACTIONS are separated by commas;
//! brackets around some of them, as in `child:[setsid,hang],exit:0`, keep them together.
//!
//! | action | does |
//! |---|---|
//! | `ignore-term` | survives SIGTERM from now on |
//! | `tell-term` | survives SIGTERM, and writes a line for each |
//! | `setsid` | leaves its session |
//! | `child:ACTIONS` | starts a copy of itself that does these |
//! | `daemon:ACTIONS` | starts a copy that has left the session and lost its parent |
//! | `allocate:MIB` | has this much more memory, resident |
//! | `burn:MS` | uses this much CPU time |
//! | `pdeathsig` | writes its parent-death signal |
//! | `say:TEXT` | writes a line |
//! | `eof` | reads until its input ends |
//! | `hang` | never ends by itself |
//! | `signal:NUMBER` | sends itself a signal |
//! | `exit:CODE` | ends |
//! | `sleep:MS` | waits so long |
//! | `stderr:BYTES` | writes lines of so many bytes in all to stderr |
//! | `note:FILE` | adds a line with its process id to a file |
//! | `once:FILE:ACTION` | does this unless the file exists, which it makes |
//! | `mcp:OPTIONS` | is an MCP server on stdio until its input ends, which sins when it is told to: `mcp/mod.rs` |
//!
//! What comes before `mcp` happens at the start, what comes after it at the end of input: `misbehave x mcp hang` does
//! not end then.
//!
//! `misbehave serve MARK CHILD…` has children: each argument is one's ACTIONS. It says `ready` when
//! all run, and stays. `misbehave storm N` starts and ends so many, and says what is left of them.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is a child, no shard runs here"
)]
#![allow(clippy::unwrap_used, reason = "a test's program may panic")]

mod mcp;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, atomic::AtomicBool};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, parent_process_death_signal, setsid};
use weir::internals::launcher::{ChildEvents, ChildId, ChildPipes, ChildSpec, Exit, Launcher};

fn main() {
    weir::launcher();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (mark, rest) = arguments.split_first().expect("a mark");
    match mark.as_str() {
        "serve" => serve(&rest[0], &rest[1..]),
        "storm" => storm(rest[0].parse().unwrap()),
        _ => rest.iter().for_each(|action| act(mark, action)),
    }
}

fn act(mark: &str, action: &str) {
    let (name, value) = action.split_once(':').unwrap_or((action, ""));
    match name {
        "ignore-term" => {
            let ignored = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal_hook::consts::SIGTERM, ignored).unwrap();
        }
        "tell-term" => tell_term(),
        "setsid" => drop(setsid().unwrap()),
        "child" => start(mark, value),
        "daemon" => daemon(mark, value),
        // Ends at once: whoever waits for it has what it started without a parent.
        "orphan" => start(mark, value),
        "allocate" => allocate(value.parse().unwrap()),
        "burn" => burn(Duration::from_millis(value.parse().unwrap())),
        "pdeathsig" => say(&format!("{:?}", parent_process_death_signal().unwrap())),
        "say" => say(value),
        "eof" => drop(io::stdin().read_to_end(&mut Vec::new())),
        "hang" => loop {
            thread::park();
        },
        "signal" => {
            let signal = Signal::from_named_raw(value.parse().unwrap()).unwrap();
            kill_process(getpid(), signal).unwrap();
        }
        "exit" => process::exit(value.parse().unwrap()),
        "sleep" => thread::sleep(Duration::from_millis(value.parse().unwrap())),
        "stderr" => fill_stderr(value.parse().unwrap()),
        "note" => note(value),
        "once" => {
            let (file, action) = value.split_once(':').unwrap();
            if fs::File::create_new(file).is_ok() {
                act(mark, action);
            }
        }
        "mcp" => mcp::serve(mark, split(value)),
        _ => panic!("no action {action}"),
    }
}

fn tell_term() {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
    thread::spawn(move || signals.forever().for_each(|_| say("term")));
}

fn copy(mark: &str, actions: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(mark).args(split(actions));
    command
}

/// Splits at commas outside brackets, and takes off those around everything.
fn split(actions: &str) -> Vec<&str> {
    let actions = actions
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(actions);
    let mut depth = 0;
    let is_end = |letter: char| {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    };
    actions.split(is_end).collect()
}

#[allow(clippy::zombie_processes, reason = "a sin: it waits for nobody")]
fn start(mark: &str, actions: &str) {
    copy(mark, actions).spawn().unwrap();
}

fn daemon(mark: &str, actions: &str) {
    let mut between = Command::new("/proc/self/exe");
    between.arg(mark).arg("setsid").arg(format!("orphan:{actions}"));
    between.status().unwrap();
}

fn allocate(mib: usize) {
    let mut memory = vec![0u8; mib << 20];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::mem::forget(memory);
}

fn burn(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::black_box(fs::read("/proc/self/stat").unwrap());
    }
}

fn fill_stderr(bytes: usize) {
    let line = format!("{}\n", "x".repeat(127));
    let lines = line.repeat(bytes.div_ceil(line.len()));
    io::stderr().write_all(&lines.as_bytes()[..bytes]).unwrap();
}

fn note(file: &str) {
    let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{}\n", process::id()).as_bytes()).unwrap();
}

fn say(text: &str) {
    let mut stdout = io::stdout();
    writeln!(stdout, "{text}").unwrap();
    stdout.flush().unwrap();
}

/// Counts what it is told.
#[derive(Default)]
struct Counts {
    spawned: AtomicUsize,
    exited: AtomicUsize,
}

impl ChildEvents for Counts {
    fn spawned(&self, _: ChildId, result: io::Result<Pid>) {
        result.unwrap();
        self.spawned.fetch_add(1, Ordering::SeqCst);
    }

    fn exited(&self, _: ChildId, _: Exit) {
        self.exited.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits for a number to be reached; the test that started this has a deadline.
fn wait_for(count: &AtomicUsize, value: usize) {
    while count.load(Ordering::SeqCst) < value {
        thread::sleep(Duration::from_millis(1));
    }
}

fn spawn(launcher: &Launcher, mark: &str, actions: &str) -> (ChildId, ChildPipes) {
    let spec = ChildSpec {
        program: env::current_exe().unwrap().into(),
        args: std::iter::once(mark)
            .chain(split(actions))
            .map(Into::into)
            .collect(),
        ..ChildSpec::default()
    };
    launcher.spawn(&spec).unwrap()
}

fn serve(mark: &str, children: &[String]) {
    let counts = Arc::new(Counts::default());
    let launcher = Launcher::start(counts.clone()).unwrap();
    let pipes: Vec<_> = children
        .iter()
        .map(|actions| spawn(&launcher, mark, actions))
        .collect();
    wait_for(&counts.spawned, children.len());
    // Their own children run, too.
    for (_, pipes) in &pipes {
        let mut byte = [0];
        rustix::io::read(&pipes.stdout, &mut byte).unwrap();
    }
    say("ready");
    loop {
        thread::park();
    }
}

fn storm(count: usize) {
    let counts = Arc::new(Counts::default());
    let launcher = Launcher::start(counts.clone()).unwrap();
    // The first one opens what stays open.
    drop(spawn(&launcher, "storm", "exit:0"));
    wait_for(&counts.exited, 1);
    let before = open();
    for number in 0..count {
        let (child, pipes) = spawn(&launcher, "storm", if number % 2 == 0 { "eof" } else { "hang" });
        if number % 2 == 0 {
            drop(pipes);
        } else {
            launcher.kill(child);
        }
        // Not more at once than a test should take of a machine.
        wait_for(&counts.exited, (number + 1).saturating_sub(8));
    }
    wait_for(&counts.exited, count + 1);
    say(&format!("before {before} after {}", open()));
    // Until the test has looked.
    act("", "eof");
}

/// Descriptors and threads of this process.
fn open() -> String {
    let count = |path: &str| fs::read_dir(path).unwrap().count();
    format!("{} {}", count("/proc/self/fd"), count("/proc/self/task"))
}
