//! Figures that their owners hand over: each struct declares its metrics whole, with name, help and labels.

use std::fmt::Display;

use super::exposition::{Exposition, Kind};

/// A figure, or the absence of one.
pub(super) trait Figure {
    /// What is exposed, if anything is.
    fn value(&self) -> Option<&dyn Display>;
}

impl Figure for u64 {
    fn value(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

impl<T: Display> Figure for Option<T> {
    fn value(&self) -> Option<&dyn Display> {
        self.as_ref().map(|value| value as &dyn Display)
    }
}

/// Where and how a figure is exposed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    label: Option<(&'static str, &'static str)>,
}

/// A level.
pub(super) const fn gauge(name: &'static str, help: &'static str) -> Option<Shown> {
    Some(Shown {
        kind: Kind::Gauge,
        name,
        help,
        label: None,
    })
}

/// A sum that only grows.
pub(super) const fn counter(name: &'static str, help: &'static str) -> Option<Shown> {
    Some(Shown {
        kind: Kind::Counter,
        name,
        help,
        label: None,
    })
}

/// One of several figures of this name, told apart by a label.
pub(super) const fn labelled(
    shown: Option<Shown>,
    label: &'static str,
    value: &'static str,
) -> Option<Shown> {
    match shown {
        Some(shown) => Some(Shown {
            label: Some((label, value)),
            ..shown
        }),
        None => None,
    }
}

/// For the report alone.
pub(super) const REPORTED: Option<Shown> = None;

impl Shown {
    pub(super) fn write(&self, exposition: &mut Exposition, figure: &dyn Figure) {
        exposition.family(self.kind, self.name, self.help, |family| {
            if let Some(value) = figure.value() {
                family.sample(self.label.as_slice(), value);
            }
        });
    }
}

/// Declares figures: for each one its type and how it is exposed.
macro_rules! figures {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* pub $field:ident: $type:ty => $shown:expr, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct $name {
            $( $(#[$doc])* pub $field: $type, )+
        }

        impl $name {
            pub(super) fn expose(&self, exposition: &mut $crate::metrics::exposition::Exposition) {
                $(
                    if let Some(shown) = $shown {
                        $crate::metrics::figures::Shown::write(&shown, exposition, &self.$field);
                    }
                )+
            }
        }
    };
}

pub(super) use figures;
