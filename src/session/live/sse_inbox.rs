//! Messages for a channel that arrive on other connections: POSTs for the event stream of HTTP+SSE (2024-11-05).
//!
//! A channel whose client cannot send on it has an inbox here, and its client knows it by the inbox's name: 128 random
//! bits, which work for the principal for which they were made and for nobody else. A shard that gets a message for the
//! channel posts it to the channel's shard. The store keeps nothing for a channel that is gone. The messages that a
//! channel has not processed are bounded in number and in bytes, however fast others deliver.
//!
//! Invariant: a message is counted from its delivery until it is dropped, wherever it waits meanwhile.
#![allow(
    clippy::disallowed_types,
    reason = "any shard may get a message; the lock is held for a look-up"
)]

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::{Budget, Charge};
use super::options::LiveOptions;
use super::places::StreamPlace;
use crate::mcp::{Principal, SessionToken};

/// So many that two shards rarely use the same one.
const PARTITIONS: usize = 64;
/// The bytes of an inbox beside its own: the entry in its table, and the allocator's share.
const TABLE_ENTRY_BYTES: usize = 64;
/// The bytes of a message beside its own: the event that carries it.
const EVENT_BYTES: usize = 64;

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverRefused {
    /// There is no such channel, or it belongs to another principal; the caller cannot tell these apart.
    #[error("there is no such channel")]
    Unknown,
    /// The channel has too many messages to process, or there is no memory.
    #[error("too many messages wait for this channel")]
    Full,
}

/// A channel's name as its client knows it: 32 lower-case hexadecimal digits, which nobody can guess.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChannelName([u8; Self::BYTES]);

impl ChannelName {
    /// The number of characters of a name.
    pub const BYTES: usize = 32;

    fn new(token: SessionToken) -> Self {
        let mut text = [0; Self::BYTES];
        let (pairs, _) = text.as_chunks_mut::<2>();
        for ([high, low], byte) in pairs.iter_mut().zip(token.0) {
            *high = digit(byte >> 4);
            *low = digit(byte & 0xF);
        }
        Self(text)
    }

    /// The name's characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Shows the first characters only, since a name is a secret.
impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelName({}…)", self.as_str().get(..4).unwrap_or_default())
    }
}

/// The channel's end of its inbox: while the channel holds it, messages for the channel are delivered.
pub struct SseInbox {
    token: SessionToken,
    inboxes: Arc<SseInboxes>,
    _charge: Charge,
}

impl SseInbox {
    /// The token that distinguishes its channel from all others.
    #[cfg(test)]
    pub fn token(&self) -> SessionToken {
        self.token
    }

    /// The name by which its client knows it.
    pub fn name(&self) -> ChannelName {
        ChannelName::new(self.token)
    }
}

impl Drop for SseInbox {
    fn drop(&mut self) {
        self.inboxes.lock(self.token).remove(&self.token);
    }
}

impl fmt::Debug for SseInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SseInbox({:?})", self.token)
    }
}

/// A message that was delivered and is not processed. Its drop makes room for another.
#[derive(Debug)]
pub struct SseMessage {
    message: Vec<u8>,
    waiting: Arc<Waiting>,
    _charge: Charge,
}

