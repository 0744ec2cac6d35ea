//! Results are the same, however the bytes are cut.

use super::*;

/// Honest and broken conversations, short enough to be cut everywhere.
fn fixtures() -> Vec<Vec<u8>> {
    let long = vec![b'x'; 300];
    let honest = [
        frame(FIN | TEXT, b"{}"),
        frame(TEXT, b"\xE2"),
        frame(FIN | PING, b"ping"),
        frame(CONTINUATION, b""),
        frame(FIN | CONTINUATION, b"\x82\xAC"),
        frame(FIN | BINARY, &long),
        frame(FIN | PONG, b""),
        frame(FIN | TEXT, b""),
        frame(FIN | CLOSE, &1000u16.to_be_bytes()),
    ];
    let behind = |fault: Vec<u8>| [frame(FIN | TEXT, b"ok"), fault, frame(FIN | TEXT, b"late")].concat();
    let mut fixtures = vec![honest.concat()];
    fixtures.extend(
        super::violations::faults()
            .into_iter()
            .map(|(bytes, _)| behind(bytes)),
    );
    fixtures
}

#[test]
fn every_cut_in_two() {
    for bytes in fixtures() {
        let whole = events(&bytes);
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            let cut = events_in_pieces([first, second].into_iter());
            assert_eq!(cut, whole, "cut at {at} of {bytes:02x?}");
        }
    }
}

#[test]
fn byte_by_byte() {
    for bytes in fixtures() {
        assert_eq!(events_in_pieces(bytes.chunks(1)), events(&bytes), "{bytes:02x?}");
    }
}

#[test]
fn cut_at_random() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for bytes in fixtures().iter().cycle().take(400) {
        let mut receiver = Receiver::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(random.usize(1..=rest.len()));
            receiver.receive(piece, &LIMITS);
            rest = behind;
        }
        assert_eq!(receiver.events, events(bytes), "seed {seed}, {bytes:02x?}");
    }
}

#[test]
fn noise_breaks_a_rule_or_waits_and_never_panics() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..20_000 {
        let length = random.usize(1..60);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        // Without this, nearly all would end at the first bit.
        bytes[0] &= 0x8F;
        let whole = events(&bytes);
        assert_eq!(
            events_in_pieces(bytes.chunks(1)),
            whole,
            "seed {seed}, {bytes:02x?}"
        );
    }
}
