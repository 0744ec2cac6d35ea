//! Pairs of descriptors on the real ring: pipes, sockets, files, terminals and `/dev/null`.

use super::{
    Completion, ConnectionKey, DataRing, HangUp, KernelRing, Operation, Received, RingOptions, SendMode,
    Socket,
};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const SMALL: RingOptions = RingOptions {
    submission_entries: 4,
    completion_entries: 8,
    buffers: 2,
    buffer_bytes: 4096,
    is_fixed: false,
    is_prefaulted: false,
};
const KEY: ConnectionKey = ConnectionKey {
    slot: 0,
    generation: 0,
};
/// Far more than any test needs; a ring that hangs fails instead of hanging the test.
const TURNS_MAX: usize = 500;
const TURN: Duration = Duration::from_millis(20);

fn next(ring: &mut KernelRing) -> Completion {
    for _ in 0..TURNS_MAX {
        if let Some(completion) = ring.next_completion() {
            return completion;
        }
        ring.flush_and_wait(TURN).unwrap();
    }
    panic!("no completion");
}

fn received(ring: &mut KernelRing, socket: &Socket) -> Received {
    ring.receive(KEY, socket);
    match next(ring) {
        Completion::Received { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    }
}

/// Everything up to the end of input.
fn all(ring: &mut KernelRing, socket: &Socket) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match received(ring, socket) {
            Received::Bytes(buffer) => bytes.extend_from_slice(&buffer),
            Received::End => return bytes,
            other => panic!("{other:?}"),
        }
    }
}

fn sent(ring: &mut KernelRing, socket: &Socket, bytes: &[u8], mode: SendMode) -> io::Result<usize> {
    ring.send(KEY, socket, bytes.to_vec(), 0..bytes.len(), mode);
    match next(ring) {
        Completion::Sent { buffer, result, .. } => {
            assert_eq!(buffer, bytes);
            result
        }
        other => panic!("{other:?}"),
    }
}

/// A pair between two pipes, with their other ends.
fn pipes() -> (Socket, io::PipeWriter, io::PipeReader) {
    let (input, to_input) = io::pipe().unwrap();
    let (from_output, output) = io::pipe().unwrap();
    let pair = Socket::pair(input.into(), output.into()).unwrap();
    (pair, to_input, from_output)
}

/// A pair between two socket pairs, as some clients make instead of pipes.
fn sockets() -> (Socket, UnixStream, UnixStream) {
    let (input, to_input) = UnixStream::pair().unwrap();
    let (from_output, output) = UnixStream::pair().unwrap();
    let pair = Socket::pair(input.into(), output.into()).unwrap();
    (pair, to_input, from_output)
}

fn talks_both_ways(socket: Socket, mut input: impl Write, mut output: impl Read) {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let long = vec![b'x'; 3 * SMALL.buffer_bytes + 1];
    input.write_all(&long).unwrap();
    let mut seen = 0;
    while seen < long.len() {
        match received(&mut ring, &socket) {
            Received::Bytes(bytes) => seen += bytes.len(),
            other => panic!("{other:?}"),
        }
    }
    for mode in [SendMode::Attempt, SendMode::All] {
        assert_eq!(sent(&mut ring, &socket, b"answer", mode).unwrap(), 6);
        let mut read = [0; 6];
        output.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"answer");
    }
    input.write_all(b"last").unwrap();
    drop(input);
    assert_eq!(all(&mut ring, &socket), b"last");
    ring.close(KEY, socket);
    assert!(matches!(next(&mut ring), Completion::Closed { .. }));
    assert_eq!(output.read(&mut [0]).unwrap(), 0, "the output is closed");
    let counters = ring.counters();
    assert_eq!((counters.in_flight, counters.buffers_free), (0, 2));
}

#[test]
fn pipes_talk_both_ways() {
    let (socket, input, output) = pipes();
    talks_both_ways(socket, input, output);
}

#[test]
fn a_pipe_that_is_written_to_has_room_for_a_few_large_answers() {
    let (_socket, _in, output) = pipes();
    assert_eq!(rustix::pipe::fcntl_getpipe_size(&output).unwrap(), 256 << 10);
    let (input, _to_input) = io::pipe().unwrap();
    let (_from_output, output) = io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&output, 512 << 10).unwrap();
    let larger = output.try_clone().unwrap();
    let _socket = Socket::pair(input.into(), output.into()).unwrap();
    assert_eq!(rustix::pipe::fcntl_getpipe_size(&larger).unwrap(), 512 << 10);
}

#[test]
fn sockets_talk_both_ways() {
    let (socket, input, output) = sockets();
    talks_both_ways(socket, input, output);
}