impl SseMessage {
    /// The message, as it was delivered.
    pub fn as_bytes(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for SseMessage {
    fn drop(&mut self) {
        self.waiting
            .bytes
            .fetch_sub(self.message.len(), Ordering::Relaxed);
        self.waiting.messages.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The messages that were delivered to one channel and are not processed.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// A copy of the message, which counts as waiting; `None` if too much waits. A message is taken however long it is
    /// if nothing else waits.
    pub(super) fn admit(
        self: &Arc<Self>,
        message: &[u8],
        options: &LiveOptions,
        budget: &Arc<Budget>,
    ) -> Option<SseMessage> {
        if !self.count(message.len(), options) {
            return None;
        }
        let charge = budget.charge(SseInboxes::message_bytes(message));
        Some(SseMessage {
            message: message.to_vec(),
            waiting: Arc::clone(self),
            _charge: charge,
        })
    }

    /// Counts a message, unless too much waits.
    fn count(&self, message_bytes: usize, options: &LiveOptions) -> bool {
        let before = self.messages.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(message_bytes, Ordering::Relaxed) + message_bytes;
        let is_too_much = before >= options.backlog_messages_max || bytes > options.backlog_bytes_max;
        let is_admitted = before == 0 || !is_too_much;
        if !is_admitted {
            self.bytes.fetch_sub(message_bytes, Ordering::Relaxed);
            self.messages.fetch_sub(1, Ordering::Relaxed);
        }
        is_admitted
    }
}

/// All inboxes of the process, by token.
pub(super) struct SseInboxes(Box<[Mutex<Partition>]>);

type Partition = HashMap<SessionToken, Slot>;

struct Slot {
    place: StreamPlace,
    principal: Principal,
    waiting: Arc<Waiting>,
}

impl SseInboxes {
    /// The bytes that an inbox costs.
    pub(super) const INBOX_BYTES: usize = size_of::<Slot>() + size_of::<Waiting>() + TABLE_ENTRY_BYTES;

    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self((0..PARTITIONS).map(|_| Mutex::default()).collect()))
    }

    /// The bytes that a message costs.
    pub(super) fn message_bytes(message: &[u8]) -> usize {
        message.len() + EVENT_BYTES
    }

    /// An inbox for the channel at `place`; `None` if the system gives no randomness just now.
    pub(super) fn open(
        self: &Arc<Self>,
        principal: Principal,
        place: StreamPlace,
        budget: &Arc<Budget>,
    ) -> Option<SseInbox> {
        let mut token = SessionToken([0; 16]);
        getrandom::fill(&mut token.0).ok()?;
        let charge = budget.charge(Self::INBOX_BYTES);
        let slot = Slot {
            place,
            principal,
            waiting: Arc::default(),
        };
        self.lock(token).insert(token, slot);
        Some(SseInbox {
            token,
            inboxes: Arc::clone(self),
            _charge: charge,
        })
    }

    /// The place of the channel with this name, if it belongs to `principal`, and the count of its waiting messages.
    pub(super) fn find(&self, name: &[u8], principal: Principal) -> Option<(StreamPlace, Arc<Waiting>)> {
        let token = parse_name(name)?;
        let partition = self.lock(token);
        let slot = partition.get(&token)?;
        (slot.principal == principal).then(|| (slot.place, Arc::clone(&slot.waiting)))
    }

    fn lock(&self, token: SessionToken) -> MutexGuard<'_, Partition> {
        let [.., last] = token.0;
        // The index is within bounds, since it is taken modulo the number of partitions. No code that runs under the
        // lock leaves a partition half changed.
        let partition = &self.0[usize::from(last) % PARTITIONS];
        partition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble - 10),
    }
}

