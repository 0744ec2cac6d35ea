//! Messages of honest clients.

use super::*;

#[test]
fn the_examples_of_the_specification() {
    // The example of section 5.7.
    let masked_hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(events(&masked_hello), [text("Hello")]);
    let masked_pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(events(&masked_pong), [Event::Control(Control::Pong)]);
}

#[test]
fn payloads_of_every_length_form() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let expected = Event::Message(MessageKind::Binary, payload.clone());
        assert_eq!(events(&frame(FIN | BINARY, &payload)), [expected], "{length}");
    }
}

#[test]
fn fragments_are_put_together_and_control_frames_between_them_come_first() {
    let bytes = [
        frame(TEXT, b"one "),
        frame(FIN | PING, b"are you there"),
        frame(CONTINUATION, b""),
        frame(CONTINUATION, b"two "),
        frame(FIN | PONG, b"x"),
        frame(FIN | CONTINUATION, "drei \u{20ac}".as_bytes()),
        frame(FIN | BINARY, b"\xFF"),
    ]
    .concat();
    let expected = [
        ping(b"are you there"),
        Event::Control(Control::Pong),
        text("one two drei \u{20ac}"),
        Event::Message(MessageKind::Binary, vec![0xFF]),
    ];
    assert_eq!(events(&bytes), expected);
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    let euro = "\u{20ac}".as_bytes();
    let bytes = [frame(TEXT, &euro[..1]), frame(FIN | CONTINUATION, &euro[1..])].concat();
    assert_eq!(events(&bytes), [text("\u{20ac}")]);
}

#[test]
fn a_message_is_appended_behind_what_is_there() {
    let mut message = b"room for a head".to_vec();
    let bytes = frame(FIN | TEXT, b"payload");
    let progress = Intake::default().advance(&bytes, &mut message, &LIMITS);
    let consumed = bytes.len();
    let kind = MessageKind::Text;
    assert_eq!(progress, Ok(Progress::Message { kind, consumed }));
    assert_eq!(message, b"room for a headpayload");
}

#[test]
fn close_frames_say_why_or_not() {
    let close = |payload: &[u8]| events(&frame(FIN | CLOSE, payload));
    let closed = |code| [Event::Control(Control::Close { code })];
    assert_eq!(close(b""), closed(None));
    for code in [1000, 1001, 1003, 1009, 1011, 1013, 3000, 4999u16] {
        let payload = [&code.to_be_bytes()[..], "gr\u{fc}n".as_bytes()].concat();
        assert_eq!(close(&payload), closed(Some(code)), "{code}");
    }
}

#[test]
fn control_frames_between_fragments_consume_nothing() {
    let first = [frame(TEXT, b"a"), frame(FIN | PING, b"p")].concat();
    let mut intake = Intake::default();
    let mut message = Vec::new();
    assert!(!intake.is_amid());
    let progress = intake.advance(&first, &mut message, &LIMITS).unwrap();
    assert!(matches!(progress, Progress::Control { consumed: 0, .. }));
    assert_eq!(
        intake.advance(&first, &mut message, &LIMITS),
        Ok(Progress::Incomplete)
    );
    assert!(intake.is_amid() && message.is_empty());
    let window = [first, frame(FIN | CONTINUATION, b"b")].concat();
    let (kind, consumed) = (MessageKind::Text, window.len());
    let progress = intake.advance(&window, &mut message, &LIMITS);
    assert_eq!(progress, Ok(Progress::Message { kind, consumed }));
    assert!(!intake.is_amid());
    assert_eq!(message, b"ab");
}

#[test]
fn a_begun_frame_is_amid_and_an_empty_window_is_not() {
    let mut intake = Intake::default();
    let bytes = frame(FIN | TEXT, b"abc");
    for length in 0..bytes.len() {
        let progress = intake.advance(&bytes[..length], &mut Vec::new(), &LIMITS);
        assert_eq!(progress, Ok(Progress::Incomplete));
        assert_eq!(intake.is_amid(), length > 0, "{length}");
    }
}

#[test]
fn an_intake_is_small() {
    assert!(size_of::<Intake>() <= 40, "{} bytes", size_of::<Intake>());
}
