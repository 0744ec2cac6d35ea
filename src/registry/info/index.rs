//! Indices into a registry, one type for each kind of entry.

/// Declares indices into a registry, in order of registration.
macro_rules! indices {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub(in crate::registry) u32);

            impl $name {
                /// The index into a table with one row for each entry.
                pub fn as_usize(self) -> usize {
                    self.0 as usize
                }

                /// The index after `count` others.
                pub(in crate::registry) fn after(count: usize) -> Self {
                    Self(count as u32)
                }
            }
        )+
    };
}

indices! {
    /// A tool's index in its registry.
    ToolIndex,
    /// A resource's index in its registry.
    ResourceIndex,
    /// A resource template's index in its registry.
    TemplateIndex,
    /// A resource lister's index in its registry.
    ListerIndex,
    /// A prompt's index in its registry.
    PromptIndex,
    /// A completion function's index in its registry.
    CompleterIndex,
}

/// A server that is another program, by its place among those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(pub u16);

impl ServerIndex {
    /// The index into a table with one row for each server.
    pub fn as_usize(self) -> usize {
        self.0.into()
    }
}
