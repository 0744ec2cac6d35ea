//! Files and images: small ones in the result, and all of them as resources that are read while they are sent.
//!
//! For files that the server makes or knows. Not for a directory whose tree clients walk: the toolset `files` does
//! that.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{
    BlockingContext, ContentBlock, Registry, RegistryError, ResourceLink, ResourceTemplate, StreamedBytes, Tool,
    ToolError,
};

/// Larger images cost a model too much.
const SHOWN_MAX: u64 = 500_000;

pub struct Photos(pub PathBuf);

#[derive(Deserialize, JsonSchema)]
pub struct Name {
    name: String,
}

impl Photos {
    /// The file of this name, in the directory and nowhere else.
    fn path(&self, name: &str) -> Result<PathBuf, ToolError> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let path = self.0.join(format!("{name}.png"));
        (is_plain && path.is_file()).then_some(path).ok_or_else(|| ToolError::not_found(format!("no photo {name:?}")))
    }

    fn show(&self, _: &BlockingContext, Name { name }: Name) -> Result<Vec<ContentBlock>, ToolError> {
        let path = self.path(&name)?;
        let size = path.metadata()?.len();
        let mut blocks = Vec::new();
        if size <= SHOWN_MAX {
            blocks.push(ContentBlock::image(&fs::read(&path)?, "image/png"));
        }
        let link = ResourceLink::new(format!("photo://{name}"), name).mime_type("image/png").size_bytes(size);
        blocks.push(link.into());
        Ok(blocks)
    }

    fn read(&self, _: &BlockingContext, Name { name }: Name) -> Result<StreamedBytes, ToolError> {
        Ok(StreamedBytes::from_reader(File::open(self.path(&name)?)?))
    }
}

pub fn registry(photos: Photos) -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(Arc::new(photos));
    registry.add(Tool::new("show").description("Shows a photo.").read_only().run_blocking(Photos::show))?;
    let template = ResourceTemplate::new("photo://{name}", "photo").mime_type("image/png");
    registry.add(template.read_blocking(Photos::read))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn photos_are_shown_and_read_but_nothing_else() {
        let directory = std::env::temp_dir().join(format!("cookbook-photos-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("cat.png"), b"\x89PNG").unwrap();
        fs::write(directory.join("lion.png"), vec![0; 600_000]).unwrap();
        let mut client = Client::new(registry(Photos(directory.clone())).unwrap());
        let shown = client.call("show", json!({"name": "cat"}));
        assert_eq!((&shown.content()[0]["data"], &shown.content()[1]["size"]), (&json!("iVBORw=="), &json!(4)));
        assert_eq!(client.call("show", json!({"name": "lion"})).content()[0]["type"], "resource_link");
        assert_eq!(client.read("photo://cat").result()["contents"][0]["blob"], "iVBORw==");
        assert!(client.call("show", json!({"name": "../cat"})).is_error());
        assert!(client.read("photo://dog").error_code().is_some());
        fs::remove_dir_all(directory).unwrap();
    }
}
