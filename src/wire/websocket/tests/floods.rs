//! Clients that send framing and no message.

use super::*;

/// Sends `bytes` behind the first fragment until the receiver gives up, with a bound.
fn flood(bytes: &[u8]) -> Receiver {
    let mut receiver = Receiver::default();
    receiver.receive(&frame(TEXT, b""), &LIMITS);
    let rounds_max = 2 * LIMITS.window_bytes_max() / bytes.len();
    for _ in 0..rounds_max {
        receiver.receive(bytes, &LIMITS);
        if receiver.has_failed() {
            break;
        }
    }
    receiver
}

#[test]
fn framing_inside_a_message_is_bounded() {
    let floods = [
        frame(CONTINUATION, b""),
        frame(CONTINUATION, b"x"),
        frame(FIN | PING, b""),
        frame(FIN | PONG, &[0; 125]),
        [frame(CONTINUATION, b""), frame(FIN | PING, b"x")].concat(),
    ];
    for bytes in floods {
        let receiver = flood(&bytes);
        let last = receiver.events.last();
        assert_eq!(last, Some(&Event::Violation(Violation::Flood)), "{bytes:02x?}");
        let peak = receiver.window_bytes_peak;
        assert!(peak <= 20 << 10, "{peak} bytes kept of {bytes:02x?}");
    }
}

#[test]
fn control_frames_between_messages_leave_nothing_behind() {
    let mut receiver = Receiver::default();
    for _ in 0..10_000 {
        receiver.receive(&frame(FIN | PING, b"p"), &LIMITS);
        receiver.receive(&frame(FIN | TEXT, b""), &LIMITS);
    }
    assert_eq!(receiver.events.len(), 20_000);
    assert_eq!((receiver.window_bytes_peak, receiver.has_failed()), (0, false));
}

#[test]
fn honest_fragments_may_fill_a_message() {
    let mut receiver = Receiver::default();
    let fragments = LIMITS.message_bytes_max / 64;
    for number in 0..fragments {
        let first = match number {
            0 => BINARY,
            _ if number + 1 == fragments => FIN | CONTINUATION,
            _ => CONTINUATION,
        };
        receiver.receive(&frame(first, &[b'x'; 64]), &LIMITS);
    }
    let whole = vec![b'x'; LIMITS.message_bytes_max];
    assert!(receiver.events == [Event::Message(MessageKind::Binary, whole)]);
    assert!(receiver.window_bytes_peak <= LIMITS.window_bytes_max());
}

#[test]
fn no_window_grows_beyond_what_the_limits_say() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let limits = Limits {
        message_bytes_max: 1000,
        overhead_bytes_max: 100,
    };
    for _ in 0..500 {
        let mut receiver = Receiver::default();
        receiver.receive(&frame(BINARY, b""), &limits);
        while !receiver.has_failed() {
            let payload = vec![0; random.usize(0..=125)];
            let first = *random.choice([CONTINUATION, FIN | PING].as_slice()).unwrap();
            for byte in frame(first, &payload) {
                receiver.receive(&[byte], &limits);
            }
        }
        let (peak, max) = (receiver.window_bytes_peak, limits.window_bytes_max());
        assert!(peak <= max, "{peak} of {max} bytes, seed {seed}");
    }
}