/// Nothing spins, and no buffer is lent: others get both of them meanwhile.
#[test]
fn an_idle_receive_waits_without_work_or_buffer() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (idle, mut to_idle, _out) = pipes();
    let others: Vec<_> = (0..SMALL.buffers).map(|_| pipes()).collect();
    ring.receive(KEY, &idle);
    ring.flush().unwrap();
    let key_of = |at: usize| ConnectionKey {
        slot: at as u32 + 1,
        generation: 0,
    };
    let mut held = Vec::new();
    for (at, (socket, input, _)) in others.iter().enumerate() {
        (&*input).write_all(b"busy").unwrap();
        ring.receive(key_of(at), socket);
        match next(&mut ring) {
            Completion::Received {
                outcome: Received::Bytes(bytes),
                ..
            } => held.push(bytes),
            other => panic!("{other:?}"),
        }
    }
    held.clear();
    ring.flush().unwrap();
    let before = cpu_time();
    for _ in 0..10 {
        ring.flush_and_wait(TURN).unwrap();
        assert!(ring.next_completion().is_none());
    }
    let spent = cpu_time() - before;
    assert!(spent < 5 * TURN, "200 ms of waiting took {spent:?} of CPU");
    to_idle.write_all(b"now").unwrap();
    assert!(
        matches!(next(&mut ring), Completion::Received { outcome: Received::Bytes(bytes), .. } if &*bytes == b"now")
    );
}

fn cpu_time() -> Duration {
    let figures = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = figures.split(' ').next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

#[test]
fn an_idle_receive_ends_by_cancel_and_by_shutdown() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (piped, _in, _out) = pipes();
    let (connected, _in2, _out2) = sockets();
    for socket in [&piped, &connected] {
        ring.receive(KEY, socket);
        ring.flush().unwrap();
        ring.cancel(KEY, Operation::Receive);
        let (mut is_ended, mut is_acknowledged) = (false, false);
        while !(is_ended && is_acknowledged) {
            match next(&mut ring) {
                Completion::Received {
                    outcome: Received::Cancelled,
                    ..
                } => is_ended = true,
                Completion::Cancelled { .. } => is_acknowledged = true,
                other => panic!("{other:?}"),
            }
        }
        ring.receive(KEY, socket);
        ring.shutdown(socket, Shutdown::Both);
        assert!(matches!(
            next(&mut ring),
            Completion::Received {
                outcome: Received::Cancelled,
                ..
            }
        ));
        while ring.counters().in_flight > 0 {
            ring.flush_and_wait(TURN).unwrap();
            assert!(ring.next_completion().is_none());
        }
    }
}

/// Its other holders would notice a socket that is shut down.
#[test]
fn shutdown_leaves_the_ends_to_their_other_holders() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (client, server) = UnixStream::pair().unwrap();
    let shared = server.try_clone().unwrap();
    let socket = Socket::pair(server.try_clone().unwrap().into(), server.into()).unwrap();
    ring.shutdown(&socket, Shutdown::Both);
    ring.flush().unwrap();
    (&shared).write_all(b"still here").unwrap();
    let mut read = [0; 10];
    (&client).read_exact(&mut read).unwrap();
    assert_eq!(&read, b"still here");
}

/// Fills a pipe; returns how much it took.
fn fill(ring: &mut KernelRing, socket: &Socket) -> usize {
    /// The most an unprivileged pipe takes.
    const MUCH: usize = 1 << 20;
    let room = sent(ring, socket, &vec![b'y'; 2 * MUCH], SendMode::All).unwrap();
    assert!(room <= MUCH, "{room} bytes fit");
    room
}

#[test]
fn a_full_pipe_takes_what_fits_and_waits_for_room() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (socket, _in, mut output) = pipes();
    let room = fill(&mut ring, &socket);
    ring.send(KEY, &socket, b"more".to_vec(), 0..4, SendMode::Attempt);
    ring.flush_and_wait(TURN).unwrap();
    assert!(ring.next_completion().is_none(), "there is no room");
    let mut taken = vec![0; room];
    output.read_exact(&mut taken).unwrap();
    assert!(matches!(next(&mut ring), Completion::Sent { result: Ok(4), .. }));
}

