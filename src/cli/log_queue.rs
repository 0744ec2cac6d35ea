//! Log records on their way to stderr, between the threads that make them and the one that writes them.
//!
//! stderr may be a pipe that nobody empties in time, or a disk that is slow, and a thread that writes to it waits.
//! Shards must not wait, so they leave their records here: bounded in number and bytes, without a lock. Records that
//! find no room are dropped and counted, and the log says so as soon as it can. Nothing here formats or escapes.
//!
//! Invariant: a record is written whole, in the order in which it came, or counted as dropped.

use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

/// Half a second of records at 16,000 a second.
const RECORDS_MAX: usize = 8_192;
/// Bytes of memory that all records may take.
const BYTES_MAX: usize = 4 << 20;
/// Records that go into one write: as much as a pipe holds.
const WRITE_BYTES: usize = 64 << 10;
/// A flush that makes progress may take so many times the patience of one that does not.
const FLUSH_PATIENCES_MAX: u32 = 10;
/// How often a flush checks whether everything is written.
const FLUSH_LOOK: Duration = Duration::from_micros(200);

/// The queue. Any thread may push; one thread writes.
pub(super) struct LogQueue {
    records: ArrayQueue<Box<[u8]>>,
    /// Bytes of all records that are not written yet.
    bytes: AtomicUsize,
    /// Dropped records that the log has not mentioned yet.
    dropped: AtomicU64,
    /// Whether the writing thread sleeps, or is about to.
    is_idle: AtomicBool,
    writer: OnceLock<Thread>,
    /// Whether the writing thread found no room for its own notice.
    is_notice_lost: AtomicBool,
    on_drop: fn(),
}

impl LogQueue {
    /// A queue that also reports its drops to `on_drop`.
    pub(super) fn new(on_drop: fn()) -> Arc<LogQueue> {
        Arc::new(LogQueue {
            records: ArrayQueue::new(RECORDS_MAX),
            bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            is_idle: AtomicBool::new(false),
            writer: OnceLock::new(),
            is_notice_lost: AtomicBool::new(false),
            on_drop,
        })
    }

    /// Queues a whole record, or counts it as dropped. Never waits.
    pub(super) fn push(&self, record: Box<[u8]>) {
        let bytes = record.len();
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) > BYTES_MAX || self.records.push(record).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            if self.is_writer() {
                return self.is_notice_lost.store(true, Ordering::Relaxed);
            }
            self.dropped.fetch_add(1, Ordering::AcqRel);
            return (self.on_drop)();
        }
        if self.is_idle.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    fn is_writer(&self) -> bool {
        let writer = self.writer.get();
        writer.is_some_and(|writer| writer.id() == thread::current().id())
    }

    /// Waits until everything is written, or nothing was for as long as `patience`, and not much longer in all. It must
    /// not be called on a shard.
    pub(super) fn flush(&self, patience: Duration) {
        let last = Instant::now() + patience * FLUSH_PATIENCES_MAX;
        let (mut left, mut deadline) = (usize::MAX, last);
        loop {
            let (bytes, now) = (self.bytes.load(Ordering::Acquire), Instant::now());
            if bytes < left {
                (left, deadline) = (bytes, (now + patience).min(last));
            }
            // The writer is idle only when it has also reported what was dropped.
            let is_over = bytes == 0 && self.is_idle.load(Ordering::SeqCst);
            if is_over || now >= deadline {
                return;
            }
            thread::sleep(FLUSH_LOOK);
        }
    }

    /// Writes for ever. `say_dropped` makes a record of how many were dropped, by way of this queue.
    pub(super) fn write_to(&self, mut out: impl Write, say_dropped: impl Fn(u64)) {
        let _ = self.writer.set(thread::current());
        let mut batch = Vec::with_capacity(WRITE_BYTES);
        loop {
            while let Some(record) = self.records.pop() {
                batch.extend_from_slice(&record);
                if batch.len() >= WRITE_BYTES {
                    break;
                }
            }
            if !batch.is_empty() {
                // There is nobody to tell that stderr is closed.
                let _ = out.write_all(&batch);
                self.bytes.fetch_sub(batch.len(), Ordering::AcqRel);
                batch.clear();
                batch.shrink_to(WRITE_BYTES);
                let dropped = self.dropped.swap(0, Ordering::AcqRel);
                if dropped > 0 {
                    say_dropped(dropped);
                    if self.is_notice_lost.swap(false, Ordering::Relaxed) {
                        // The notice comes later, when there is room for it.
                        self.dropped.fetch_add(dropped, Ordering::AcqRel);
                    }
                }
                continue;
            }
            self.is_idle.store(true, Ordering::SeqCst);
            // A record that was pushed before its thread saw the flag is found here; a thread that saw the flag wakes
            // this one.
            if self.records.is_empty() {
                thread::park();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A writer that waits for permission before each write.
    struct Gate {
        allowed: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.allowed.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ignore() {}

    /// A queue with its thread, the permission to write, and what was written.
    fn gated() -> (Arc<LogQueue>, Sender<()>, Receiver<Vec<u8>>) {
        let queue = LogQueue::new(ignore);
        let (allow, allowed) = channel();
        let (written, writes) = channel();
        let writing = Arc::clone(&queue);
        thread::spawn(move || {
            let gate = Gate { allowed, written };
            writing.write_to(gate, |count| {
                writing.push(format!("dropped {count}\n").into_bytes().into())
            });
        });
        (queue, allow, writes)
    }

    fn push(queue: &LogQueue, text: &str) {
        queue.push(text.as_bytes().into());
    }

    #[test]
    fn a_writer_that_hangs_holds_nobody_up_and_every_record_is_written_or_counted() {
        for (count, pad) in [(20_000_u64, ""), (3_000, &*"x".repeat(10_000))] {
            let (queue, allow, writes) = gated();
            // Nothing may be written, and yet this ends.
            for number in 0..count {
                push(&queue, &format!("record {number} {pad}\n"));
            }
            assert!(queue.bytes.load(Ordering::Relaxed) <= BYTES_MAX);
            drop(allow);
            queue.flush(PATIENCE);
            let text = writes.try_iter().flatten().collect::<Vec<u8>>();
            let text = String::from_utf8(text).unwrap();
            let numbers = |word: &str| -> Vec<u64> {
                let said = text.lines().filter_map(|line| line.strip_prefix(word));
                said.map(|line| line.split(' ').next().unwrap().parse().unwrap())
                    .collect()
            };
            let (written, dropped) = (numbers("record "), numbers("dropped "));
            assert!(written.is_sorted());
            assert!(!dropped.is_empty(), "the log says that records are missing");
            assert_eq!(written.len() as u64 + dropped.iter().sum::<u64>(), count);
        }
    }

    #[test]
    fn a_record_is_written_without_waiting_for_the_next() {
        let (queue, allow, writes) = gated();
        for number in 0..100 {
            allow.send(()).unwrap();
            push(&queue, &number.to_string());
            assert_eq!(
                writes.recv_timeout(PATIENCE).unwrap(),
                number.to_string().into_bytes()
            );
        }
    }

    #[test]
    fn a_flush_waits_for_what_is_on_its_way_and_no_longer_than_it_may() {
        let (queue, allow, writes) = gated();
        queue.flush(PATIENCE);
        push(&queue, "held");
        queue.flush(Duration::from_millis(1));
        assert!(writes.try_recv().is_err());
        allow.send(()).unwrap();
        queue.flush(PATIENCE);
        assert_eq!(writes.try_recv().unwrap(), b"held");
    }
}
