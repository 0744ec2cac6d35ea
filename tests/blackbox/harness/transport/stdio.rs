//! A server of the client's own: a line for each message, on its standard input and output.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Command};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::Transport;
use crate::harness::message::Revision;
use crate::harness::process::Process;
use crate::harness::request::Request;
use crate::harness::specification;
use crate::harness::wait::PATIENCE;

/// The process, and the ends of its pipes.
#[derive(Debug)]
pub(crate) struct Stdio {
    process: Process,
    /// The input; `None` once it was closed.
    input: Option<ChildStdin>,
    output: ChildStdout,
    revision: Revision,
    /// The bytes that have come and were not taken.
    came: Vec<u8>,
    /// The last message.
    line: String,
}

impl Stdio {
    /// Starts `command`, whose standard input and output are the transport.
    pub(crate) fn start(command: Command, revision: Revision) -> Self {
        let (process, input, output) = Process::spawn_piped(command);
        Self {
            process,
            input: Some(input),
            output,
            revision,
            came: Vec::new(),
            line: String::new(),
        }
    }

    /// Reads what is there, after waiting for it; returns false at the end.
    fn read_some(&mut self) -> bool {
        let mut polled = [PollFd::new(&self.output, PollFlags::IN)];
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        let ready = poll(&mut polled, Some(&timeout)).unwrap();
        let came = String::from_utf8_lossy(&self.came);
        assert_ne!(ready, 0, "no line in {PATIENCE:?}, but {came:?}");
        let mut buffer = [0; 16 << 10];
        let count = self.output.read(&mut buffer).unwrap();
        self.came.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

impl Transport for Stdio {
    fn send(&mut self, message: &Request) {
        assert!(!message.body.contains(&b'\n'), "a message is one line");
        let mut line = message.body.clone();
        line.push(b'\n');
        self.input.as_mut().unwrap().write_all(&line).unwrap();
    }

    fn receive(&mut self) -> Value {
        loop {
            if let Some(end) = self.came.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.came.drain(..=end).collect();
                let message = specification::read(&line[..end], self.revision);
                self.line = String::from_utf8(line).unwrap().trim_end().to_owned();
                return message;
            }
            assert!(
                self.read_some(),
                "the server closed its output: {}",
                self.process.stderr()
            );
        }
    }

    fn text(&self) -> &str {
        &self.line
    }

    fn close(mut self: Box<Self>) {
        self.input = None;
        while self.read_some() {}
        let rest = String::from_utf8_lossy(&self.came);
        assert_eq!(rest, "", "nobody asked for more");
        assert_eq!(self.process.wait().code(), Some(0), "{}", self.process.stderr());
    }
}
