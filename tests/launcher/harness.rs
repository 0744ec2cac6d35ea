//! A launcher whose events a test waits for, and what can be seen of processes from outside.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use weir::internals::launcher::{
    ChildEvents, ChildId, ChildPipes, ChildSpec, Exit, Launcher, LauncherOptions, Pid, SpawnError, TreeUsage,
};

/// Far beyond what anything here takes on a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until it is so.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come about");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What was told of children.
#[derive(Debug)]
pub(crate) enum Event {
    Spawned(ChildId, Result<Pid, SpawnError>),
    Exited(ChildId, Exit),
    Usage(ChildId, TreeUsage),
}

/// Keeps events until they are taken.
#[derive(Default)]
pub(crate) struct Events {
    list: Mutex<Vec<Event>>,
    came: Condvar,
}

impl Events {
    fn push(&self, event: Event) {
        self.list.lock().unwrap().push(event);
        self.came.notify_all();
    }

    fn take<T>(&self, what: &str, mut is_it: impl FnMut(&Event) -> Option<T>) -> T {
        let begun = Instant::now();
        let mut list = self.list.lock().unwrap();
        loop {
            let found = list
                .iter()
                .enumerate()
                .find_map(|(at, event)| Some((at, is_it(event)?)));
            if let Some((at, found)) = found {
                list.remove(at);
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} was not told; told were {list:?}"
            );
            list = self
                .came
                .wait_timeout(list, Duration::from_millis(100))
                .unwrap()
                .0;
        }
    }
}

impl ChildEvents for Events {
    fn spawned(&self, child: ChildId, result: io::Result<Pid>) {
        let result = result.map_err(|error| *error.get_ref().unwrap().downcast_ref().unwrap());
        self.push(Event::Spawned(child, result));
    }

    fn exited(&self, child: ChildId, exit: Exit) {
        self.push(Event::Exited(child, exit));
    }

    fn usage(&self, child: ChildId, usage: TreeUsage) {
        self.push(Event::Usage(child, usage));
    }
}

/// A launcher, of the real binary.
pub(crate) struct Starter {
    pub launcher: Launcher,
    pub events: Arc<Events>,
}

/// The real binary as launcher.
pub(crate) fn options() -> LauncherOptions {
    LauncherOptions {
        program: Some(env!("CARGO_BIN_EXE_weir").into()),
        ..LauncherOptions::default()
    }
}

impl Starter {
    pub(crate) fn new() -> Starter {
        Starter::with(options())
    }

    pub(crate) fn with(options: LauncherOptions) -> Starter {
        let events = Arc::new(Events::default());
        let launcher = Launcher::start_with(events.clone(), options).unwrap();
        Starter { launcher, events }
    }

    /// Starts a child and waits until it runs.
    pub(crate) fn spawn(&self, spec: &ChildSpec) -> Running {
        let (id, pipes) = self.launcher.spawn(spec).unwrap();
        let pid = self.spawned(id).unwrap();
        Running { id, pid, pipes }
    }

    pub(crate) fn spawned(&self, id: ChildId) -> Result<i32, SpawnError> {
        let pid = self.events.take("a spawn", |event| match event {
            Event::Spawned(child, result) if *child == id => Some(*result),
            _ => None,
        });
        pid.map(|pid| pid.as_raw_nonzero().get())
    }

    pub(crate) fn exit(&self, id: ChildId) -> Exit {
        self.events.take("an exit", |event| match event {
            Event::Exited(child, exit) if *child == id => Some(exit.clone()),
            _ => None,
        })
    }

    pub(crate) fn usage(&self, id: ChildId) -> TreeUsage {
        self.launcher.usage(id);
        self.events.take("usage", |event| match event {
            Event::Usage(child, usage) if *child == id => Some(usage.clone()),
            _ => None,
        })
    }

    /// What a program writes until it ends.
    pub(crate) fn output(&self, spec: &ChildSpec) -> String {
        let running = self.spawn(spec);
        let mut text = String::new();
        File::from(running.pipes.stdout)
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

pub(crate) struct Running {
    pub id: ChildId,
    pub pid: i32,
    pub pipes: ChildPipes,
}

impl Running {
    /// Waits for a line that the child writes when it is so far.
    pub(crate) fn wait_for_line(&self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while rustix::io::read(&self.pipes.stdout, &mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }
}

/// A program with arguments, and no environment.
pub(crate) fn program(name: &str, args: &[&str]) -> ChildSpec {
    ChildSpec {
        program: name.into(),
        args: args.iter().map(Into::into).collect(),
        ..ChildSpec::default()
    }
}

/// The example, which `cargo test` builds, and `cargo build --examples`.
pub(crate) fn misbehave() -> PathBuf {
    let mut path = env::current_exe().unwrap();
    while path.pop() && !path.join("examples/misbehave").exists() {}
    let path = path.join("examples/misbehave");
    assert!(
        path.is_absolute() && path.exists(),
        "no example; `cargo build --examples`"
    );
    path
}

/// A child that does these things.
pub(crate) fn sinner(mark: &str, actions: &[&str]) -> ChildSpec {
    let args: Vec<&str> = std::iter::once(mark).chain(actions.iter().copied()).collect();
    program(misbehave().to_str().unwrap(), &args)
}

/// A word that no other process has among its arguments.
pub(crate) fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("mark-{}-{number}-", std::process::id())
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub pid: i32,
    pub state: char,
    pub parent: i32,
    pub session: i32,
}

pub(crate) fn seen(pid: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let mut number = || fields.next()?.parse().ok();
    let (parent, _, session) = (number()?, number()?, number()?);
    Some(Seen {
        pid,
        state,
        parent,
        session,
    })
}

fn all_pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .collect()
}

/// Processes with the mark among their arguments that run: of a zombie there are no arguments.
pub(crate) fn marked(mark: &str) -> Vec<i32> {
    let has_mark = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == mark.as_bytes())
    };
    all_pids().into_iter().filter(has_mark).collect()
}

pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    let is_child = |candidate: &i32| seen(*candidate).is_some_and(|seen| seen.parent == pid);
    all_pids().into_iter().filter(is_child).collect()
}

/// Waits until nobody has the mark.
pub(crate) fn wait_until_gone(mark: &str) {
    eventually("the end of everybody", || marked(mark).is_empty().then_some(()));
}

/// A process of its own that has children, and ends with the test.
pub(crate) struct Server {
    process: Child,
    pub pid: i32,
    pub guard: i32,
    pub launcher: i32,
}

impl Server {
    /// `misbehave serve`, with the children running, each of which writes a line when it is so far.
    pub(crate) fn start(mark: &str, children: &[String]) -> Server {
        Server::start_as(Command::new(misbehave()), mark, children)
    }

    /// The same, by a command that takes its arguments.
    pub(crate) fn start_as(mut command: Command, mark: &str, children: &[String]) -> Server {
        command.args(["serve", mark]).args(children);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 6];
        process.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"ready\n");
        let pid = i32::try_from(process.id()).unwrap();
        let guard = children_of(pid)[0];
        let launcher = children_of(guard)[0];
        Server {
            process,
            pid,
            guard,
            launcher,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A directory that goes with the test.
pub(crate) struct Scratch(pub PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let path = env::temp_dir().join(mark());
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
