//! Sealing the state that a client carries for us from one request to the next: `requestState` of multi round-trip
//! requests.
//!
//! ```text
//!   format 1 │ nonce 12 │ sealed: expiry 8, plain │ tag 16
//! ```
//!
//! The state is sealed by AES-256-GCM-SIV (RFC 8452) and written in base64url. The format, and the request to which the
//! state is bound, are associated data, so a state that comes back with another request, or from another principal,
//! does not open. The key is derived from that of session ids: with a key from a file, every replica opens what another
//! sealed. A state may come back any number of times until it expires; a caller that must not serve one twice has to
//! remember it.
//! Specification: 2026-07-28, patterns/mrtr, "requestState".

use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::key::SessionKey;
use crate::mcp::UnixSeconds;

const FORMAT: u8 = 2;
const NONCE_BYTES: usize = 12;
const EXPIRY_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// For how long a client's user may think about a question.
const AGE_MAX_SECONDS: u64 = 10 * 60;
/// The longest text that is made, and the longest that is accepted.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The label that keeps this key apart from all others derived from the same one.
const PURPOSE: &[u8] = b"weir request state";

/// One key, ready for use.
pub(super) struct RequestStateSeal {
    cipher: Aes256GcmSiv,
}

impl RequestStateSeal {
    pub(super) fn new(key: &SessionKey) -> Self {
        let derived: [u8; 32] = Sha256::new()
            .chain_update(PURPOSE)
            .chain_update(key.0)
            .finalize()
            .into();
        Self {
            cipher: Aes256GcmSiv::new(&derived.into()),
        }
    }

    /// The sealed text; `None` without randomness, or if the state is too long.
    pub(super) fn seal(&self, plain: &[u8], bound: &[u8], now: UnixSeconds) -> Option<String> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        let expiry = now.0.saturating_add(AGE_MAX_SECONDS).to_be_bytes();
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + EXPIRY_BYTES + plain.len() + TAG_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        let head_bytes = sealed.len();
        sealed.extend_from_slice(&expiry);
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(head_bytes..)?;
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &associated(bound), body.into())
            .ok()?;
        sealed.extend_from_slice(&tag);
        let text = URL_SAFE_NO_PAD.encode(sealed);
        (text.len() <= TEXT_BYTES_MAX).then_some(text)
    }

    /// The state; `None` if anything at all is wrong with the text.
    pub(super) fn open(&self, text: &str, bound: &[u8], now: UnixSeconds) -> Option<Vec<u8>> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (format, rest) = sealed.split_first()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        if *format != FORMAT {
            return None;
        }
        let mut body = body.to_vec();
        self.cipher
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &associated(bound),
                body.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        let (expiry, plain) = body.split_first_chunk::<EXPIRY_BYTES>()?;
        (now.0 < u64::from_be_bytes(*expiry)).then(|| plain.to_vec())
    }
}

impl std::fmt::Debug for RequestStateSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestStateSeal(…)")
    }
}

fn associated(bound: &[u8]) -> Vec<u8> {
    [&[FORMAT], bound].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
    const BOUND: &[u8] = b"ann, tools/call book";

    fn seal() -> RequestStateSeal {
        RequestStateSeal::new(&SessionKey([7; 32]))
    }

    fn later(seconds: u64) -> UnixSeconds {
        UnixSeconds(NOW.0 + seconds)
    }

    #[test]
    fn opens_what_was_sealed_for_ten_minutes() {
        let sealed = |plain: &[u8]| seal().seal(plain, BOUND, NOW).unwrap();
        for plain in [&b""[..], b"{}", &[0; 1000]] {
            let text = sealed(plain);
            assert!(
                text.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            );
            assert_eq!(seal().open(&text, BOUND, NOW).as_deref(), Some(plain));
            assert_eq!(seal().open(&text, BOUND, later(599)).as_deref(), Some(plain));
            assert_eq!(seal().open(&text, BOUND, later(600)), None);
        }
        assert_ne!(sealed(b"{}"), sealed(b"{}"));
        assert!(!sealed(b"secret").contains(&URL_SAFE_NO_PAD.encode(b"secret")));
    }

    #[test]
    fn opens_for_nobody_else_and_nothing_else() {
        let text = seal().seal(b"{}", BOUND, NOW).unwrap();
        assert_eq!(seal().open(&text, b"bob, tools/call book", NOW), None);
        assert_eq!(seal().open(&text, b"", NOW), None);
        let other_key = RequestStateSeal::new(&SessionKey([8; 32]));
        assert_eq!(other_key.open(&text, BOUND, NOW), None);
        // The key is not the one of session ids, though it is made of it.
        let ids_key = RequestStateSeal {
            cipher: Aes256GcmSiv::new(&[7; 32].into()),
        };
        assert_eq!(ids_key.open(&text, BOUND, NOW), None);
    }

    #[test]
    fn every_change_is_noticed() {
        let text = seal().seal(b"{\"a\":1}", BOUND, NOW).unwrap();
        for at in 0..text.len() {
            assert_eq!(seal().open(&text[..at], BOUND, NOW), None, "cut at {at}");
            for new in [b'A', b'b', b'_', b'='] {
                let mut bytes = text.clone().into_bytes();
                if bytes[at] != new {
                    bytes[at] = new;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert_eq!(seal().open(&changed, BOUND, NOW), None, "{at}");
                }
            }
        }
        for wrong in [
            format!("{text}A"),
            format!("{text}AAAA"),
            format!(" {text}"),
            String::new(),
            "é".into(),
        ] {
            assert_eq!(seal().open(&wrong, BOUND, NOW), None, "{wrong}");
        }
    }

    #[test]
    fn is_never_longer_than_it_may_be() {
        let overhead = 1 + NONCE_BYTES + EXPIRY_BYTES + TAG_BYTES;
        let most = TEXT_BYTES_MAX / 4 * 3 - overhead;
        let text = seal().seal(&vec![1; most], BOUND, NOW).unwrap();
        assert_eq!(text.len(), TEXT_BYTES_MAX);
        assert_eq!(seal().open(&text, BOUND, NOW), Some(vec![1; most]));
        assert_eq!(seal().seal(&vec![1; most + 1], BOUND, NOW), None);
    }
}
