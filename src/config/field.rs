//! The value of one option: how it is checked, shown and, in the command, read from texts.
//!
//! A value's meaning follows from its type and from the [`Kind`] of its row; nothing here knows an option by name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::Kind;
use super::placement::display_cpu_list;
use super::text;
use super::values::{AdminSettings, AllowList, CpuList, Linger, ReportFormat, ReportTarget, Words};
use crate::units::{ByteSize, TimeLimit, display_duration};

/// A value that is not possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The value as it would be typed.
    pub(super) value: String,
    /// The rest of a sentence that begins with the option and the value.
    pub(super) reason: String,
}

/// The value of one option, whatever its type.
pub(super) trait Field {
    /// The value in a form that can be typed again, several values with commas; `None` if none was chosen.
    fn show(&self, kind: Kind) -> Option<String>;

    /// Checks the value, and normalises it as if it had been read from a text.
    fn check(&mut self, kind: Kind) -> Result<(), Refusal>;

    /// Reads the given texts. Texts that are not possible are passed to `refuse`, and leave the value as it was.
    #[cfg(feature = "cli")]
    fn read(&mut self, texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str));
}

/// A type whose values are written as one text.
pub(super) trait Value: Sized + Clone + PartialEq {
    /// Reads a text.
    ///
    /// # Errors
    /// Returns the rest of a sentence about the value.
    fn parse(text: &str, kind: Kind) -> Result<Self, String>;

    /// The value in a form that can be typed again.
    fn show(&self, kind: Kind) -> String;

    /// Reads the text that the value shows, so that a value without a valid text is refused.
    ///
    /// # Errors
    /// Returns the rest of a sentence about the value.
    fn checked(&self, kind: Kind) -> Result<Self, String> {
        Self::parse(&self.show(kind), kind)
    }
}

impl<T: Value> Field for T {
    fn show(&self, kind: Kind) -> Option<String> {
        Some(Value::show(self, kind))
    }

    fn check(&mut self, kind: Kind) -> Result<(), Refusal> {
        *self = checked(self, kind)?;
        Ok(())
    }

    #[cfg(feature = "cli")]
    fn read(&mut self, texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str)) {
        if let Some(value) = read_one(texts, kind, refuse) {
            *self = value;
        }
    }
}

/// `None` means a value that follows from other settings or the machine; it is written `auto` where it can be written.
impl<T: Value> Field for Option<T> {
    fn show(&self, kind: Kind) -> Option<String> {
        match (self, kind) {
            (Some(value), _) => Some(Value::show(value, kind)),
            (None, Kind::CountOrAuto { .. } | Kind::DurationOrAuto { .. }) => Some("auto".to_owned()),
            (None, _) => None,
        }
    }

    fn check(&mut self, kind: Kind) -> Result<(), Refusal> {
        self.as_mut().map_or(Ok(()), |value| value.check(kind))
    }

    #[cfg(feature = "cli")]
    fn read(&mut self, texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str)) {
        let takes_auto = matches!(kind, Kind::CountOrAuto { .. } | Kind::DurationOrAuto { .. });
        let is_auto = takes_auto && matches!(texts, [text] if text.trim() == "auto");
        if is_auto {
            *self = None;
        } else if let Some(value) = read_one(texts, kind, refuse) {
            *self = Some(value);
        }
    }
}

/// Each value may occur once.
impl<T: Value> Field for Vec<T> {
    fn show(&self, kind: Kind) -> Option<String> {
        let texts: Vec<String> = self.iter().map(|value| Value::show(value, kind)).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    fn check(&mut self, kind: Kind) -> Result<(), Refusal> {
        let mut all = Vec::with_capacity(self.len());
        for value in &*self {
            let value = checked(value, kind)?;
            if all.contains(&value) {
                return Err(Refusal {
                    value: Value::show(&value, kind),
                    reason: GIVEN_TWICE.to_owned(),
                });
            }
            all.push(value);
        }
        *self = all;
        Ok(())
    }

    #[cfg(feature = "cli")]
    fn read(&mut self, texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str)) {
        *self = read_all(texts, kind, refuse);
    }
}

impl Field for AllowList {
    fn show(&self, kind: Kind) -> Option<String> {
        match self {
            Self::Any => Some("*".to_owned()),
            Self::Only(names) => Field::show(names, kind),
        }
    }

    fn check(&mut self, kind: Kind) -> Result<(), Refusal> {
        match self {
            Self::Any => Ok(()),
            Self::Only(names) => {
                names.check(kind)?;
                *self = Self::of(std::mem::take(names));
                Ok(())
            }
        }
    }

    #[cfg(feature = "cli")]
    fn read(&mut self, texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str)) {
        *self = Self::of(read_all(texts, kind, refuse));
    }
}

impl AllowList {
    fn of(names: Vec<String>) -> Self {
        if names.iter().any(|name| name == "*") {
            Self::Any
        } else {
            Self::Only(names)
        }
    }
}

const GIVEN_TWICE: &str = "is given twice; give it once";

fn checked<T: Value>(value: &T, kind: Kind) -> Result<T, Refusal> {
    value.checked(kind).map_err(|reason| Refusal {
        value: value.show(kind),
        reason,
    })
}

