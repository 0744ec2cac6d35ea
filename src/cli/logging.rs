//! Log records on stderr, one line each, whatever text a peer managed to get into them.
//!
//! Records are formatted by `tracing-subscriber` and escaped on their way out, so that no field, message or library can
//! forge a line, move a cursor or turn text around. A panic becomes one error record. A closed stderr is no error, and
//! a slow one holds nobody up, because a thread of its own writes (`log_queue`). Nothing here decides what is worth
//! logging or hides secrets: secrets are never passed to it. Invariant: every write to stderr is of whole records, each
//! with exactly one line feed, its last byte.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::log_queue::LogQueue;
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::metrics::on_log_record_dropped;
use crate::registry::{Noted, note_panic};

/// How long the end of the process waits for a slow stderr.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);

/// Writes the rest of the log when it is dropped; bind it in `main` for as long as anything may be logged.
#[must_use = "what is logged last is lost when the process ends first"]
#[derive(Debug)]
pub struct LogGuard(());

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(queue) = QUEUE.get() {
            queue.flush(FLUSH_PATIENCE);
        }
    }
}

/// The records to be written; unset while there is no thread to write them.
static QUEUE: OnceLock<Arc<LogQueue>> = OnceLock::new();

/// Sets up logging and the panic hook for the whole process. A second call, or one in a process that has its own
/// subscriber, leaves the first in place.
///
/// ```
/// // In `main`, until its end:
/// let _log = weir::cli::init_logging(&weir::options::LogSettings::default());
/// ```
pub fn init(settings: &LogSettings) -> LogGuard {
    start_writer();
    let builder = tracing_subscriber::fmt()
        .with_max_level(level_filter(settings.level))
        .with_ansi(false)
        .with_ansi_sanitization(false)
        .with_thread_names(true)
        .log_internal_errors(false)
        .with_writer(Records {
            format: settings.format,
            sink: stderr,
        });
    // An embedding program's own subscriber stays: it knows better where its logs go.
    let _ = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    panic::set_hook(Box::new(log_panic));
    LogGuard(())
}

/// Starts the thread that writes, once. Without it, the threads that make records write them.
fn start_writer() {
    if QUEUE.get().is_some() {
        return;
    }
    let queue = LogQueue::new(on_log_record_dropped);
    let writing = Arc::clone(&queue);
    let thread = thread::Builder::new().name("weir-log".to_owned());
    let write = move || {
        writing.write_to(io::stderr(), |records| {
            tracing::warn!(records, "log records were dropped: stderr took them too slowly");
        });
    };
    if thread.spawn(write).is_ok() {
        let _ = QUEUE.set(queue);
    }
}

/// The destination of records: the writing thread, if there is one.
fn stderr() -> Stderr {
    Stderr
}

struct Stderr;

