//! Sealing a session into its id and opening it again.
//!
//! ```text
//!   format 1 │ key id 2 │ nonce 24 │ sealed 41: revision 1, capabilities 2, issued 6, principal 16, token 16 │ tag 16
//! ```
//!
//! An id is 84 bytes, XChaCha20-Poly1305 over the sealed part with format and key id as associated data, and then
//! base64url: 112 characters, of which the first four are the same for all of a key's ids. The extended nonce makes
//! random nonces safe for any number of ids. A tombstone remembers the token. Nothing here allocates.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};

use super::key::SessionKey;
use crate::mcp::{
    ClientCapabilities, Era, Principal, Revision, Session, SessionId, SessionUnavailable, UnixSeconds,
};

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 3;
const NONCE_BYTES: usize = 24;
const SEALED_BYTES: usize = 41;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = 16;
const ID_BYTES: usize = HEAD_BYTES + NONCE_BYTES + SEALED_BYTES + TAG_BYTES;
const TEXT_BYTES: usize = ID_BYTES / 3 * 4;

const _: () = assert!(ID_BYTES.is_multiple_of(3), "every character of an id must count");
const _: () = assert!(TEXT_BYTES <= SessionId::BYTES_MAX);

/// What distinguishes one session from all others: 128 random bits.
pub(super) type Token = [u8; TOKEN_BYTES];

/// An opened id.
pub(super) struct Plain {
    pub(super) session: Session,
    pub(super) issued: UnixSeconds,
    pub(super) token: Token,
}

/// One key, ready for use.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    head: [u8; HEAD_BYTES],
}

impl Seal {
    pub(super) fn new(key: &SessionKey) -> Self {
        let cipher = XChaCha20Poly1305::new(&Key::from(key.0));
        Self {
            head: head(&cipher),
            cipher,
        }
    }

    pub(super) fn seal(&self, session: &Session, now: UnixSeconds) -> Result<SessionId, SessionUnavailable> {
        let mut random = [0; NONCE_BYTES + TOKEN_BYTES];
        getrandom::fill(&mut random).map_err(|_| SessionUnavailable)?;
        self.seal_with(&random, session, now).ok_or(SessionUnavailable)
    }

    fn seal_with(
        &self,
        random: &[u8; NONCE_BYTES + TOKEN_BYTES],
        session: &Session,
        now: UnixSeconds,
    ) -> Option<SessionId> {
        let (nonce, token) = random.split_first_chunk::<NONCE_BYTES>()?;
        let mut sealed = plain_bytes(session, now, token.try_into().ok()?)?;
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(*nonce), &self.head, sealed.as_mut_slice().into())
            .ok()?;
        let mut id = [0; ID_BYTES];
        let mut at = 0;
        for part in [&self.head[..], nonce, &sealed, &tag] {
            id.get_mut(at..at + part.len())?.copy_from_slice(part);
            at += part.len();
        }
        let mut text = [0; TEXT_BYTES];
        URL_SAFE_NO_PAD.encode_slice(id, &mut text).ok()?;
        SessionId::new(&text)
    }

    /// The session sealed in this text; `None` if anything at all is wrong with it.
    pub(super) fn open(&self, text: &[u8]) -> Option<Plain> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        let mut id = [0; ID_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut id).ok()?;
        let (head, rest) = id.get(..length)?.split_first_chunk::<HEAD_BYTES>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (sealed, rest) = rest.split_first_chunk::<SEALED_BYTES>()?;
        let tag = <[u8; TAG_BYTES]>::try_from(rest).ok()?;
        if *head != self.head {
            return None;
        }
        let mut plain = *sealed;
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                head,
                plain.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .ok()?;
        from_plain_bytes(&plain)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// Format and key id. The key id is a tag over an empty text under a nonce that is never used otherwise: it tells keys
/// apart and reveals nothing about them.
fn head(cipher: &XChaCha20Poly1305) -> [u8; HEAD_BYTES] {
    let mut nothing = [0; 0];
    let nonce = XNonce::from([0; NONCE_BYTES]);
    let tag = cipher.encrypt_inout_detached(&nonce, b"weir session key id", nothing.as_mut_slice().into());
    match tag.as_deref() {
        Ok([a, b, ..]) => [FORMAT, *a, *b],
        _ => [FORMAT, 0, 0],
    }
}

fn plain_bytes(session: &Session, now: UnixSeconds, token: Token) -> Option<[u8; SEALED_BYTES]> {
    let [_, _, issued @ ..] = now.0.to_be_bytes();
    let mut plain = [0; SEALED_BYTES];
    let parts: [&[u8]; 5] = [
        &[u8::try_from(session.revision.index()).ok()?],
        &session.capabilities.bits().to_be_bytes(),
        &issued,
        &session.principal.0,
        &token,
    ];
    let mut at = 0;
    for part in parts {
        plain.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(plain)
}

fn from_plain_bytes(plain: &[u8; SEALED_BYTES]) -> Option<Plain> {
    let [
        revision,
        capability_high,
        capability_low,
        a,
        b,
        c,
        d,
        e,
        f,
        rest @ ..,
    ] = plain;
    let (principal, token) = rest.split_first_chunk::<16>()?;
    let revision = *Revision::ALL.get(usize::from(*revision))?;
    let session = Session {
        revision,
        capabilities: ClientCapabilities::from_bits(u16::from_be_bytes([*capability_high, *capability_low])),
        principal: Principal(*principal),
    };
    (revision.era() == Era::Legacy).then_some(Plain {
        session,
        issued: UnixSeconds(u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f])),
        token: token.try_into().ok()?,
    })
}
