//! Figures that their owners keep and hand over: each struct declares its metrics whole, with name, help and labels.

use std::fmt::Display;

use super::exposition::{Exposition, Kind};

/// A figure, or the absence of one.
pub(super) trait Figure {
    /// The value to expose, if there is one.
    fn value(&self) -> Option<&dyn Display>;
}

impl Figure for u64 {
    fn value(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

impl Figure for usize {
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
    label: Option<FigureLabel>,
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

/// Not at all: for the report, or for the owner itself.
pub(super) const HIDDEN: Option<Shown> = None;

/// A label and its value, which tell figures of one name apart.
pub(super) type FigureLabel = (&'static str, &'static str);

impl Shown {
    /// Writes this figure of each owner; an owner has a label unless it is the only one.
    pub(super) fn write<'a>(
        &self,
        exposition: &mut Exposition,
        owners: impl Iterator<Item = (Option<FigureLabel>, &'a dyn Figure)>,
    ) {
        exposition.family(self.kind, self.name, self.help, |family| {
            for (owner, figure) in owners {
                if let Some(value) = figure.value() {
                    let labels: Vec<FigureLabel> = self.label.into_iter().chain(owner).collect();
                    family.sample(&labels, value);
                }
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
            /// Exposes the figures of each owner; an owner has a label unless it is the only one.
            pub(super) fn expose(
                exposition: &mut $crate::metrics::exposition::Exposition,
                owners: &[(Option<$crate::metrics::figures::FigureLabel>, &Self)],
            ) {
                use $crate::metrics::figures::{Figure, Shown};
                $(
                    if let Some(shown) = $shown {
                        let figures = owners.iter().map(|&(owner, own)| (owner, &own.$field as &dyn Figure));
                        Shown::write(&shown, exposition, figures);
                    }
                )+
            }
        }
    };
}

pub(super) use figures;