impl Write for Stderr {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        match QUEUE.get() {
            Some(queue) => queue.push(record.into()),
            None => io::stderr().write_all(record)?,
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes what could break a line or mislead a terminal, for text that is not JSON.
pub(super) fn escape_text(text: &str) -> Cow<'_, str> {
    escape(text, LogFormat::Text)
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Logs one record instead of the standard library's several lines. The thread's name is part of every record. A caught
/// panic of a call is logged by its catcher, with the tool and the request, which are not known here.
fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let reason = info.payload_as_str().unwrap_or("not a text");
    match note_panic(&location, reason) {
        Noted::ForCatcher => tracing::debug!(location, reason, "panic"),
        Noted::Nowhere => tracing::error!(location, reason, "panic"),
    }
}

/// Makes a writer per record.
struct Records<S> {
    format: LogFormat,
    sink: S,
}

impl<'a, S, W> MakeWriter<'a> for Records<S>
where
    S: Fn() -> W,
    W: Write,
{
    type Writer = RecordWriter<W>;

    fn make_writer(&'a self) -> Self::Writer {
        RecordWriter {
            format: self.format,
            sink: (self.sink)(),
        }
    }
}

/// Escapes one record and writes it at once.
struct RecordWriter<W> {
    format: LogFormat,
    sink: W,
}

impl<W: Write> Write for RecordWriter<W> {
    /// Always takes the whole record: there is nobody to report a failure to, and none may reach the caller.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let mut line = escape(text.strip_suffix('\n').unwrap_or(&text), self.format).into_owned();
        line.push('\n');
        let _ = self.sink.write_all(line.as_bytes());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn escape(text: &str, format: LogFormat) -> Cow<'_, str> {
    let Some(first) = text.find(is_harmful) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at(first);
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(clean);
    for c in rest.chars() {
        if is_harmful(c) {
            push_escape(&mut escaped, c, format);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Inside a JSON record such a character can only stand in a string, where JSON's own escape means the same.
fn push_escape(out: &mut String, c: char, format: LogFormat) {
    let written = match (format, c) {
        (LogFormat::Text, '\n') => out.write_str("\\n"),
        (LogFormat::Text, '\r') => out.write_str("\\r"),
        (LogFormat::Text, '\t') => out.write_str("\\t"),
        (LogFormat::Text, c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
        (LogFormat::Json, c) => write!(out, "\\u{:04x}", u32::from(c)),
    };
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// Whether a character is a control (C0, DEL, C1), a line or paragraph separator, or changes the direction of text. All
/// are in the basic plane, so four hexadecimal digits name them.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects a test's records.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A pipe that nobody reads.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    /// The records that reach stderr when `log` runs.
    fn records(format: LogFormat, log: impl FnOnce()) -> Vec<String> {
        let sink = Sink::default();
        let writer = {
            let sink = sink.clone();
            Records {
                format,
                sink: move || sink.clone(),
            }
        };
        let builder = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_ansi_sanitization(false)
            .with_writer(writer);
        match format {
            LogFormat::Text => tracing::subscriber::with_default(builder.finish(), log),
            LogFormat::Json => {
                tracing::subscriber::with_default(builder.json().flatten_event(true).finish(), log);
            }
        }
        let written = sink.0.lock().unwrap();
        written
            .iter()
            .map(|record| String::from_utf8(record.clone()).unwrap())
            .collect()
    }

    /// The naive twin: character by character, from the list written out in words.
    fn naive_escape(text: &str) -> String {
        let is_bad = |n: u32| {
            n < 0x20
                || (0x7f..=0x9f).contains(&n)
                || [0x061c, 0x200e, 0x200f, 0x2028, 0x2029].contains(&n)
                || (0x202a..=0x202e).contains(&n)
                || (0x2066..=0x2069).contains(&n)
        };
        text.chars()
            .map(|c| match c {
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                c if is_bad(c.into()) => format!("\\u{{{:x}}}", u32::from(c)),
                c => c.to_string(),
            })
            .collect()
    }

    const BREAKS: [&str; 14] = [
        "\r\n",
        "\n",
        "\r",
        "\u{1b}[31m",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\0",
        "\u{202e}",
        "\u{2066}",
        "\u{7f}",
        "\u{9b}",
        "\t",
        "\u{8}",
    ];

    #[test]
    fn every_character_is_escaped_as_the_naive_twin_does() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            assert_eq!(
                escape(&text, LogFormat::Text),
                naive_escape(&text),
                "{:x}",
                u32::from(c)
            );
            let json = escape(&text, LogFormat::Json);
            assert_eq!(json == text, escape_text(&text) == text, "{:x}", u32::from(c));
        }
    }

    #[test]
    fn random_texts_are_escaped_as_the_naive_twin_does() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..5_000 {
            let text: String = (0..random.usize(0..40))
                .map(|_| {
                    if random.bool() {
                        random.char('\0'..='\u{ff}')
                    } else {
                        random.char('\u{2000}'..='\u{2070}')
                    }
                })
                .collect();
            assert_eq!(escape(&text, LogFormat::Text), naive_escape(&text), "{text:?}");
        }
    }

    #[test]
    fn clean_text_is_not_copied() {
        for text in ["", "plain", "ümläut – 漢字 \\n \"quoted\""] {
            assert!(matches!(escape_text(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn no_message_or_field_breaks_its_record() {
        for format in [LogFormat::Text, LogFormat::Json] {
            for between in BREAKS {
                let hostile = format!("a{between}FORGED");
                let written = records(format, || {
                    tracing::info!(display = %hostile, debug = ?hostile, plain = hostile.as_str(), "{hostile}");
                });
                assert_eq!(written.len(), 1, "one write, one record");
                let line = written[0].strip_suffix('\n').unwrap();
                assert!(!line.contains(is_harmful), "{line:?}");
                assert_eq!(line.matches("FORGED").count(), 4, "{line}");
            }
        }
    }

    #[test]
    fn json_records_say_what_was_said() {
        for between in BREAKS {
            let hostile = format!("a{between}b\"\\ü");
            let written = records(LogFormat::Json, || tracing::warn!(field = %hostile, "{hostile}"));
            let record: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
            assert_eq!(record["field"], hostile.as_str());
            assert_eq!(record["message"], hostile.as_str());
            assert_eq!(record["level"], "WARN");
        }
    }

    #[test]
    fn a_panic_is_one_error_record() {
        const THREAD: &str = "panicking tool";
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| match std::thread::current().name() {
            Some(THREAD) => log_panic(info),
            _ => others(info),
        }));
        let panicking = || {
            records(LogFormat::Text, || {
                panic::catch_unwind(|| panic!("first\nsecond {}", 3)).unwrap_err();
            })
        };
        let thread = std::thread::Builder::new().name(THREAD.to_owned());
        let written = thread.spawn(panicking).unwrap().join().unwrap();
        assert_eq!(written.len(), 1);
        let record = &written[0];
        assert!(
            record.contains("ERROR") && record.contains("first\\nsecond 3"),
            "{record}"
        );
        assert!(record.contains("src/cli/logging.rs:"), "{record}");
        assert!(
            !record.contains("panicked at") && !record.contains("RUST_BACKTRACE"),
            "{record}"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let mut writer = RecordWriter {
            format: LogFormat::Text,
            sink: Broken,
        };
        assert_eq!(writer.write(b"record\n").unwrap(), 7);
        writer.flush().unwrap();
    }

    #[test]
    fn bytes_that_are_no_text_do_not_stop_a_record() {
        let sink = Sink::default();
        let mut writer = RecordWriter {
            format: LogFormat::Text,
            sink: sink.clone(),
        };
        writer.write_all(b"a\xff\nb\n").unwrap();
        assert_eq!(*sink.0.lock().unwrap(), ["a\u{fffd}\\nb\n".as_bytes()]);
    }
}
