//! Frames of a scripted client, cut in every way, and breaking every rule.

mod floods;
mod messages;
mod splits;
mod violations;
mod writing;

use super::{Control, Intake, Limits, MessageKind, Progress, Violation};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

const LIMITS: Limits = Limits {
    message_bytes_max: 1 << 20,
    overhead_bytes_max: 16 << 10,
};

/// A masked frame in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    frame
}

/// Its header, mask included.
fn header(first: u8, payload_bytes: u64) -> Vec<u8> {
    let mut header = vec![first];
    match payload_bytes {
        0..=125 => header.push(0x80 | payload_bytes as u8),
        126..=0xFFFF => {
            header.push(0x80 | 126);
            header.extend((payload_bytes as u16).to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend(payload_bytes.to_be_bytes());
        }
    }
    header.extend(MASK);
    header
}

/// The results of a client's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Message(MessageKind, Vec<u8>),
    Control(Control),
    Violation(Violation),
}

fn text(text: &str) -> Event {
    Event::Message(MessageKind::Text, text.as_bytes().to_vec())
}

fn ping(payload: &[u8]) -> Event {
    match events(&frame(FIN | PING, payload)).as_slice() {
        [event @ Event::Control(Control::Ping(sent))] => {
            assert_eq!(sent.as_bytes(), payload);
            event.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// The shard's half: it keeps the bytes that are not consumed, and calls again as long as there are results.
#[derive(Default)]
struct Receiver {
    intake: Intake,
    window: Vec<u8>,
    events: Vec<Event>,
    window_bytes_peak: usize,
}

impl Receiver {
    fn receive(&mut self, bytes: &[u8], limits: &Limits) {
        self.window.extend_from_slice(bytes);
        while !self.has_failed() {
            let mut message = Vec::new();
            let consumed = match self.intake.advance(&self.window, &mut message, limits) {
                Ok(Progress::Incomplete) => break,
                Ok(Progress::Control { control, consumed }) => {
                    self.events.push(Event::Control(control));
                    consumed
                }
                Ok(Progress::Message { kind, consumed }) => {
                    self.events.push(Event::Message(kind, message));
                    consumed
                }
                Err(violation) => {
                    self.events.push(Event::Violation(violation));
                    0
                }
            };
            self.window.drain(..consumed);
        }
        self.window_bytes_peak = self.window_bytes_peak.max(self.window.len());
    }

    fn has_failed(&self) -> bool {
        matches!(self.events.last(), Some(Event::Violation(_)))
    }
}

/// The events of bytes that come all at once.
fn events(bytes: &[u8]) -> Vec<Event> {
    events_in_pieces(std::iter::once(bytes))
}

fn events_in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut receiver = Receiver::default();
    for piece in pieces {
        receiver.receive(piece, &LIMITS);
    }
    receiver.events
}
