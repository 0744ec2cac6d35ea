//! Sections of the settings: a struct whose fields are options, one row each.
//!
//! A row holds everything that is known of an option: its type, default and place in the settings, its name, the
//! placeholder for its value, the values it takes, a sentence of help, and where it may stand. Flags, environment
//! variables, keys of the file, help texts and `weir check` are all derived from the rows.
//!
//! ```text
//! /// From a request head's first byte to its last.
//! pub head: Duration = seconds(10) => option("head-timeout", "TIME", DEADLINE, "…"),
//! ```

use super::field::Field;
use super::spec::OptionSpec;

/// A group of options.
pub(super) trait Section: Default {
    /// One specification for each field.
    const SPECS: &'static [OptionSpec];

    /// The values, in the same order.
    fn fields(&self) -> Vec<&dyn Field>;

    /// The same values, to be changed.
    fn fields_mut(&mut self) -> Vec<&mut dyn Field>;
}

/// Declares a section with its rows.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* pub $field:ident: $type:ty = $default:expr => $spec:expr, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[$doc])* pub $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::config::section::Section for $name {
            const SPECS: &'static [$crate::config::spec::OptionSpec] = &[$( $spec, )+];

            fn fields(&self) -> Vec<&dyn $crate::config::field::Field> {
                vec![$( &self.$field, )+]
            }

            fn fields_mut(&mut self) -> Vec<&mut dyn $crate::config::field::Field> {
                vec![$( &mut self.$field, )+]
            }
        }
    };
}

pub(super) use section;
