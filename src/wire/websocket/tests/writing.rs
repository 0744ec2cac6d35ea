//! Frames of a server, read back by a client's rules.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use super::super::*;

/// Opcode and payload of the one frame in `bytes`.
fn read(bytes: &[u8]) -> (u8, Vec<u8>) {
    let mut cursor = std::io::Cursor::new(bytes);
    let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
    assert!(header.is_final && header.mask.is_none());
    let payload = &bytes[cursor.position() as usize..];
    assert_eq!(payload.len() as u64, length);
    (u8::from(OpCode::from(u8::from(header.opcode))), payload.to_vec())
}

#[test]
fn a_message_header_is_the_same_before_and_behind() {
    for length in [0, 125, 126, 65_535, 65_536] {
        for (kind, opcode) in [(MessageKind::Text, 1), (MessageKind::Binary, 2)] {
            let payload = vec![7; length];
            let mut behind = Vec::new();
            write_frame_header(&mut behind, kind, length);
            behind.extend_from_slice(&payload);
            assert_eq!(read(&behind), (opcode, payload.clone()));

            let mut before = vec![0xEE; 20];
            before.extend_from_slice(&payload);
            let start = write_header_before(&mut before, 20, kind, length);
            assert_eq!(before[start..], behind);
            assert!(before[..start].iter().all(|byte| *byte == 0xEE));
        }
    }
}

#[test]
#[should_panic(expected = "no room for a frame header")]
fn a_header_needs_room() {
    write_header_before(&mut [0; 9], 9, MessageKind::Text, 0);
}

#[test]
fn control_frames_carry_at_most_125_bytes() {
    let mut out = Vec::new();
    write_ping(&mut out, b"now");
    assert_eq!(read(&out), (0x9, b"now".to_vec()));
    out.clear();
    write_pong(&mut out, &[1; 300]);
    assert_eq!(read(&out), (0xA, vec![1; 125]));
}

#[test]
fn close_frames_carry_a_code_that_may_be_sent_and_a_reason_in_whole_characters() {
    let close = |code: u16, reason: &str| {
        let mut out = Vec::new();
        write_close(&mut out, code, reason);
        let (opcode, payload) = read(&out);
        assert_eq!(opcode, 0x8);
        let (code, reason) = payload.split_first_chunk::<2>().unwrap();
        let reason = String::from_utf8(reason.to_vec()).unwrap();
        (u16::from_be_bytes(*code), reason)
    };
    assert_eq!(close(1001, "draining"), (1001, "draining".to_owned()));
    assert_eq!(close(4321, ""), (4321, String::new()));
    assert_eq!(close(1005, ""), (1000, String::new()));
    let (_, reason) = close(1000, &"\u{20ac}".repeat(100));
    assert_eq!(reason, "\u{20ac}".repeat(41));
}
