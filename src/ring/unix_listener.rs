//! Listening Unix sockets, and the files by which clients reach them.
//!
//! There is one such socket for all shards. Its file has the mode and the owner that are asked for before the first
//! connection can be made.
//!
//! A file at the path is replaced only if it is a socket on which nobody accepts, as a killed process leaves it, or if
//! the caller means to take over. Then the new socket listens under a name of its own until it is renamed over the old
//! one: each connection reaches one of them. A file is removed only by its own socket's owner, which knows it by device
//! and inode number.
//!
//! Between a look at the path and a change of it another process may change it, too. So processes that start or end on
//! the same path do this one after the other: each holds a lock on a file beside it, which it removes afterwards.
//!
//! ```text
//! lock ─ nothing there ───────────────► bind ─ owner, mode ─ listen ─ unlock
//!      ─ a socket, nobody accepts ─ unlink ▲
//!      ─ a server, to be taken over ──► bind beside it ─ owner, mode ─ listen ─ rename over it ─ unlock
//!      ─ anything else ───────────────► refused
//! ```
//!
//! Drain, in order: the file is removed, so that newcomers are told that nobody is there; after a short grace the
//! socket refuses connections (`shutdown(2)`), so that none can be lost between the last accept and the end; it is
//! closed.
#![allow(
    clippy::disallowed_methods,
    reason = "sockets are made and removed by threads that are no shards"
)]

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, fstat, open};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::UnixName;

/// What the kernel's field for names holds, with the byte that ends a path (unix(7)).
const NAME_BYTES_MAX: usize = 107;
/// How long others may take to start or end on the same path.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How often a lock is tried.
const LOCK_LOOK: Duration = Duration::from_millis(5);
/// How long a process that was killed may take to let go of its sockets.
const SETTLE_PATIENCE: Duration = Duration::from_millis(500);
/// How often that is looked at: a server that is well sees a connection each time.
const SETTLE_LOOK: Duration = Duration::from_millis(50);
/// The mode until the file has its owner.
const CLOSED: u32 = 0o600;

/// Options of a listening Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixListenerOptions {
    /// Connections the kernel queues; it caps this at `net.core.somaxconn`.
    pub backlog: i32,
    /// The permissions of the file.
    pub mode: u32,
    /// The user that owns the file; `None` means this process's.
    pub uid: Option<u32>,
    /// The group of the file; `None` means this process's.
    pub gid: Option<u32>,
    /// Whether to take the path over from a server that accepts there.
    pub takes_over: bool,
}

/// Why a process cannot listen on a Unix socket. The message completes "cannot listen on NAME: ".
#[derive(Debug, thiserror::Error)]
pub enum UnixListenError {
    /// Somebody accepts there.
    #[error(
        "a server accepts connections there; stop it, choose another path with --listen, or say --reuse-port on to take \
         its place"
    )]
    Serving,
    /// The name is somebody's.
    #[error(
        "a process has this name, which cannot be taken over; stop it, or choose another name, or a path, with --listen"
    )]
    NameTaken,
    /// The file is something else.
    #[error(
        "a file is there that is no socket, and only sockets are replaced; remove it, or choose another path with --listen"
    )]
    NotASocket,
    /// It cannot be found out whether somebody accepts there.
    #[error(
        "a socket is there, and whether a server accepts on it cannot be told ({0}); remove it, or choose another path with \
         --listen"
    )]
    Unknown(io::Error),
    /// Others hold the lock for long.
    #[error("another process starts or ends there, and holds {0:?} locked; wait for it, or stop it")]
    Locked(PathBuf),
    /// The file cannot be given away.
    #[error(
        "its owner cannot be set: {0}; run as root, leave --unix-owner out, or name a group of this user's"
    )]
    Owner(io::Error),
    /// The system refuses.
    #[error("{error}; {}", advice(.error))]
    System {
        /// The system's reason.
        #[from]
        error: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create the directory, or choose another path with --listen",
        io::ErrorKind::PermissionDenied => {
            "let this user write to the directory, or choose another path with --listen"
        }
        _ => "choose another path with --listen",
    }
}

