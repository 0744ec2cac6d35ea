//! `file_info`: a description of a path, without opening it.
//!
//! A symbolic link is described, not followed; where it leads is told only if that is inside the root.

use cap_std::fs::Metadata;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::{Kind, ShownName};
use super::error::FileError;
use super::root::{Root, Served};

/// Arguments of `file_info`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct FileInfoArguments {
    /// Path of the file, directory or symbolic link, relative to the served directory.
    pub path: String,
}

/// The description of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileInfo {
    /// The kind of the entry; a symbolic link is not followed.
    pub kind: Kind,
    /// Size in bytes, of regular files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// When its content last changed, in UTC, as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub modified: Option<String>,
    /// Where it leads, if it is a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkInfo>,
}

/// Where a symbolic link leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LinkInfo {
    /// Where its end is.
    pub leads: LinkLeads,
    /// The end's path, relative to the served directory, if it is inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What the end is, if it is inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_kind: Option<Kind>,
}

/// Where a symbolic link's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkLeads {
    /// Inside the served directory.
    Inside,
    /// Out of the served directory: it cannot be followed, and is not described further.
    Outside,
    /// To nothing, in a circle, or to where the server may not look.
    Nowhere,
}

/// Describes a path.
///
/// # Errors
/// It is outside the root, missing, or in a directory that may not be searched.
pub fn file_info(root: &Root, args: &FileInfoArguments) -> Result<FileInfo, FileError> {
    let root = &root.served()?;
    let relative = root.relative(&args.path)?;
    let metadata = root
        .dir()
        .symlink_metadata(&relative)
        .map_err(|error| FileError::from_io(&args.path, error))?;
    let kind = Kind::from(metadata.file_type());
    Ok(FileInfo {
        kind,
        size_bytes: (kind == Kind::File).then(|| metadata.len()),
        modified: modified_unix_s(&metadata).map(rfc3339),
        link: (kind == Kind::Symlink).then(|| link_info(root, &args.path, &relative)),
    })
}

fn link_info(root: &Served, path: &str, relative: &std::path::Path) -> LinkInfo {
    let end = root.dir().metadata(relative).and_then(|metadata| {
        let target = root.dir().canonicalize(relative)?;
        Ok((
            Kind::from(metadata.file_type()),
            ShownName::new(target.as_os_str()).text,
        ))
    });
    match end {
        Ok((kind, target)) => LinkInfo {
            leads: LinkLeads::Inside,
            target: Some(target),
            target_kind: Some(kind),
        },
        Err(error) => {
            let leads = match FileError::from_io(path, error) {
                FileError::OutsideRoot { .. } => LinkLeads::Outside,
                _ => LinkLeads::Nowhere,
            };
            LinkInfo {
                leads,
                target: None,
                target_kind: None,
            }
        }
    }
}

fn modified_unix_s(metadata: &Metadata) -> Option<i64> {
    use cap_std::fs::MetadataExt;
    // Before the year 1 or after 9999 there is no RFC 3339 date.
    Some(metadata.mtime()).filter(|unix_s| (-62_135_596_800..=253_402_300_799).contains(unix_s))
}

/// `unix_s` as RFC 3339 writes it. The date is computed from the first of March of the year 0, so that leap days
/// come last in their year (Hinnant, "chrono-compatible low-level date algorithms").
fn rfc3339(unix_s: i64) -> String {
    let (days, second_of_day) = (unix_s.div_euclid(86_400), unix_s.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn dates_at_the_edges() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(-62_135_596_800), "0001-01-01T00:00:00Z");
        assert_eq!(rfc3339(253_402_300_799), "9999-12-31T23:59:59Z");
    }

    /// The twin: what `httpdate` says of the same second.
    #[test]
    fn dates_agree_with_httpdate() {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let unix_s = random.u64(..253_402_300_800);
            let http = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s));
            let month = MONTHS.iter().position(|&month| month == &http[8..11]).unwrap() + 1;
            let twin = format!("{}-{month:02}-{}T{}Z", &http[12..16], &http[5..7], &http[17..25]);
            assert_eq!(rfc3339(unix_s as i64), twin);
        }
    }
}
