//! Chunked bodies, decoded as they arrive (RFC 9112, section 7.1).
//!
//! Extensions and trailers are checked against the grammar and dropped. No line end but CRLF is accepted, and
//! nothing is allocated for a size before its data is there. The decoder buffers nothing but the decoded body.
//! Invariant: each input byte is looked at once, and the body never grows past its limit.
//!
//! ```text
//! Size ─ext─▶ Extension ─┐                     ┌──────────── CRLF ◀─ Data ◀─ (size > 0)
//!   └────── CR ──────────┴▶ SizeEnd ─LF─▶ size?┘             │
//!                                          └─(0)─▶ TrailerStart ─▶ name ─▶ value ─▶ … ─CRLF─▶ Done
//! ```

use super::BodyError;
use super::field::{is_token_byte, is_value_byte};

/// Hexadecimal digits of the largest size that fits 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;
/// Bytes of data that allow one more byte of plain framing: what a sender of 256-byte chunks needs.
const DATA_PER_FRAMING_BYTE: usize = 32;

/// Bounds on a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Decoded bytes; a larger body gets 413, as soon as a chunk announces them.
    pub body_bytes_max: usize,
    /// Bytes of framing. Extensions, trailers and superfluous zeros may take this much in all. Plain sizes and line
    /// ends may take this much and one byte more for every 32 of data, so that an honest sender of small chunks can
    /// send a body up to the limit.
    pub framing_bytes_max: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            framing_bytes_max: 16 << 10,
        }
    }
}

/// The result of one call of [`ChunkDecoder::decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to this body; all of them unless it is done.
    pub consumed: usize,
    /// Whether the body is complete, trailers and all.
    pub is_done: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The digits of a size are being read; at least one must come.
    #[default]
    Size,
    Extension(Extension),
    /// The CR of a size line was read.
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    /// The CR of a trailer was read.
    TrailerEnd,
    /// The CR of the closing empty line was read.
    LastEnd,
    Done,
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112, section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// White space stands before a semicolon.
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    QuotedPair,
    AfterQuoted,
}

/// The decoder of one body. Each request needs a fresh one (`Default`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// Digits of the current size, leading zeros included.
    size_digits: u8,
    /// Bytes of the current chunk that have not come yet.
    chunk_bytes_left: u64,
    data_bytes: usize,
    /// Bytes of framing that the sender could have left out.
    optional_bytes: usize,
    /// Bytes of size digits and line ends.
    plain_bytes: usize,
}

