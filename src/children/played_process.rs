//! A child's process that a test plays, at the other ends of simulated pipes.

use std::time::Duration;

use super::child::ChildLimits;
use super::line::{Line, LineReader, Message};
use super::piped::PipeSockets;
use crate::config::PoolSettings;
use crate::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedSocket};

/// The process: it echoes what it is asked, in an order of its own.
pub(crate) struct Process {
    pub(crate) stdin: SimulatedPeer,
    pub(crate) stdout: SimulatedPeer,
    pub(crate) stderr: SimulatedPeer,
    pub(crate) reader: LineReader,
    /// Everything that it has read.
    pub(crate) seen: Vec<u8>,
    pub(crate) questions: Vec<String>,
    pub(crate) is_reading: bool,
}

impl Process {
    /// One whose pipes are new; our ends of them.
    pub(crate) fn start(network: &SimulatedNetwork) -> (Process, PipeSockets<SimulatedSocket>) {
        let (input, stdin) = network.pipe();
        let (output, stdout) = network.pipe();
        let (errors, stderr) = network.pipe();
        let process = Process {
            stdin,
            stdout,
            stderr,
            reader: LineReader::new(1 << 20),
            seen: Vec::new(),
            questions: Vec::new(),
            is_reading: true,
        };
        (
            process,
            PipeSockets {
                input,
                output,
                errors,
            },
        )
    }

    /// It is gone: nobody holds its ends.
    pub(crate) fn die(&self) {
        self.stdin.close();
        self.stdout.finish();
        self.stderr.finish();
    }

    pub(crate) fn read(&mut self) {
        if !self.is_reading {
            return;
        }
        let bytes = self.stdin.read();
        self.seen.extend_from_slice(&bytes);
        let questions = &mut self.questions;
        self.reader.feed(&bytes, |line| match line {
            Line::Whole(text) => questions.push(String::from_utf8(text.to_vec()).unwrap()),
            Line::TooLong(_) => panic!("too long"),
        });
    }

    /// Answers one question.
    pub(crate) fn answer(&mut self, at: usize) {
        let question = self.questions.remove(at);
        let message = Message::read(question.as_bytes()).unwrap();
        let Some(id) = message.call_id(question.as_bytes()) else {
            return;
        };
        if question.contains("\"initialize\"") {
            let result = r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}"#;
            return self.say(&format!("{{\"id\":{id},\"result\":{result}}}\n"));
        }
        self.stderr.write(format!("asked {id}\n").as_bytes());
        if message.progress_token.is_some() {
            let params = format!("{{\"progressToken\":{id},\"progress\":1}}");
            self.say(&format!(
                "{{\"method\":\"notifications/progress\",\"params\":{params}}}\n"
            ));
        }
        let params = message.params.unwrap().of(question.as_bytes());
        let params = std::str::from_utf8(params).unwrap();
        self.say(&format!("{{\"id\":{id},\"result\":{params}}}\n"));
    }

    /// Answers one that is no call, or drops it if it wants no answer.
    pub(crate) fn answer_other(&mut self, at: usize) {
        if self
            .questions
            .get(at)
            .is_some_and(|question| question.contains("\"initialize\""))
        {
            return self.answer(at);
        }
        let question = self.questions.remove(at);
        let message = Message::read(question.as_bytes()).unwrap();
        if let Some(id) = message.call_id(question.as_bytes()) {
            self.say(&format!("{{\"id\":{id},\"result\":{{}}}}\n"));
        }
    }

    pub(crate) fn say(&self, text: &str) {
        self.stdout.write(text.as_bytes());
    }

    /// Whether it has read a call of this caller.
    pub(crate) fn saw(&self, caller: u32) -> bool {
        let name = format!("\"caller\":{caller},");
        String::from_utf8_lossy(&self.seen).contains(&name)
    }
}

/// A call that tells its caller.
pub(crate) fn request(caller: u32, bytes: usize) -> String {
    let filler = "x".repeat(bytes);
    format!(
        r#"{{"id":"c","method":"tools/call","params":{{"_meta":{{"progressToken":7}},"caller":{caller},"x":"{filler}"}}}}"#
    )
}

/// The limits of a child under default settings.
pub(crate) fn limits_by_default() -> ChildLimits {
    let half_a_minute = Duration::from_secs(30);
    ChildLimits::of(&PoolSettings::default(), half_a_minute, half_a_minute)
}
