//! What a client can do when asked, as bits: small enough for a sealed session id.

use crate::jsonrpc::Value;

/// A client's declared capabilities, as far as a server can use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientCapabilities(u16);

impl ClientCapabilities {
    /// None.
    pub const NONE: Self = Self(0);
    /// Lists its roots.
    pub const ROOTS: Self = Self(1);
    /// Samples from a model.
    pub const SAMPLING: Self = Self(1 << 1);
    /// Samples with tools.
    pub const SAMPLING_TOOLS: Self = Self(1 << 2);
    /// Includes context in sampling.
    pub const SAMPLING_CONTEXT: Self = Self(1 << 3);
    /// Shows forms to its user.
    pub const ELICITATION_FORM: Self = Self(1 << 4);
    /// Opens URLs for its user.
    pub const ELICITATION_URL: Self = Self(1 << 5);

    /// Reads a `ClientCapabilities` object; what is unknown is ignored.
    pub(super) fn read(declared: Value<'_, '_>) -> Self {
        let mut found = Self::NONE;
        for (name, value) in declared.members() {
            match name {
                "roots" => found = found.with(Self::ROOTS),
                "sampling" => {
                    found = found.with(Self::SAMPLING);
                    found = found.with_if(value.member("tools").is_some(), Self::SAMPLING_TOOLS);
                    found = found.with_if(value.member("context").is_some(), Self::SAMPLING_CONTEXT);
                }
                "elicitation" => {
                    // An empty object means forms, as before there were modes.
                    let is_url = value.member("url").is_some();
                    found = found.with_if(is_url, Self::ELICITATION_URL);
                    found = found.with_if(!is_url || value.member("form").is_some(), Self::ELICITATION_FORM);
                }
                _ => {}
            }
        }
        found
    }

    /// Whether all of `others` are declared.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// For storage.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From storage.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    fn with_if(self, condition: bool, others: Self) -> Self {
        if condition { self.with(others) } else { self }
    }
}
