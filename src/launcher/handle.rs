//! The launcher as its users see it: any thread, a shard's too, asks; the answers come as [`ChildEvents`].

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::pipe::{PipeFlags, pipe_with};

use super::link::{ChildEvents, Link};
use super::message::Request;
use super::socket::{DATAGRAM_BYTES_MAX, Datagram, file_of};
use super::spec::{ChildId, ChildPipes, ChildSpec, LauncherOptions};

/// A process that starts and reaps children for this one, and the thread that listens to it.
///
/// Start it before threads are pinned: children may use the CPUs that the thread may use that calls
/// [`start`](Self::start). When this is dropped, all children are killed with everything that came of them, and no
/// event is told any more.
pub struct Launcher {
    link: Arc<Link>,
    next: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

impl Launcher {
    /// Starts the launcher, a copy of this program, and waits until it runs (a few milliseconds).
    ///
    /// # Errors
    ///
    /// Fails if the program's `main` does not begin with [`launcher`](super::launcher), and if no process, thread or
    /// descriptor is to be had.
    pub fn start(events: Arc<dyn ChildEvents>) -> io::Result<Launcher> {
        Launcher::start_with(events, LauncherOptions::default())
    }

    /// Starts the launcher with options.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(events: Arc<dyn ChildEvents>, options: LauncherOptions) -> io::Result<Launcher> {
        let (link, thread) = Link::start(events, options)?;
        Ok(Launcher {
            link,
            next: AtomicU64::new(1),
            thread: Some(thread),
        })
    }

    /// Whether [`pids_max`](super::Limits::pids_max) is kept, which only cgroups can.
    pub fn keeps_process_limits(&self) -> bool {
        self.link.has_pids()
    }

    /// Asks for a child, and gives the server's ends of its pipes, which can be used at once.
    ///
    /// It makes three pipes and sends a datagram, which takes some 20 µs; it neither forks nor waits. Whether the child
    /// runs is told by [`spawned`](ChildEvents::spawned), which may come before this returns.
    ///
    /// # Errors
    ///
    /// Fails if the specification has a NUL byte or an empty or impossible name of a variable, if no descriptors are
    /// left, or if a thousand requests wait for the launcher already. Nothing is told of such a child.
    pub fn spawn(&self, spec: &ChildSpec) -> io::Result<(ChildId, ChildPipes)> {
        check(spec)?;
        let (stdin_read, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stdout, stdout_write) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, stderr_write) = pipe_with(PipeFlags::CLOEXEC)?;
        let child = self.next.fetch_add(1, Ordering::Relaxed);
        let descriptors = vec![stdin_read, stdout_write, stderr_write];
        self.link
            .send(Some(child), spawn_request(child, spec, descriptors)?)?;
        let pipes = ChildPipes {
            stdin,
            stdout,
            stderr,
        };
        Ok((ChildId(child), pipes))
    }

    /// Sends SIGTERM to the child's process group. Nothing happens if it has ended.
    pub fn terminate(&self, child: ChildId) {
        self.ask(&Request::Terminate { child: child.0 });
    }

    /// Sends SIGKILL to the child's process group, and to all that came of the child and left the group. It also ends
    /// at once what is left of a child that has ended.
    pub fn kill(&self, child: ChildId) {
        self.ask(&Request::Kill { child: child.0 });
    }

    /// Asks what the child and its descendants use, which [`ChildEvents::usage`] tells.
    pub fn usage(&self, child: ChildId) {
        self.ask(&Request::Usage { child: child.0 });
    }

    fn ask(&self, request: &Request) {
        let datagram = Datagram {
            bytes: request.encode(),
            descriptors: Vec::new(),
        };
        // Only spawn requests are refused.
        let _ = self.link.send(None, datagram);
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.link.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launcher")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The request, in a file if it is long.
fn spawn_request(child: u64, spec: &ChildSpec, mut descriptors: Vec<OwnedFd>) -> io::Result<Datagram> {
    let spec = Box::new(spec.clone());
    let mut bytes = Request::Spawn { child, spec }.encode();
    if bytes.len() > DATAGRAM_BYTES_MAX {
        descriptors.push(file_of(&bytes)?);
        bytes = Request::SpawnFromFile.encode();
    }
    Ok(Datagram { bytes, descriptors })
}

/// What the kernel could not take, or would take for something else.
fn check(spec: &ChildSpec) -> io::Result<()> {
    let is_text = |text: &[u8]| !text.contains(&0);
    let is_name = |name: &[u8]| !name.is_empty() && is_text(name) && !name.contains(&b'=');
    let problem = if spec.program.is_empty() || !is_text(spec.program.as_bytes()) {
        "the program's name is empty, or has a NUL byte"
    } else if !spec.args.iter().all(|arg| is_text(arg.as_bytes())) {
        "an argument has a NUL byte"
    } else if !spec.env.iter().all(|(name, _)| is_name(name.as_bytes())) {
        "a variable's name is empty, or has `=` or a NUL byte"
    } else if !spec.env.iter().all(|(_, value)| is_text(value.as_bytes())) {
        "a variable's value has a NUL byte"
    } else if spec
        .cwd
        .as_ref()
        .is_some_and(|cwd| !is_text(cwd.as_os_str().as_bytes()))
    {
        "the directory has a NUL byte"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_refused() {
        let good = ChildSpec {
            program: "cat".into(),
            args: vec!["a=b".into()],
            env: vec![("A".into(), "=".into())],
            cwd: Some("/".into()),
            ..ChildSpec::default()
        };
        assert!(check(&good).is_ok());
        let spoiled: [fn(&mut ChildSpec); 6] = [
            |spec| spec.program = "".into(),
            |spec| spec.program = "c\0t".into(),
            |spec| spec.args.push("\0".into()),
            |spec| spec.env[0].0 = "".into(),
            |spec| spec.env[0].0 = "A=".into(),
            |spec| spec.cwd = Some("/\0".into()),
        ];
        for spoil in spoiled {
            let mut spec = good.clone();
            spoil(&mut spec);
            assert_eq!(
                check(&spec).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{spec:?}"
            );
        }
    }

    #[test]
    fn long_requests_travel_in_a_file() {
        let value = "x".repeat(100_000);
        let spec = ChildSpec {
            program: "cat".into(),
            env: vec![("LONG".into(), value.into())],
            ..ChildSpec::default()
        };
        let mut datagram = spawn_request(7, &spec, Vec::new()).unwrap();
        assert_eq!(Request::decode(&datagram.bytes), Some(Request::SpawnFromFile));
        let bytes = crate::launcher::socket::bytes_of(datagram.descriptors.remove(0)).unwrap();
        assert_eq!(
            Request::decode(&bytes),
            Some(Request::Spawn {
                child: 7,
                spec: Box::new(spec)
            })
        );
    }
}