/// Who has the name of a Unix socket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnixUse {
    /// Nobody has it.
    Free,
    /// A file is left of a server that is gone.
    Left,
    /// A server accepts there.
    Serving,
}

/// Finds out who has the name, by connecting to it: a server sees a connection that ends without a byte.
///
/// # Errors
/// Fails if the file is no socket, or cannot be connected to for other reasons than that nobody accepts.
pub fn unix_use(name: &UnixName) -> Result<UnixUse, UnixListenError> {
    let is_file = match name {
        UnixName::Path(path) => match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => true,
            Ok(_) => return Err(UnixListenError::NotASocket),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(UnixUse::Free),
            Err(error) => return Err(error.into()),
        },
        UnixName::Abstract(_) => false,
    };
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    match probe.connect(&address(name)?) {
        // A full queue is a server's, too.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(UnixUse::Serving),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(UnixUse::Free),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(if is_file { UnixUse::Left } else { UnixUse::Free })
        }
        Err(error) => Err(UnixListenError::Unknown(error)),
        Ok(()) => Ok(UnixUse::Serving),
    }
}

/// Finds out who has the name, after a moment for a process that is about to let go of it: the kernel closes the
/// sockets of a process that was killed a little after its end.
///
/// # Errors
/// Fails like [`unix_use`].
pub fn settled_unix_use(name: &UnixName) -> Result<UnixUse, UnixListenError> {
    let deadline = Instant::now() + SETTLE_PATIENCE;
    loop {
        let found = unix_use(name)?;
        if found != UnixUse::Serving || Instant::now() >= deadline {
            return Ok(found);
        }
        std::thread::sleep(SETTLE_LOOK);
    }
}

/// A socket that listens under `name`, and its file, if it has one.
///
/// # Errors
/// Fails if somebody accepts there and is not to be replaced, or something is there that is not replaced, or with the
/// system's reason.
pub fn listen_unix(
    name: &UnixName,
    options: &UnixListenerOptions,
) -> Result<(OwnedFd, Option<SocketFile>), UnixListenError> {
    let path = match name {
        UnixName::Path(path) => path,
        UnixName::Abstract(_) => return Ok((listen_on_abstract(name, options.backlog)?, None)),
    };
    // Others need not wait for this.
    if !options.takes_over && settled_unix_use(name)? == UnixUse::Serving {
        return Err(UnixListenError::Serving);
    }
    let known_as = std::path::absolute(path)?;
    let lock = Lock::take(&known_as)?;
    let (socket, file) = match unix_use(name)? {
        UnixUse::Serving if options.takes_over => take_over(&known_as, options)?,
        UnixUse::Serving => return Err(UnixListenError::Serving),
        UnixUse::Left => {
            fs::remove_file(path)?;
            listen_at(&known_as, path, options)?
        }
        UnixUse::Free => listen_at(&known_as, path, options)?,
    };
    drop(lock);
    Ok((socket.into(), Some(file)))
}

fn address(name: &UnixName) -> io::Result<SockAddr> {
    match name {
        UnixName::Path(path) => SockAddr::unix(path),
        UnixName::Abstract(name) => SockAddr::unix(format!("\0{name}")),
    }
}

fn listen_on_abstract(name: &UnixName, backlog: i32) -> Result<OwnedFd, UnixListenError> {
    let socket = new_socket()?;
    match socket.bind(&address(name)?) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(UnixListenError::NameTaken),
        bound => bound?,
    }
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn new_socket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
}

/// Listens at `path`, where nothing is. The file is bound as `bound_as`, which names the same place, and may be
/// shorter.
fn listen_at(
    path: &Path,
    bound_as: &Path,
    options: &UnixListenerOptions,
) -> Result<(Socket, SocketFile), UnixListenError> {
    let socket = new_socket()?;
    // The file gets these permissions, less the process's mask.
    fchmod(&socket, Mode::from_raw_mode(options.mode & CLOSED)).map_err(io::Error::from)?;
    socket.bind(&SockAddr::unix(bound_as)?)?;
    let mut file = SocketFile::at(path)?;
    let listening = give_away(path, options).and_then(|()| Ok(socket.listen(options.backlog)?));
    if let Err(error) = listening {
        file.is_there = fs::remove_file(path).is_err();
        return Err(error);
    }
    Ok((socket, file))
}

