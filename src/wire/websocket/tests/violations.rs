//! Everything a client must not do, and the code with which its connection is closed.

use super::*;

/// Bytes that break one rule, and the rule.
pub(super) fn faults() -> Vec<(Vec<u8>, Violation)> {
    let close = |code: u16| frame(FIN | CLOSE, &code.to_be_bytes());
    let mut faults = vec![
        (b"\x81\x02hi".to_vec(), Violation::Unmasked),
        (b"\x89\x00".to_vec(), Violation::Unmasked),
        (frame(FIN | PING, &[0; 126]), Violation::ControlTooLong),
        (header(FIN | CLOSE, 1 << 40), Violation::ControlTooLong),
        (frame(PING, b"half"), Violation::ControlFragmented),
        (frame(CLOSE, b""), Violation::ControlFragmented),
        (frame(FIN | CONTINUATION, b"x"), Violation::ContinuationOfNothing),
        (frame(CONTINUATION, b""), Violation::ContinuationOfNothing),
        (
            [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(),
            Violation::MessageInMessage,
        ),
        (
            [frame(BINARY, b"a"), frame(BINARY, b"b")].concat(),
            Violation::MessageInMessage,
        ),
        ([&[0x81, 0xFE, 0, 125], &MASK[..]].concat(), Violation::LengthForm),
        (
            [&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], &MASK[..]].concat(),
            Violation::LengthForm,
        ),
        (frame(FIN | CLOSE, b"\x03"), Violation::CloseFrame),
        (frame(FIN | CLOSE, b"\x03\xE8\xFF"), Violation::Utf8),
        (frame(FIN | TEXT, b"\xFF"), Violation::Utf8),
        (frame(FIN | TEXT, b"\xED\xA0\x80"), Violation::Utf8),
        (frame(FIN | TEXT, b"\xE2\x82"), Violation::Utf8),
        (
            [frame(TEXT, b"\xC0"), frame(FIN | CONTINUATION, b"\x80")].concat(),
            Violation::Utf8,
        ),
        (header(FIN | TEXT, (1 << 20) + 1), Violation::TooLarge),
        (header(FIN | BINARY, 1 << 63), Violation::TooLarge),
        (header(BINARY, u64::MAX), Violation::TooLarge),
    ];
    for reserved in [0x10, 0x20, 0x40, 0x70] {
        faults.push((frame(FIN | reserved | TEXT, b"x"), Violation::ReservedBit));
        faults.push((frame(FIN | reserved | PING, b"x"), Violation::ReservedBit));
    }
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        faults.push((frame(FIN | opcode, b"x"), Violation::Opcode));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535] {
        faults.push((close(code), Violation::CloseFrame));
    }
    faults
}

#[test]
fn every_fault_is_named() {
    for (bytes, violation) in faults() {
        assert_eq!(events(&bytes), [Event::Violation(violation)], "{bytes:02x?}");
    }
}

#[test]
fn what_came_before_a_fault_is_taken() {
    let bytes = [
        frame(FIN | TEXT, b"good"),
        frame(FIN | PING, b"p"),
        frame(0x83, b""),
    ]
    .concat();
    let expected = [text("good"), ping(b"p"), Event::Violation(Violation::Opcode)];
    assert_eq!(events(&bytes), expected);
}

#[test]
fn faults_have_the_codes_of_the_specification() {
    for (_, violation) in faults() {
        let code = violation.close_code().number();
        let expected = match violation {
            Violation::Utf8 => 1007,
            Violation::TooLarge => 1009,
            _ => 1002,
        };
        assert_eq!(code, expected, "{violation}");
        assert!(violation.reason().len() <= 123, "{violation}");
    }
    assert_eq!(Violation::Flood.close_code().number(), 1008);
}

#[test]
fn the_sum_of_fragments_counts_before_they_are_there() {
    let half = vec![b'x'; 1 << 19];
    let fits = [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat();
    assert_eq!(events(&fits), [text(&"x".repeat(1 << 20))]);
    let announced = [frame(TEXT, &half), header(CONTINUATION, (1 << 19) + 1)].concat();
    assert_eq!(events(&announced), [Event::Violation(Violation::TooLarge)]);
    let full = [
        frame(TEXT, &half),
        frame(CONTINUATION, &half),
        header(CONTINUATION, 1),
    ]
    .concat();
    assert_eq!(events(&full), [Event::Violation(Violation::TooLarge)]);
}

#[test]
fn nothing_is_reserved_for_what_is_only_announced() {
    let mut message = Vec::new();
    let bytes = header(FIN | BINARY, 1 << 20);
    let progress = Intake::default().advance(&bytes, &mut message, &LIMITS);
    assert_eq!(progress, Ok(Progress::Incomplete));
    assert_eq!(message.capacity(), 0);
}
