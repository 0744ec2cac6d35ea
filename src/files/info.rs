//! `file_info`: a description of a path, without opening it.
//!
//! A symbolic link is described, not followed; where it leads is told only if that is inside the root.

use cap_std::fs::Metadata;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::{Kind, ShownName};
use crate::units::UnixSeconds;

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
        modified: modified_unix_s(&metadata).map(|unix_s| UnixSeconds(unix_s).to_string()),
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
