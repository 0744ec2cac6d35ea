//! What servers and clients tell each other beside the protocol (MCP: `_meta`).
//!
//! Keys have a prefix and a name: labels with dots between them and a slash behind, `com.example/`, then letters,
//! digits, hyphens, underscores and dots. The prefix may be absent, the name may be empty (2026-07-28: `MetaObject`).

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Keys that the server writes itself.
const OWN_KEYS: [&str; 3] = [
    "io.modelcontextprotocol/serverInfo",
    "io.modelcontextprotocol/related-task",
    "io.modelcontextprotocol/subscriptionId",
];

/// The members of an object's `_meta`. As long as there are none it is a null pointer, and the object has no `_meta`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta(Option<Box<Map<String, Value>>>);

impl Meta {
    /// No members.
    pub const NONE: Self = Self(None);

    /// The same with one more member, or with another value of it. Keys look like `com.example/source`; see
    /// [`MetaKeyError`].
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.insert(key, value);
        self
    }

    /// Adds a member, or gives it another value.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.get_or_insert_default().insert(key.into(), value.into());
    }

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.as_ref()?.get(key)
    }

    /// Whether there are no members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Its members.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        let members = self.0.iter().flat_map(|members| members.iter());
        members.map(|(key, value)| (key.as_str(), value))
    }

    /// # Errors
    /// One of the keys is none.
    #[inline]
    pub(in crate::registry) fn check(&self) -> Result<(), MetaKeyError> {
        match &self.0 {
            None => Ok(()),
            Some(members) => members.keys().try_for_each(|key| check_key(key)),
        }
    }
}

impl Serialize for Meta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

/// Why a key cannot be one of `_meta`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaKeyError {
    /// The part in front of the slash is no series of labels: letters, digits and hyphens between dots, beginning with
    /// a letter and ending with a letter or digit.
    #[error("the prefix of {0:?} is no series of labels like `com.example`")]
    Prefix(String),
    /// The name has other characters than letters, digits, hyphens, underscores and dots, or begins or ends with
    /// another than a letter or digit.
    #[error("the name in {0:?} is not made of letters, digits and, inside, of hyphens, underscores and dots")]
    Name(String),
    /// The server writes this member itself.
    #[error("{0:?} is written by the server")]
    Reserved(String),
}

fn check_key(key: &str) -> Result<(), MetaKeyError> {
    if OWN_KEYS.contains(&key) {
        return Err(MetaKeyError::Reserved(key.to_owned()));
    }
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !prefix.split('.').all(is_label)) {
        return Err(MetaKeyError::Prefix(key.to_owned()));
    }
    let is_name = name.is_empty()
        || is_enclosed(name, |first| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if is_name {
        Ok(())
    } else {
        Err(MetaKeyError::Name(key.to_owned()))
    }
}

fn is_label(label: &str) -> bool {
    is_enclosed(label, |first| first.is_ascii_alphabetic())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a text begins as it may, and ends with a letter or digit.
fn is_enclosed(text: &str, may_begin: impl Fn(&u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(may_begin) && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_those_of_the_specification() {
        for key in [
            "ui",
            "ui/resourceUri",
            "com.example/source",
            "com.example-2.mcp/a.b_c-d",
            "com.example/",
            "",
            "0",
            "io.modelcontextprotocol/ui",
        ] {
            assert_eq!(check_key(key), Ok(()), "{key:?}");
        }
        for prefix in [
            "/x",
            ".com/x",
            "com./x",
            "1com/x",
            "com.2example/x",
            "com-/x",
            "a b/x",
            "a_b/x",
            "é/x",
        ] {
            assert_eq!(check_key(prefix), Err(MetaKeyError::Prefix(prefix.to_owned())));
        }
        for name in ["-a", "a-", ".a", "a b", "a/b/c", "é", "_", "com.example/a!"] {
            assert_eq!(check_key(name), Err(MetaKeyError::Name(name.to_owned())));
        }
        for reserved in OWN_KEYS {
            assert_eq!(
                check_key(reserved),
                Err(MetaKeyError::Reserved(reserved.to_owned()))
            );
        }
    }

    #[test]
    fn members_keep_their_order_and_their_last_value() {
        let meta = Meta::default().with("b", 1).with("a", "x").with("b", json!([2]));
        assert_eq!(serde_json::to_string(&meta).unwrap(), r#"{"b":[2],"a":"x"}"#);
        assert_eq!(meta.get("a"), Some(&json!("x")));
        assert!(Meta::NONE.is_empty() && !meta.is_empty());
        assert_eq!(size_of::<Meta>(), size_of::<usize>());
    }
}