#[cfg(feature = "cli")]
fn read_one<T: Value>(texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str)) -> Option<T> {
    if let [_, second, ..] = texts {
        refuse(second, "is a second value; give one");
    }
    read_text(texts.first()?, kind, refuse)
}

#[cfg(feature = "cli")]
fn read_all<T: Value>(texts: &[String], kind: Kind, refuse: &mut dyn FnMut(&str, &str)) -> Vec<T> {
    let mut all = Vec::new();
    for text in texts {
        match read_text(text, kind, refuse) {
            Some(value) if all.contains(&value) => refuse(text, GIVEN_TWICE),
            Some(value) => all.push(value),
            None => {}
        }
    }
    all
}

#[cfg(feature = "cli")]
fn read_text<T: Value>(text: &str, kind: Kind, refuse: &mut dyn FnMut(&str, &str)) -> Option<T> {
    match T::parse(text.trim(), kind) {
        Ok(value) => Some(value),
        Err(reason) => {
            refuse(text, &reason);
            None
        }
    }
}

impl Value for SocketAddr {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        text::parse_address(text)
    }

    fn show(&self, _: Kind) -> String {
        self.to_string()
    }
}

impl Value for AdminSettings {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        match text {
            "off" | "false" => Ok(Self::Off),
            text => text::parse_address(text).map(Self::At),
        }
    }

    fn show(&self, _: Kind) -> String {
        self.address()
            .map_or_else(|| "off".to_owned(), |address| address.to_string())
    }

    /// Every address is possible; the text would lose that a default was not chosen.
    fn checked(&self, _: Kind) -> Result<Self, String> {
        Ok(*self)
    }
}

impl Value for ReportTarget {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix(Self::PAGE) {
            return if file.is_empty() {
                Err("names no file; write `html:FILE`".to_owned())
            } else {
                Ok(Self::Page(file.into()))
            };
        }
        ReportFormat::of_word(text)
            .map(Self::Stream)
            .ok_or_else(|| text::not_one_of(text, &["text", "json", "none", "html:FILE"]))
    }

    fn show(&self, _: Kind) -> String {
        match self {
            Self::Stream(format) => format.word().to_owned(),
            Self::Page(file) => format!("{}{}", Self::PAGE, file.display()),
        }
    }
}

/// Whole numbers are counts or bytes.
macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Value for $type {
            fn parse(text: &str, kind: Kind) -> Result<Self, String> {
                let number = match kind {
                    Kind::Size { .. } => text::parse_size(text, kind)?,
                    _ => text::parse_count(text, kind)?.into(),
                };
                Self::try_from(number).map_err(|_| "is too large".to_owned())
            }

            fn show(&self, kind: Kind) -> String {
                match kind {
                    Kind::Size { .. } => ByteSize(*self as u64).to_string(),
                    _ => self.to_string(),
                }
            }
        }
    )+};
}

numbers!(u32, u64, usize);

impl Value for CpuList {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        super::placement::parse_cpu_list(text).map(Self)
    }

    fn show(&self, _: Kind) -> String {
        display_cpu_list(&self.0)
    }
}

impl Value for Duration {
    fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        text::parse_bounded_duration(text, kind)
    }

    fn show(&self, _: Kind) -> String {
        display_duration(*self).to_string()
    }
}

impl Value for TimeLimit {
    fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        match text {
            "forever" => Ok(Self::Forever),
            text => text::parse_bounded_duration(text, kind).map(Self::For),
        }
    }

    fn show(&self, _: Kind) -> String {
        self.to_string()
    }
}

impl Value for Linger {
    fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        text::parse_linger(text, kind)
    }

    fn show(&self, _: Kind) -> String {
        match self {
            Self::None => "0s".to_owned(),
            Self::For(time) => display_duration(*time).to_string(),
            Self::Forever => "forever".to_owned(),
        }
    }
}

impl Value for PathBuf {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        match text {
            "" => Err("is empty; name a path".to_owned()),
            text if text.contains('\0') => Err("contains a NUL; name a path".to_owned()),
            text => Ok(Self::from(text)),
        }
    }

    fn show(&self, _: Kind) -> String {
        self.display().to_string()
    }

    /// A path need not be Unicode, and might not survive being shown.
    fn checked(&self, kind: Kind) -> Result<Self, String> {
        Self::parse(&self.to_string_lossy(), kind).map(|_| self.clone())
    }
}

impl Value for bool {
    fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        match text {
            "on" | "true" => Ok(true),
            "off" | "false" => Ok(false),
            text => Err(text::not_one_of(text, kind.words())),
        }
    }

    fn show(&self, _: Kind) -> String {
        if *self { "on" } else { "off" }.to_owned()
    }
}

/// Strings are names of hosts, origins, paths of URLs, and what is read elsewhere.
impl Value for String {
    fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::Origin => text::parse_origin(text),
            Kind::Host => text::parse_host(text),
            Kind::Text => text::parse_text(text),
            _ => text::parse_url_path(text),
        }
    }

    fn show(&self, _: Kind) -> String {
        self.clone()
    }
}

impl<T: Words> Value for T {
    fn parse(text: &str, _: Kind) -> Result<Self, String> {
        T::of_word(text).ok_or_else(|| text::not_one_of(text, T::WORDS))
    }

    fn show(&self, _: Kind) -> String {
        self.word().to_owned()
    }
}