/// The token from which a name is made; `None` for anything but 32 lower-case digits, so that a channel has one name.
fn parse_name(name: &[u8]) -> Option<SessionToken> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let name: &[u8; ChannelName::BYTES] = name.try_into().ok()?;
    let (pairs, _) = name.as_chunks::<2>();
    let mut token = [0; 16];
    for (byte, [high, low]) in token.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(SessionToken(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::StateRefused;
    use crate::ring::ConnectionKey;
    use crate::session::live::{Live, LiveEvent};

    const ANN: Principal = Principal([1; 16]);
    const BOB: Principal = Principal([2; 16]);

    fn live(options: LiveOptions) -> Arc<Live> {
        super::super::tests::live(options)
    }

    fn place(shard: u16, slot: u32) -> StreamPlace {
        let connection = ConnectionKey { slot, generation: 3 };
        StreamPlace { shard, connection }
    }

    /// The messages that were posted to a shard, with the slots of their connections.
    fn delivered(live: &Live, shard: u16) -> Vec<(u32, SseMessage)> {
        let message = |event| match event {
            LiveEvent::SseMessage { connection, message } => (connection.slot, message),
            other => panic!("{other:?}"),
        };
        live.take_events(shard).into_iter().map(message).collect()
    }

    fn deliver(live: &Live, inbox: &SseInbox, message: &[u8]) -> Result<(), DeliverRefused> {
        live.deliver_message(inbox.name().as_str().as_bytes(), ANN, message)
    }

    #[test]
    fn messages_come_to_the_shard_of_their_channel_in_order() {
        let live = live(LiveOptions::default());
        let one = live.open_sse_inbox(ANN, place(1, 7)).unwrap();
        let two = live.open_sse_inbox(ANN, place(0, 8)).unwrap();
        for (inbox, text) in [(&one, "a"), (&two, "b"), (&one, "c")] {
            assert_eq!(deliver(&live, inbox, text.as_bytes()), Ok(()));
        }
        let texts = |shard| {
            let delivered = delivered(&live, shard);
            let text = |(slot, message): &(u32, SseMessage)| (*slot, message.as_bytes().to_vec());
            delivered.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(texts(1), [(7, b"a".to_vec()), (7, b"c".to_vec())]);
        assert_eq!(texts(0), [(8, b"b".to_vec())]);
        assert_ne!(one.name(), two.name());
    }

    #[test]
    fn only_its_owner_reaches_a_channel_and_only_while_it_is_there() {
        let live = live(LiveOptions::default());
        let before = live.stats().bytes;
        let inbox = live.open_sse_inbox(ANN, place(0, 1)).unwrap();
        let name = inbox.name();
        let name = name.as_str().as_bytes();
        let refused = |name: &[u8], who| live.deliver_message(name, who, b"{}");
        assert_eq!(refused(name, BOB), Err(DeliverRefused::Unknown));
        assert_eq!(refused(name, Principal::ANONYMOUS), Err(DeliverRefused::Unknown));
        let upper = name.to_ascii_uppercase();
        let longer = [name, b"0"].concat();
        for wrong in [&name[1..], &longer, b"", &[b'0'; 32], &[b'g'; 32], &[0xFF; 32]] {
            assert_eq!(refused(wrong, ANN), Err(DeliverRefused::Unknown), "{wrong:?}");
        }
        let has_letters = name.iter().any(u8::is_ascii_lowercase);
        assert_eq!(refused(&upper, ANN).is_ok(), !has_letters);
        assert_eq!(refused(name, ANN), Ok(()));
        drop(inbox);
        assert_eq!(refused(name, ANN), Err(DeliverRefused::Unknown));
        drop(delivered(&live, 0));
        assert_eq!(live.stats().bytes, before);
    }

    #[test]
    fn what_waits_is_bounded_until_it_is_dealt_with() {
        let live = live(LiveOptions {
            backlog_bytes_max: 100,
            backlog_messages_max: 3,
            ..LiveOptions::default()
        });
        let inbox = live.open_sse_inbox(ANN, place(0, 1)).unwrap();
        let other = live.open_sse_inbox(ANN, place(0, 2)).unwrap();
        // A message of any length is taken if nothing else waits.
        assert_eq!(deliver(&live, &inbox, &[b' '; 1000]), Ok(()));
        assert_eq!(deliver(&live, &inbox, b""), Err(DeliverRefused::Full));
        assert_eq!(deliver(&live, &other, b"{}"), Ok(()));
        let mut taken = delivered(&live, 0);
        // The message waits on the shard now.
        assert_eq!(deliver(&live, &inbox, b"{}"), Err(DeliverRefused::Full));
        drop(taken.remove(0));
        for _ in 0..3 {
            assert_eq!(deliver(&live, &inbox, b"{}"), Ok(()));
        }
        assert_eq!(deliver(&live, &inbox, b"{}"), Err(DeliverRefused::Full));
        drop(delivered(&live, 0));
        assert_eq!(deliver(&live, &inbox, &[b' '; 60]), Ok(()));
        assert_eq!(deliver(&live, &inbox, &[b' '; 60]), Err(DeliverRefused::Full));
        assert_eq!(deliver(&live, &inbox, &[b' '; 40]), Ok(()));
    }

    #[test]
    fn memory_is_counted_and_can_run_out() {
        let live = live(LiveOptions {
            bytes_max: 3000,
            ..LiveOptions::default()
        });
        let inbox = live.open_sse_inbox(ANN, place(0, 1)).unwrap();
        assert_eq!(deliver(&live, &inbox, &[b' '; 2000]), Ok(()));
        assert!(live.stats().bytes > 2000);
        let other = live.open_sse_inbox(ANN, place(0, 2)).unwrap();
        assert_eq!(deliver(&live, &other, &[b' '; 2000]), Err(DeliverRefused::Full));
        drop(delivered(&live, 0));
        assert_eq!(deliver(&live, &other, &[b' '; 2000]), Ok(()));
        let mut others = Vec::new();
        let refused = loop {
            match live.open_sse_inbox(ANN, place(0, 3)) {
                Ok(inbox) => others.push(inbox),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused, StateRefused::Full);
    }

    #[test]
    fn threads_lose_nothing_and_pass_no_bound() {
        const EACH: usize = 2000;
        let live = live(LiveOptions {
            backlog_messages_max: 8,
            ..LiveOptions::default()
        });
        let inbox = live.open_sse_inbox(ANN, place(0, 1)).unwrap();
        let mut heard = [0_usize; 3];
        std::thread::scope(|scope| {
            for thread in 0..heard.len() {
                let (live, inbox) = (&live, &inbox);
                scope.spawn(move || {
                    for number in 0..EACH {
                        let message = format!("{thread}:{number}");
                        while deliver(live, inbox, message.as_bytes()).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            while heard.iter().sum::<usize>() < 3 * EACH {
                let delivered = delivered(&live, 0);
                assert!(delivered.len() <= 8, "{}", delivered.len());
                for (_, message) in &delivered {
                    let text = std::str::from_utf8(message.as_bytes()).unwrap();
                    let (thread, number) = text.split_once(':').unwrap();
                    let next = &mut heard[thread.parse::<usize>().unwrap()];
                    assert_eq!(number.parse::<usize>().unwrap(), *next, "thread {thread}");
                    *next += 1;
                }
                std::thread::yield_now();
            }
        });
        let waiting = Arc::clone(&live.sse_inboxes.lock(inbox.token())[&inbox.token()].waiting);
        assert_eq!(waiting.messages.load(Ordering::SeqCst), 0);
        assert_eq!(waiting.bytes.load(Ordering::SeqCst), 0);
    }
}
