//! Removing the mask of a client's payload (RFC 6455, section 5.3) while it is copied to its destination.

/// Bytes masked at a time: one vector register of the plainest x86-64 or ARMv8.
const LANE_BYTES: usize = 16;

/// Appends `payload` without its mask.
///
/// The payload is copied first and then unmasked in place, because both loops become vector instructions; a loop that
/// pushes byte by byte does not.
pub(super) fn append_unmasked(payload: &[u8], mask: [u8; 4], message: &mut Vec<u8>) {
    let begin = message.len();
    message.extend_from_slice(payload);
    if let Some(copied) = message.get_mut(begin..) {
        unmask(copied, mask);
    }
}

pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut lane = [0; LANE_BYTES];
    for (key, byte) in lane.iter_mut().zip(mask.iter().cycle()) {
        *key = *byte;
    }
    let (lanes, rest) = payload.as_chunks_mut::<LANE_BYTES>();
    for bytes in lanes {
        for (byte, key) in bytes.iter_mut().zip(lane) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(lane) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_unmasked_as_byte_by_byte() {
        let mask = [0x5A, 0x00, 0xFF, 0x13];
        for length in 0..=100u8 {
            let payload: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            let naive = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
            let expected: Vec<u8> = b"before".iter().copied().chain(naive).collect();
            let mut message = b"before".to_vec();
            append_unmasked(&payload, mask, &mut message);
            assert_eq!(message, expected, "{length} bytes");
        }
    }
}
