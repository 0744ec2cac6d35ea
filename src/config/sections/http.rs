//! Limits of HTTP messages.

use crate::config::kind::Kind::Size;
use crate::config::kind::{GIB, KIB, MIB};
use crate::config::section::section;
use crate::config::spec::option;

section! {
    /// Limits of HTTP messages.
    #[derive(Copy)]
    pub struct HttpLimits {
        /// Bytes of request line and header fields together, with their line ends; a larger head gets 431 (or 414).
        pub head_bytes_max: usize = 32 << 10 => option("head-max", "SIZE", Size { min_bytes: KIB, max_bytes: MIB },
            "Largest request head").for_listeners(),
        /// Bytes of a body after its transfer coding is undone; a larger body gets 413.
        pub body_bytes_max: usize = 4 << 20 => option("body-max", "SIZE", Size { min_bytes: KIB, max_bytes: GIB },
            "Largest request body"),
    }
}
