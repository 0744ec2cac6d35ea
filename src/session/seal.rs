//! Sealing a session into its id and opening it again.
//!
//! ```text
//!   format 1 │ key id 2 │ nonce 12 │ sealed 41: revision 1, capabilities 2, issued 6, principal 16, token 16 │ tag 16
//!   and, if the client said what it is, in plain text: ~name~version
//! ```
//!
//! An id is 72 bytes, AES-128-GCM-SIV (RFC 8452) over the sealed part with format and key id as associated data, and
//! then base64url: 96 characters, of which the first four are the same for all of a key's ids. What the client said of
//! itself, at most 64 characters of visible ASCII behind these, is associated data as well: an id with another text
//! there is unknown. Should two ids ever have
//! the same random nonce, nothing is lost: the construction is misuse-resistant, and their tokens still differ. With
//! the processor's instructions for AES it takes a fifth of the instructions that XChaCha20-Poly1305 takes for a text
//! this short; that was format 1, which is unknown now. A tombstone remembers the token. Nothing here allocates.

use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_gcm_siv::{Aes128GcmSiv, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::key::SessionKey;
use crate::mcp::{ClientCapabilities, Era, Principal, Revision, Session, SessionId, UnixSeconds};
use crate::registry::CLIENT_TEXT_BYTES_MAX;

const FORMAT: u8 = 2;
const HEAD_BYTES: usize = 3;
const NONCE_BYTES: usize = 12;
const SEALED_BYTES: usize = 41;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = 16;
const ID_BYTES: usize = HEAD_BYTES + NONCE_BYTES + SEALED_BYTES + TAG_BYTES;
const KEY_BYTES: usize = 16;
/// The label that keeps this key apart from all others derived from the same one.
const PURPOSE: &[u8] = b"weir session ids";

const _: () = assert!(ID_BYTES.is_multiple_of(3), "every character of an id must count");
const _: () = assert!(TEXT_BYTES == SessionId::SEALED_BYTES && SessionId::BYTES_MAX <= 160);
/// Format, key id and what the client said.
const ASSOCIATED_BYTES_MAX: usize = HEAD_BYTES + CLIENT_TEXT_BYTES_MAX;

/// Characters of an id.
pub(super) const TEXT_BYTES: usize = ID_BYTES / 3 * 4;
/// Random bytes in an id.
pub(super) const RANDOM_BYTES: usize = NONCE_BYTES + TOKEN_BYTES;

/// What distinguishes one session from all others: 128 random bits.
pub(super) type Token = [u8; TOKEN_BYTES];

/// An opened id.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) session: Session,
    pub(super) issued: UnixSeconds,
    pub(super) token: Token,
}

/// One key, ready for use.
pub(super) struct Seal {
    cipher: Aes128GcmSiv,
    head: [u8; HEAD_BYTES],
}

impl Seal {
    pub(super) fn new(key: &SessionKey) -> Self {
        let derived: [u8; 32] = Sha256::new()
            .chain_update(PURPOSE)
            .chain_update(key.0)
            .finalize()
            .into();
        let (secret, told) = derived.split_at(KEY_BYTES);
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(secret);
        let mut head = [FORMAT; HEAD_BYTES];
        // The key id, which tells keys apart and says nothing of the secret.
        for (byte, told) in head.iter_mut().skip(1).zip(told) {
            *byte = *told;
        }
        Self {
            cipher: Aes128GcmSiv::new(&key.into()),
            head,
        }
    }

    /// The text of a session that begins now, without what its `client` said, and the session as both open.
    pub(super) fn seal(
        &self,
        random: &[u8; RANDOM_BYTES],
        session: &Session,
        client: &[u8],
        now: UnixSeconds,
    ) -> Option<([u8; TEXT_BYTES], Plain)> {
        let (nonce, token) = random.split_first_chunk::<NONCE_BYTES>()?;
        let plain = Plain {
            session: *session,
            issued: now,
            token: token.try_into().ok()?,
        };
        let mut sealed = plain_bytes(&plain)?;
        let (associated, associated_bytes) = self.associated(client)?;
        let associated = associated.get(..associated_bytes)?;
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(*nonce), associated, sealed.as_mut_slice().into())
            .ok()?;
        let mut id = [0; ID_BYTES];
        let mut at = 0;
        for part in [&self.head[..], nonce, &sealed, &tag] {
            id.get_mut(at..at + part.len())?.copy_from_slice(part);
            at += part.len();
        }
        let mut text = [0; TEXT_BYTES];
        URL_SAFE_NO_PAD.encode_slice(id, &mut text).ok()?;
        Some((text, plain))
    }

    /// What the seal covers beside the session: the head, and what the client said.
    fn associated(&self, client: &[u8]) -> Option<([u8; ASSOCIATED_BYTES_MAX], usize)> {
        let mut bytes = [0; ASSOCIATED_BYTES_MAX];
        let (head, rest) = bytes.split_first_chunk_mut()?;
        *head = self.head;
        rest.get_mut(..client.len())?.copy_from_slice(client);
        Some((bytes, HEAD_BYTES + client.len()))
    }

    /// The session sealed in this text, behind which stands what its `client` said; `None` if anything at all is wrong
    /// with either.
    pub(super) fn open(&self, text: &[u8; TEXT_BYTES], client: &[u8]) -> Option<Plain> {
        let (associated, associated_bytes) = self.associated(client)?;
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
                &Nonce::from(*nonce),
                associated.get(..associated_bytes)?,
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

fn plain_bytes(plain: &Plain) -> Option<[u8; SEALED_BYTES]> {
    let session = &plain.session;
    let [_, _, issued @ ..] = plain.issued.0.to_be_bytes();
    let mut bytes = [0; SEALED_BYTES];
    let parts: [&[u8]; 5] = [
        &[u8::try_from(session.revision.index()).ok()?],
        &session.capabilities.bits().to_be_bytes(),
        &issued,
        &session.principal.0,
        &plain.token,
    ];
    let mut at = 0;
    for part in parts {
        bytes.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(bytes)
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