impl ChunkDecoder {
    /// Decodes as much of `input` as belongs to this body and appends the data to `body`. Call it with the bytes that
    /// follow until it is done. The time is linear; `body` is reallocated only beyond its capacity.
    ///
    /// # Errors
    /// Fails for broken grammar and exceeded limits: always with the same error for the same bytes, however they were
    /// cut.
    pub fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limits: &BodyLimits,
    ) -> Result<Progress, BodyError> {
        let mut rest = input;
        while let Some((&byte, behind)) = rest.split_first() {
            match self.state {
                State::Done => break,
                State::Data => rest = self.take_data(rest, body),
                _ => {
                    self.state = self.next_state(byte, limits)?;
                    self.check_framing(limits)?;
                    rest = behind;
                }
            }
        }
        Ok(Progress {
            consumed: input.len() - rest.len(),
            is_done: self.state == State::Done,
        })
    }

    fn take_data<'i>(&mut self, input: &'i [u8], body: &mut Vec<u8>) -> &'i [u8] {
        let left = usize::try_from(self.chunk_bytes_left).unwrap_or(usize::MAX);
        let (data, rest) = input.split_at(left.min(input.len()));
        body.extend_from_slice(data);
        self.data_bytes += data.len();
        self.chunk_bytes_left -= data.len() as u64;
        if self.chunk_bytes_left == 0 {
            self.state = State::DataCr;
        }
        rest
    }

    /// Steps over one byte of framing.
    fn next_state(&mut self, byte: u8, limits: &BodyLimits) -> Result<State, BodyError> {
        match self.state {
            State::Size => return self.size_state(byte),
            State::Extension(extension) => {
                self.optional_bytes += 1;
                return extension.next_state(byte).ok_or(BodyError::ChunkLine);
            }
            State::TrailerStart if byte != b'\r' => self.optional_bytes += 1,
            State::TrailerName | State::TrailerValue | State::TrailerEnd => self.optional_bytes += 1,
            _ => self.plain_bytes += 1,
        }
        match (self.state, byte) {
            (State::SizeEnd, b'\n') => self.begin_chunk(limits),
            (State::SizeEnd, _) => Err(BodyError::ChunkLine),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::DataCr | State::DataLf, _) => Err(BodyError::ChunkEnd),
            (State::TrailerStart, b'\r') => Ok(State::LastEnd),
            (State::TrailerStart | State::TrailerName, byte) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, byte) if is_value_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            (State::LastEnd, b'\n') => Ok(State::Done),
            _ => Err(BodyError::Trailer),
        }
    }

    fn size_state(&mut self, byte: u8) -> Result<State, BodyError> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            // A zero in front of other digits is the sender's choice.
            let is_superfluous = self.size_digits > 0 && self.chunk_bytes_left == 0;
            *(if is_superfluous {
                &mut self.optional_bytes
            } else {
                &mut self.plain_bytes
            }) += 1;
            self.size_digits += 1;
            if self.size_digits > SIZE_DIGITS_MAX {
                return Err(BodyError::ChunkLine);
            }
            self.chunk_bytes_left = self.chunk_bytes_left << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        if self.size_digits == 0 {
            return Err(BodyError::ChunkLine);
        }
        if byte == b'\r' {
            self.plain_bytes += 1;
            return Ok(State::SizeEnd);
        }
        self.optional_bytes += 1;
        Extension::BeforeSemicolon
            .next_state(byte)
            .ok_or(BodyError::ChunkLine)
    }

    /// Begins a chunk when the size line is complete.
    fn begin_chunk(&mut self, limits: &BodyLimits) -> Result<State, BodyError> {
        self.size_digits = 0;
        if self.chunk_bytes_left == 0 {
            return Ok(State::TrailerStart);
        }
        let room = limits.body_bytes_max.saturating_sub(self.data_bytes);
        if self.chunk_bytes_left > room as u64 {
            return Err(BodyError::TooLarge);
        }
        Ok(State::Data)
    }

    fn check_framing(&self, limits: &BodyLimits) -> Result<(), BodyError> {
        let plain_bytes_max = limits.framing_bytes_max + self.data_bytes / DATA_PER_FRAMING_BYTE;
        if self.optional_bytes > limits.framing_bytes_max
            || self.optional_bytes + self.plain_bytes > plain_bytes_max
        {
            return Err(BodyError::FramingTooLarge);
        }
        Ok(())
    }
}

impl Extension {
    /// The next state; `None` where the grammar does not allow `byte`.
    fn next_state(self, byte: u8) -> Option<State> {
        let is_space = matches!(byte, b' ' | b'\t');
        let is_end = byte == b'\r';
        let is_token = is_token_byte(byte);
        let next = match self {
            Extension::BeforeSemicolon | Extension::AfterQuoted if is_space => Extension::BeforeSemicolon,
            Extension::BeforeSemicolon if byte == b';' => Extension::BeforeName,
            Extension::BeforeName if is_space => Extension::BeforeName,
            Extension::BeforeName | Extension::Name if is_token => Extension::Name,
            Extension::Name | Extension::AfterName if is_space => Extension::AfterName,
            Extension::Name | Extension::AfterName if byte == b'=' => Extension::BeforeValue,
            Extension::BeforeValue if is_space => Extension::BeforeValue,
            Extension::BeforeValue if byte == b'"' => Extension::Quoted,
            Extension::BeforeValue | Extension::Token if is_token => Extension::Token,
            Extension::Token if is_space => Extension::BeforeSemicolon,
            Extension::Quoted if byte == b'"' => Extension::AfterQuoted,
            Extension::Quoted if byte == b'\\' => Extension::QuotedPair,
            Extension::Quoted | Extension::QuotedPair if is_value_byte(byte) => Extension::Quoted,
            Extension::Name | Extension::AfterName | Extension::Token | Extension::AfterQuoted
                if byte == b';' =>
            {
                Extension::BeforeName
            }
            Extension::Name | Extension::Token | Extension::AfterQuoted if is_end => {
                return Some(State::SizeEnd);
            }
            _ => return None,
        };
        Some(State::Extension(next))
    }
}
