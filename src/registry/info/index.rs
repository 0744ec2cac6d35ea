//! Places in a registry, one type for each kind of thing.

/// Declares places in a registry, in order of registration.
macro_rules! indices {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub(in crate::registry) u32);

            impl $name {
                /// As an index into a table with one row for each.
                pub fn as_usize(self) -> usize {
                    self.0 as usize
                }

                /// The place after `count` others.
                pub(in crate::registry) fn after(count: usize) -> Self {
                    Self(count as u32)
                }
            }
        )+
    };
}

indices! {
    /// A tool's place in its registry.
    ToolIndex,
    /// A resource's place in its registry.
    ResourceIndex,
    /// A resource template's place in its registry.
    TemplateIndex,
    /// A resource lister's place in its registry.
    ListerIndex,
    /// A prompt's place in its registry.
    PromptIndex,
    /// A completion function's place in its registry.
    CompleterIndex,
}