/// Gives the file its owner and its mode.
fn give_away(path: &Path, options: &UnixListenerOptions) -> Result<(), UnixListenError> {
    if options.uid.is_some() || options.gid.is_some() {
        lchown(path, options.uid, options.gid).map_err(UnixListenError::Owner)?;
    }
    fs::set_permissions(path, Permissions::from_mode(options.mode))?;
    Ok(())
}

/// Listens beside the socket at `path`, and then takes its place.
fn take_over(path: &Path, options: &UnixListenerOptions) -> Result<(Socket, SocketFile), UnixListenError> {
    let name = format!(".weir-{}", std::process::id());
    let beside = path.with_file_name(&name);
    // It is left of a process that was killed here, and had the same number.
    if fs::symlink_metadata(&beside).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&beside)?;
    }
    let directory = open_directory(&beside)?;
    let bound_as = if beside.as_os_str().as_bytes().len() > NAME_BYTES_MAX {
        Path::new("/proc/self/fd")
            .join(directory.as_raw_fd().to_string())
            .join(&name)
    } else {
        beside.clone()
    };
    let (socket, mut file) = listen_at(&beside, &bound_as, options)?;
    fs::rename(&beside, path)?;
    path.clone_into(&mut file.path);
    Ok((socket, file))
}

fn open_directory(file: &Path) -> io::Result<OwnedFd> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(directory, flags, Mode::empty())?)
}

/// The file of a listening socket. It is removed when this is dropped, if it is still this socket's.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    /// It is not used again while the socket is open.
    inode: u64,
    is_there: bool,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<SocketFile> {
        let found = fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            is_there: true,
        })
    }

    /// Removes the file, unless another process's is there by now. Whether it was this socket's.
    ///
    /// # Errors
    /// Fails if others hold the lock for too long, or with the system's reason.
    pub fn remove(mut self) -> Result<bool, UnixListenError> {
        self.remove_own()
    }

    fn is_own(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }

    fn remove_own(&mut self) -> Result<bool, UnixListenError> {
        if !std::mem::take(&mut self.is_there) || !self.is_own() {
            return Ok(false);
        }
        let _lock = Lock::take(&self.path)?;
        let is_own = self.is_own();
        if is_own {
            fs::remove_file(&self.path)?;
        }
        Ok(is_own)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What stays is replaced by the next server.
        let _ = self.remove_own();
    }
}

/// The right to change what is at a path. Its file is removed with it.
struct Lock {
    path: PathBuf,
    _file: OwnedFd,
}