#[test]
fn a_stuck_send_ends_by_shutdown_and_gives_its_buffer_back() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (socket, _in, _output) = pipes();
    fill(&mut ring, &socket);
    ring.send(KEY, &socket, b"stuck".to_vec(), 0..5, SendMode::All);
    ring.shutdown(&socket, Shutdown::Both);
    match next(&mut ring) {
        Completion::Sent { buffer, result, .. } => {
            assert_eq!(buffer, b"stuck");
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_that_is_gone_is_an_error_and_no_signal() {
    for mode in [SendMode::Attempt, SendMode::All] {
        let mut ring = KernelRing::new(SMALL).unwrap();
        let (socket, _in, output) = pipes();
        drop(output);
        let error = sent(&mut ring, &socket, b"lost", mode).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(ring.take_error(&socket).is_none());
        assert!(ring.peer(&socket).is_err());
    }
}

#[test]
fn a_writer_that_is_gone_is_noticed_behind_what_it_wrote() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (socket, mut input, _out) = pipes();
    ring.watch_hang_up(KEY, &socket);
    input.write_all(b"unread").unwrap();
    ring.flush_and_wait(TURN).unwrap();
    assert!(ring.next_completion().is_none(), "it is there");
    drop(input);
    assert!(matches!(
        next(&mut ring),
        Completion::HungUp {
            outcome: HangUp::Closed,
            ..
        }
    ));
    assert_eq!(all(&mut ring, &socket), b"unread");
}

#[test]
fn files_are_read_to_their_end_and_written_from_where_they_stand() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let folder = std::env::temp_dir().join(format!("weir-pairs-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (asked, answered) = (folder.join("in"), folder.join("out"));
    let questions = vec![b'q'; 2 * SMALL.buffer_bytes + 7];
    fs::write(&asked, &questions).unwrap();
    let mut output = File::create(&answered).unwrap();
    output.write_all(b"before ").unwrap();
    let socket = Socket::pair(File::open(&asked).unwrap().into(), output.into()).unwrap();
    assert_eq!(all(&mut ring, &socket), questions);
    sent(&mut ring, &socket, b"one ", SendMode::Attempt).unwrap();
    sent(&mut ring, &socket, b"two", SendMode::All).unwrap();
    assert_eq!(fs::read(&answered).unwrap(), b"before one two");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nothing_to_read_and_nobody_to_read_it() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let null = || -> OwnedFd {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into()
    };
    let socket = Socket::pair(null(), null()).unwrap();
    assert!(matches!(received(&mut ring, &socket), Received::End));
    assert_eq!(sent(&mut ring, &socket, b"void", SendMode::All).unwrap(), 4);
}

/// A descriptor that other processes made non-blocking stays so for them, and the ring waits for it all the same.
#[test]
fn non_blocking_ends_are_waited_for() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (input, mut to_input) = io::pipe().unwrap();
    let (mut from_output, output) = io::pipe().unwrap();
    let (theirs, theirs_too) = (input.try_clone().unwrap(), output.try_clone().unwrap());
    for end in [
        rustix::fs::fcntl_setfl(&theirs, rustix::fs::OFlags::NONBLOCK),
        rustix::fs::fcntl_setfl(&theirs_too, rustix::fs::OFlags::NONBLOCK),
    ] {
        end.unwrap();
    }
    let socket = Socket::pair(input.into(), output.into()).unwrap();
    ring.receive(KEY, &socket);
    ring.flush_and_wait(TURN).unwrap();
    assert!(ring.next_completion().is_none(), "it is waited for");
    to_input.write_all(b"hello").unwrap();
    assert!(matches!(
        next(&mut ring),
        Completion::Received { outcome: Received::Bytes(bytes), .. } if &*bytes == b"hello"
    ));
    assert_eq!(sent(&mut ring, &socket, b"there", SendMode::Attempt).unwrap(), 5);
    from_output.read_exact(&mut [0; 5]).unwrap();
    let is_non_blocking =
        |end: io::Result<rustix::fs::OFlags>| end.unwrap().contains(rustix::fs::OFlags::NONBLOCK);
    assert!(is_non_blocking(
        rustix::fs::fcntl_getfl(&theirs).map_err(Into::into)
    ));
    assert!(is_non_blocking(
        rustix::fs::fcntl_getfl(&theirs_too).map_err(Into::into)
    ));
}

/// A terminal, which a person may sit at.
#[test]
fn a_terminal_is_read_line_by_line() {
    let mut ring = KernelRing::new(SMALL).unwrap();
    let (mut person, terminal) = terminal();
    let socket = Socket::pair(terminal.try_clone().unwrap(), terminal).unwrap();
    ring.receive(KEY, &socket);
    ring.flush_and_wait(TURN).unwrap();
    assert!(ring.next_completion().is_none());
    person.write_all(b"typed\n").unwrap();
    assert!(matches!(
        next(&mut ring),
        Completion::Received { outcome: Received::Bytes(bytes), .. } if &*bytes == b"typed\n"
    ));
    assert_eq!(sent(&mut ring, &socket, b"shown\n", SendMode::All).unwrap(), 6);
    // The end of input, as a person types it.
    person.write_all(&[4]).unwrap();
    assert!(matches!(received(&mut ring, &socket), Received::End));
}

/// A pseudo-terminal's two ends.
fn terminal() -> (File, OwnedFd) {
    use std::os::fd::AsRawFd;
    let person = File::options().read(true).write(true).open("/dev/ptmx").unwrap();
    let unlocked: libc::c_int = 0;
    let mut number: libc::c_int = 0;
    #[allow(
        unsafe_code,
        reason = "the pseudo-terminal is opened by requests without a wrapper"
    )]
    // SAFETY: both requests take a pointer to an int, which lives through the call.
    let results = unsafe {
        [
            libc::ioctl(person.as_raw_fd(), libc::TIOCSPTLCK, &unlocked),
            libc::ioctl(person.as_raw_fd(), libc::TIOCGPTN, &mut number),
        ]
    };
    assert_eq!(results, [0, 0]);
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(format!("/dev/pts/{number}"))
        .unwrap();
    (person, terminal.into())
}
