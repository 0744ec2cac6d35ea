//! Content as each revision has it: what a revision does not know is replaced by a line of text, or left out.

use std::borrow::Cow;

use crate::jsonrpc::write_json;
use crate::registry::{Content, ContentBlock, ToolOutput};

use crate::mcp::revision::Revision;

/// Appends the array of a result's content blocks.
pub(super) fn write_content(output: &ToolOutput, revision: Revision, out: &mut Vec<u8>) {
    match output.content() {
        Content::Blocks(blocks) if !blocks.iter().all(|block| is_known(block, revision)) => {
            for (at, block) in blocks.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                write_block(block, revision, out);
            }
            out.push(b']');
        }
        _ => output.write_content(out),
    }
}

/// Appends a content block.
pub(super) fn write_block(block: &ContentBlock, revision: Revision, out: &mut Vec<u8>) {
    write_json(&mut *out, &*known(block, revision));
}

/// Appends the further member `structuredContent`, if there is one and the revision has it.
pub(super) fn write_structured(output: &ToolOutput, revision: Revision, out: &mut Vec<u8>) {
    let is_offered = |value: &serde_json::Value| {
        revision.has_any_structured_result() || revision.has_structured_results() && value.is_object()
    };
    if output.structured_content().is_some_and(is_offered) {
        out.extend_from_slice(br#","structuredContent":"#);
        output.write_structured(out);
    }
}

fn is_known(block: &ContentBlock, revision: Revision) -> bool {
    matches!(known(block, revision), Cow::Borrowed(_))
}

/// What a client of this revision can know of a block.
fn known(block: &ContentBlock, revision: Revision) -> Cow<'_, ContentBlock> {
    if let Some(text) = stand_in(block, revision) {
        return Cow::Owned(ContentBlock::text(text));
    }
    match block {
        ContentBlock::ResourceLink(link) if !revision.has_icons() && !link.icons.is_empty() => {
            let mut link = link.clone();
            link.icons.clear();
            Cow::Owned(link.into())
        }
        _ if !revision.has_item_meta() && block.has_meta_or_date() => {
            Cow::Owned(block.without_meta_and_date())
        }
        _ => Cow::Borrowed(block),
    }
}

/// The text that a client of an older revision reads instead of a block it cannot know.
fn stand_in(block: &ContentBlock, revision: Revision) -> Option<String> {
    match block {
        ContentBlock::Audio { mime_type, .. } if !revision.has_audio() => {
            Some(format!("[audio, {mime_type}]"))
        }
        ContentBlock::ResourceLink(link) if !revision.has_resource_links() => {
            Some(format!("{}: {}", link.name, link.uri))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;
    use crate::registry::specification::assert_matches;
    use crate::registry::{Icon, ResourceContents, ResourceLink, Role};

    /// Every type of content: bare, and with everything that it can have.
    fn every_block() -> Vec<ContentBlock> {
        let mime_type = || Some("text/plain".to_owned());
        let bare = [
            ContentBlock::text("\"\\\n\u{1}🦀"),
            ContentBlock::image(b"\0\xff", "image/png"),
            ContentBlock::audio(b"sound", "audio/wav"),
            ContentBlock::resource(ResourceContents::text("file:///a", mime_type(), "a")),
            ContentBlock::resource(ResourceContents::blob("file:///b", None, b"b")),
            ContentBlock::resource_link("file:///c", "c"),
        ];
        let contents = [
            ResourceContents::text("file:///a", mime_type(), "a").meta("com.example/of", "contents"),
            ResourceContents::blob("file:///b", None, b"b").meta("com.example/of", "contents"),
        ];
        let link = ResourceLink::new("file:///c", "c")
            .title("C")
            .description("The third.")
            .mime_type("text/plain")
            .size_bytes(3)
            .icon(Icon::new("https://example.com/c.png"));
        let rich = bare
            .clone()
            .into_iter()
            .chain(contents.map(ContentBlock::resource))
            .chain([link.into()])
            .map(|block: ContentBlock| {
                block
                    .audience([Role::User, Role::Assistant])
                    .priority(0.5)
                    .last_modified(UNIX_EPOCH + Duration::from_millis(1))
                    .meta("com.example/n", 1)
            });
        let rich: Vec<_> = rich.collect();
        bare.into_iter().chain(rich).collect()
    }

    fn written(output: &ToolOutput, revision: Revision) -> Value {
        let mut out = Vec::new();
        write_content(output, revision, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_type_of_content_matches_every_revision() {
        for revision in Revision::ALL {
            let blocks = every_block();
            let content = written(&ToolOutput::blocks(blocks.clone()), revision);
            assert_eq!(content.as_array().map(Vec::len), Some(blocks.len()));
            let result = match revision {
                Revision::V2026_07_28 => json!({"content": content, "resultType": "complete"}),
                _ => json!({"content": content}),
            };
            assert_matches(revision.as_str(), "CallToolResult", &result);
            for block in blocks {
                let mut message = br#"{"role":"user","content":"#.to_vec();
                write_block(&block, revision, &mut message);
                message.push(b'}');
                let message = serde_json::from_slice(&message).unwrap();
                assert_matches(revision.as_str(), "PromptMessage", &message);
            }
        }
    }

    /// The schemas allow members that they do not name, so these are looked for.
    #[test]
    fn older_revisions_get_no_members_that_they_do_not_know() {
        for revision in Revision::ALL {
            let content = written(&ToolOutput::blocks(every_block()), revision);
            let has = |what: &str| content.to_string().contains(what);
            let is_new = revision >= Revision::V2025_06_18;
            for member in [
                r#""_meta":{"com.example/n":1}"#,
                r#""_meta":{"com.example/of":"contents"}"#,
                r#""lastModified":"1970-01-01T00:00:00.001Z""#,
                r#""type":"resource_link""#,
                r#""size":3"#,
            ] {
                assert_eq!(has(member), is_new, "{revision:?} {member}");
            }
            assert_eq!(has("_meta"), is_new, "{revision:?}");
            assert_eq!(
                has(r#""icons""#),
                revision >= Revision::V2025_11_25,
                "{revision:?}"
            );
            assert_eq!(has(r#""type":"audio""#), revision >= Revision::V2025_03_26);
            assert!(has(
                r#""annotations":{"audience":["user","assistant"],"priority":0.5"#
            ));
            assert_eq!(has("c: file:///c"), !is_new, "{revision:?}");
        }
    }

    #[test]
    fn an_importance_is_between_nothing_and_all() {
        for (given, expected) in [
            (-1.0, json!({"priority": 0.0})),
            (2.0, json!({"priority": 1.0})),
            (f64::NAN, json!({})),
        ] {
            let block = ContentBlock::text("").priority(given);
            assert_eq!(json!(block)["annotations"], expected, "{given}");
        }
    }
}