impl Lock {
    fn take(path: &Path) -> Result<Lock, UnixListenError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(file) = Lock::try_take(&path)? {
                return Ok(Lock { path, _file: file });
            }
            if Instant::now() >= deadline {
                return Err(UnixListenError::Locked(path));
            }
            std::thread::sleep(LOCK_LOOK);
        }
    }

    fn try_take(path: &Path) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::from_raw_mode(0o600))?;
        match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        // Who had it before may have removed the file: then others lock the next one.
        let own = fstat(&file)?;
        let is_there = fs::symlink_metadata(path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (own.st_dev, own.st_ino));
        Ok(is_there.then_some(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file goes first, so that nobody locks it after it is unlocked.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::listener::accept_now;
    use socket2::SockRef;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Barrier;

    const OPTIONS: UnixListenerOptions = UnixListenerOptions {
        // Room for every look that servers which start beside another take at it, since nobody accepts those here.
        backlog: 256,
        mode: 0o600,
        uid: None,
        gid: None,
        takes_over: false,
    };
    const OVER: UnixListenerOptions = UnixListenerOptions {
        takes_over: true,
        ..OPTIONS
    };

    /// A directory that is gone with its test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("weir-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Directory(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("s")
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn on(path: &Path, options: UnixListenerOptions) -> Result<(OwnedFd, SocketFile), UnixListenError> {
        listen_unix(&UnixName::Path(path.to_owned()), &options).map(|(socket, file)| (socket, file.unwrap()))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_has_its_mode_and_goes_with_its_owner() {
        let directory = Directory::new("mode");
        let path = directory.socket();
        for wanted in [0o600, 0o660, 0o666, 0o777] {
            let (socket, file) = on(
                &path,
                UnixListenerOptions {
                    mode: wanted,
                    ..OPTIONS
                },
            )
            .unwrap();
            assert_eq!(mode(&path), wanted);
            let _peer = UnixStream::connect(&path).unwrap();
            assert!(accept_now(&socket).unwrap().is_some());
            assert!(file.remove().unwrap());
            assert_eq!(directory.names(), Vec::<String>::new(), "no lock is left either");
        }
    }

    #[test]
    fn a_socket_on_which_nobody_accepts_is_replaced_and_nothing_else_is() {
        let directory = Directory::new("left");
        let path = directory.socket();
        drop(UnixListener::bind(&path).unwrap());
        assert!(matches!(
            unix_use(&UnixName::Path(path.clone())),
            Ok(UnixUse::Left)
        ));
        let (_socket, file) = on(&path, OPTIONS).unwrap();
        for options in [OPTIONS, OPTIONS] {
            assert!(matches!(on(&path, options), Err(UnixListenError::Serving)));
        }
        drop(file);
        assert!(!path.exists());

        for options in [OPTIONS, OVER] {
            fs::write(&path, "precious").unwrap();
            assert!(matches!(on(&path, options), Err(UnixListenError::NotASocket)));
            assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            assert!(matches!(on(&path, options), Err(UnixListenError::NotASocket)));
            fs::remove_dir(&path).unwrap();
            // A link is no socket, wherever it points.
            let elsewhere = directory.0.join("elsewhere");
            drop(UnixListener::bind(&elsewhere).unwrap());
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            assert!(matches!(on(&path, options), Err(UnixListenError::NotASocket)));
            fs::remove_file(&path).unwrap();
            fs::remove_file(&elsewhere).unwrap();
        }
        // A socket of another type is somebody's.
        let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(on(&path, OVER), Err(UnixListenError::Unknown(_))));
    }

    #[test]
    fn a_successor_takes_the_path_and_the_file_is_its_own() {
        let directory = Directory::new("over");
        let path = directory.socket();
        let (old, old_file) = on(&path, OPTIONS).unwrap();
        let mut early = UnixStream::connect(&path).unwrap();
        let (new, new_file) = on(&path, OVER).unwrap();
        let _late = UnixStream::connect(&path).unwrap();
        assert_eq!(directory.names(), ["s"]);
        // Each connection reached one of them, and one that waited is served by the old one.
        let mut accepted = UnixStream::from(accept_now(&old).unwrap().unwrap());
        // The successor's look at the old one came next.
        let mut look = UnixStream::from(accept_now(&old).unwrap().unwrap());
        assert_eq!(look.read(&mut [0]).unwrap(), 0);
        assert!(accept_now(&old).unwrap().is_none() && accept_now(&new).unwrap().is_some());
        accepted.write_all(b"served").unwrap();
        let mut bytes = [0; 6];
        early.read_exact(&mut bytes).unwrap();
        assert!(!old_file.remove().unwrap(), "it is the successor's");
        assert!(path.exists());
        assert!(new_file.remove().unwrap());
        assert_eq!(directory.names(), Vec::<String>::new());
    }

    #[test]
    fn a_path_of_107_bytes_is_taken_and_taken_over() {
        let directory = Directory::new("long");
        let rest = NAME_BYTES_MAX - directory.0.as_os_str().len() - 1;
        // A short name in a long directory: the successor's own name has no room beside it.
        let deep = directory.0.join("d".repeat(rest - 2));
        fs::create_dir(&deep).unwrap();
        for path in [directory.0.join("x".repeat(rest)), deep.join("s")] {
            assert_eq!(path.as_os_str().len(), NAME_BYTES_MAX);
            let (_old, _old_file) = on(&path, OPTIONS).unwrap();
            let (new, _new_file) = on(&path, OVER).unwrap();
            let _peer = UnixStream::connect(&path).unwrap();
            assert!(accept_now(&new).unwrap().is_some(), "{}", path.display());
        }
        let longer = directory.0.join("x".repeat(rest + 1));
        assert!(matches!(
            on(&longer, OPTIONS),
            Err(UnixListenError::System { .. })
        ));
        assert!(!longer.exists());
    }

    #[test]
    fn of_many_that_start_at_once_exactly_one_gets_the_path() {
        let directory = Directory::new("race");
        let path = directory.socket();
        for _ in 0..20 {
            // What a killed server left.
            drop(UnixListener::bind(&path).unwrap());
            let starts = Barrier::new(6);
            let won: Vec<_> = std::thread::scope(|scope| {
                let start = || {
                    starts.wait();
                    let listening = on(&path, OPTIONS);
                    starts.wait();
                    listening.ok()
                };
                let threads: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
                threads
                    .into_iter()
                    .filter_map(|thread| thread.join().unwrap())
                    .collect()
            });
            assert_eq!(won.len(), 1);
            // The others have looked again and again, and may have filled the queue, in which a connection waits.
            while accept_now(&won[0].0).unwrap().is_some() {}
            let _peer = UnixStream::connect(&path).unwrap();
            assert!(accept_now(&won[0].0).unwrap().is_some());
        }
        assert_eq!(directory.names(), Vec::<String>::new());
    }

    #[test]
    fn of_many_that_take_over_at_once_the_last_has_the_path_and_one_file_is_left() {
        let directory = Directory::new("relay");
        let path = directory.socket();
        // All have one process's number here, as no two servers have.
        let (first, _) = (on(&path, OPTIONS).unwrap(), ());
        let listening: Vec<_> = (0..5).map(|_| on(&path, OVER).unwrap()).collect();
        let _peer = UnixStream::connect(&path).unwrap();
        let (last, others) = listening.split_last().unwrap();
        assert!(accept_now(&last.0).unwrap().is_some());
        assert!(others.iter().chain([&first]).all(|(_, file)| !file.is_own()));
        assert_eq!(directory.names(), ["s"]);
    }

    #[test]
    fn a_name_without_a_file_is_one_servers() {
        let name = UnixName::Abstract(format!("weir-abstract-{}", std::process::id()));
        assert!(matches!(unix_use(&name), Ok(UnixUse::Free)));
        let (_socket, file) = listen_unix(&name, &OPTIONS).unwrap();
        assert!(file.is_none());
        assert!(matches!(unix_use(&name), Ok(UnixUse::Serving)));
        for options in [OPTIONS, OVER] {
            assert!(matches!(
                listen_unix(&name, &options),
                Err(UnixListenError::NameTaken)
            ));
        }
        let longest = UnixName::Abstract(format!("{:x<107}", std::process::id()));
        assert!(listen_unix(&longest, &OPTIONS).is_ok());
    }

    #[test]
    fn what_is_queued_can_be_accepted_once_newcomers_are_refused() {
        let directory = Directory::new("stop");
        let path = directory.socket();
        let (socket, _file) = on(&path, OPTIONS).unwrap();
        let mut queued = UnixStream::connect(&path).unwrap();
        SockRef::from(&socket).shutdown(Shutdown::Read).unwrap();
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        queued.write_all(b"after the stop").unwrap();
        let mut accepted = UnixStream::from(accept_now(&socket).unwrap().unwrap());
        assert!(accept_now(&socket).unwrap().is_none());
        let mut bytes = [0; 14];
        accepted.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"after the stop");
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let directory = Directory::new("refusal");
        let refusal = |path: &Path, options| on(path, options).unwrap_err().to_string();
        let missing = refusal(&directory.0.join("missing/s"), OPTIONS);
        assert!(missing.contains("create the directory"), "{missing}");
        if !rustix::process::geteuid().is_root() {
            let given = UnixListenerOptions {
                uid: Some(0),
                ..OPTIONS
            };
            let refused = refusal(&directory.socket(), given);
            assert!(refused.contains("leave --unix-owner out"), "{refused}");
            assert_eq!(directory.names(), Vec::<String>::new());
        }
        // A lock that is not given back is not waited for without end.
        let _lock = Lock::take(&directory.socket()).unwrap();
        let locked = refusal(&directory.socket(), OPTIONS);
        assert!(locked.contains("s.lock"), "{locked}");
    }
}
