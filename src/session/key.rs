//! The key that seals session ids.

use std::fmt;

use sha2::{Digest, Sha256};

/// The label that keeps keys of endpoints apart from all others derived from the same one.
const ENDPOINT_PURPOSE: &[u8] = b"weir endpoint";

/// A key of 256 bits, random at start or from a file that restarts and replicas share.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey(pub(super) [u8; Self::BYTES]);

/// A key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file holds something else.
    #[error(
        "a session key is 32 bytes, or 64 hexadecimal digits, but this is {0} bytes; try `openssl rand -hex 32`"
    )]
    Length(usize),
    /// 64 characters that are not all hexadecimal digits.
    #[error("a session key of 64 characters must be hexadecimal digits; try `openssl rand -hex 32`")]
    Digits,
    /// All bytes are the same: a placeholder.
    #[error("every byte of the session key is the same; try `openssl rand -hex 32`")]
    Constant,
    /// The system gives no randomness.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
}

impl SessionKey {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// A fresh key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = [0; Self::BYTES];
        getrandom::fill(&mut bytes).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// The key for one endpoint among several: what it seals opens at no other, and still opens after a restart.
    pub fn for_endpoint(&self, name: &str) -> Self {
        let derived = Sha256::new()
            .chain_update(ENDPOINT_PURPOSE)
            .chain_update(self.0)
            .chain_update(name);
        Self(derived.finalize().into())
    }

    /// The key in a file: 32 raw bytes, or 64 hexadecimal digits with white space around them.
    ///
    /// # Errors
    /// When it is neither, or obviously a placeholder.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = match <[u8; Self::BYTES]>::try_from(bytes) {
            Ok(raw) => raw,
            Err(_) => from_hex(bytes.trim_ascii())?,
        };
        if key.iter().all(|byte| Some(byte) == key.first()) {
            Err(KeyError::Constant)
        } else {
            Ok(Self(key))
        }
    }
}

/// Shows the type's name, and never the key itself.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

fn from_hex(text: &[u8]) -> Result<[u8; SessionKey::BYTES], KeyError> {
    let (pairs, odd) = text.as_chunks::<2>();
    if pairs.len() != SessionKey::BYTES || !odd.is_empty() {
        return Err(KeyError::Length(text.len()));
    }
    let mut key = [0; SessionKey::BYTES];
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(key)
}

fn digit(character: u8) -> Result<u8, KeyError> {
    char::from(character)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(KeyError::Digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_raw_bytes_or_digits() {
        let raw: [u8; 32] = std::array::from_fn(|n| n as u8);
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = SessionKey::from_file_bytes(&raw).unwrap();
        assert_eq!(SessionKey::from_file_bytes(hex.as_bytes()), Ok(key.clone()));
        assert_eq!(
            SessionKey::from_file_bytes(format!("  {}\n", hex.to_uppercase()).as_bytes()),
            Ok(key)
        );
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let refused = |text: &[u8]| SessionKey::from_file_bytes(text).unwrap_err();
        assert_eq!(refused(b""), KeyError::Length(0));
        assert_eq!(refused(&[1; 31]), KeyError::Length(31));
        assert_eq!(refused("a".repeat(63).as_bytes()), KeyError::Length(63));
        assert_eq!(refused("zz".repeat(32).as_bytes()), KeyError::Digits);
        assert_eq!(refused("+1".repeat(32).as_bytes()), KeyError::Digits);
        assert_eq!(refused(&[0; 32]), KeyError::Constant);
        assert_eq!(refused("00".repeat(32).as_bytes()), KeyError::Constant);
    }

    #[test]
    fn is_never_shown() {
        assert_eq!(format!("{:?}", SessionKey([7; 32])), "SessionKey(…)");
        assert_ne!(SessionKey::random().unwrap(), SessionKey::random().unwrap());
    }
}
