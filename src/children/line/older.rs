//! A child's answer for a client of an older revision: content that the client cannot know becomes content that says
//! the same.
//!
//! | a child's | for clients before | becomes |
//! |---|---|---|
//! | audio | 2025-03-26 | an embedded resource with the same data |
//! | link to a resource | 2025-06-18 | a text with its name and its URI |
//! | structured content that is no object | 2026-07-28 | a text, if the result has none |
//!
//! A child of 2026-07-28 says more: the members that all its results have are left out, with what is the protocol's own
//! in `_meta`, and errors get the codes that the older era has.
//!
//! Every other byte stays as the child wrote it.

use memchr::memmem;

use crate::jsonrpc::{Id, Member, Span, element_spans, members, places_without, write_string};
use crate::mcp::{Era, Revision};
use crate::metrics::Outcome;

use super::message::{Kind, Message};
use super::modern::names_uri;
use super::modern_meta::Unknown;
use super::outcome::outcome_of;
use super::splice::{write_answer, write_without_breaks};

/// A place in a line, and what takes its place.
type Edit = (Span, Vec<u8>);

/// The codes of errors that only the modern era has: headers, capabilities, versions.
const MODERN_CODES: [&[u8]; 3] = [b"-32020", b"-32021", b"-32022"];
const INTERNAL_ERROR: &[u8] = b"-32603";
/// The code for a resource that is not found, before 2026-07-28 and since then.
const RESOURCE_NOT_FOUND: &[u8] = b"-32002";
const INVALID_PARAMS: &[u8] = b"-32602";

/// What an answer to a legacy client gets.
#[derive(Clone, Copy, Debug)]
pub struct LegacyTerms<'t> {
    /// The client's id of the request.
    pub id: Id<'t>,
    /// Its revision.
    pub revision: Revision,
    /// Whether it reads a resource.
    pub reads: bool,
    /// The era in which the child speaks.
    pub era: Era,
}

/// Appends a child's answer for a legacy client, and says what it is counted as then.
pub fn write_legacy_answer(
    out: &mut Vec<u8>,
    line: &[u8],
    message: &Message,
    terms: &LegacyTerms<'_>,
) -> Outcome {
    let mut edits = match (message.kind, terms.era) {
        (Kind::Error, Era::Modern) => error_edits(line, message, terms.reads),
        _ if may_need_edits(line, message, terms) => result_edits(line, message, terms),
        _ => Vec::new(),
    };
    if edits.is_empty() {
        write_answer(out, line, message, terms.id);
        return outcome_of(line, message);
    }
    let counted = match edits.first() {
        Some((_, code)) if code == RESOURCE_NOT_FOUND => Outcome::ResourceNotFound,
        Some((_, code)) if code == INTERNAL_ERROR => Outcome::InternalError,
        _ => outcome_of(line, message),
    };
    if let Some(place) = message.id {
        let mut written = Vec::new();
        terms.id.write(&mut written);
        edits.push((place, written));
    }
    edits.sort_by_key(|(place, _)| place.start);
    let mut at = 0;
    for (place, written) in edits {
        write_without_breaks(out, line.get(at..place.start).unwrap_or_default());
        write_without_breaks(out, &written);
        at = at.max(place.end);
    }
    write_without_breaks(out, line.get(at..).unwrap_or_default());
    counted
}

/// The code of an error as the older era has it.
fn error_edits(line: &[u8], message: &Message, reads: bool) -> Vec<Edit> {
    let Some(error) = message.outcome.filter(|error| is_object(error.of(line))) else {
        return Vec::new();
    };
    let text = error.of(line);
    let (mut code, mut has_uri) = (None, false);
    for member in members(text) {
        match &*member.name(text) {
            "code" => code = Some(member.value),
            "data" => has_uri = names_uri(member.value.of(text)),
            _ => {}
        }
    }
    let Some(code) = code else { return Vec::new() };
    let written = match code.of(text) {
        modern if MODERN_CODES.contains(&modern) => INTERNAL_ERROR,
        INVALID_PARAMS if reads && has_uri => RESOURCE_NOT_FOUND,
        _ => return Vec::new(),
    };
    vec![(code.within(error), written.to_vec())]
}

/// Whether an answer may have something that the revision lacks. Most have not, and are looked into no further.
fn may_need_edits(line: &[u8], message: &Message, terms: &LegacyTerms<'_>) -> bool {
    let has = |text: &str| memmem::find(line, text.as_bytes()).is_some();
    let (found, revision) = (&message.result, terms.revision);
    let structured = found.structured;
    let is_more = found.kind.is_some() || found.has_ttl || found.has_scope;
    message.kind == Kind::Result
        && (terms.era == Era::Modern && (is_more || found.meta.is_some())
            || !revision.has_any_structured_result()
                && structured.is_some_and(|value| !is_object(value.of(line)))
            || !revision.has_resource_links() && has("resource_link")
            || !revision.has_audio() && has("audio"))
}

fn result_edits(line: &[u8], message: &Message, terms: &LegacyTerms<'_>) -> Vec<Edit> {
    let revision = terms.revision;
    let mut edits = Vec::new();
    let Some(result) = message.outcome else {
        return edits;
    };
    let text = result.of(line);
    let all: Vec<Member> = members(text).collect();
    for member in &all {
        match &*member.name(text) {
            "content" => edit_blocks(text, member.value, revision, &mut edits),
            "messages" => edit_messages(text, member.value, revision, &mut edits),
            "_meta" if terms.era == Era::Modern => edit_meta(text, member.value, &mut edits),
            _ => {}
        }
    }
    let is_lost = |member: &Member| {
        let has_no_place = !revision.has_any_structured_result() && !is_object(member.value.of(text));
        has_no_place && member.name(text) == "structuredContent"
    };
    let is_unknown = |member: &Member| {
        terms.era == Era::Modern
            && match &*member.name(text) {
                "resultType" | "ttlMs" | "cacheScope" => true,
                "_meta" => Unknown::of(member.value.of(text)) == Some(Unknown::Whole),
                _ => false,
            }
    };
    let is_left_out = |member: &Member| is_lost(member) || is_unknown(member);
    edits.extend(places_without(&all, is_left_out).map(|place| (place, Vec::new())));
    let lost = all.iter().rfind(|member| is_lost(member));
    let content = all.iter().rfind(|member| member.name(text) == "content");
    if let (Some(lost), Some(content)) = (lost, content) {
        edits.extend(text_instead(text, content.value, lost.value));
    }
    for (place, _) in &mut edits {
        *place = place.within(result);
    }
    edits
}

/// Cuts what is the modern protocol's own out of `_meta`, if something is left then.
fn edit_meta(text: &[u8], meta: Span, edits: &mut Vec<Edit>) {
    if let Some(Unknown::Parts(places)) = Unknown::of(meta.of(text)) {
        edits.extend(places.into_iter().map(|place| (place.within(meta), Vec::new())));
    }
}

/// Edits the blocks of an array of content.
fn edit_blocks(text: &[u8], array: Span, revision: Revision, edits: &mut Vec<Edit>) {
    for block in elements(text, array) {
        edits.extend(stand_in(block.of(text), revision).map(|written| (block, written)));
    }
}

/// Edits the one block of each of a prompt's messages.
fn edit_messages(text: &[u8], array: Span, revision: Revision, edits: &mut Vec<Edit>) {
    for message in elements(text, array) {
        let value = message.of(text);
        for member in members(value).filter(|member| member.name(value) == "content") {
            let block = member.value.within(message);
            edits.extend(stand_in(block.of(text), revision).map(|written| (block, written)));
        }
    }
}

/// What says the same as a block that the revision does not know.
fn stand_in(block: &[u8], revision: Revision) -> Option<Vec<u8>> {
    let value = |name: &str| {
        let found = members(block).filter(|member| member.name(block) == name).last();
        found.map(|member| member.value.of(block))
    };
    let text = |name: &str| value(name).and_then(|value| serde_json::from_slice::<String>(value).ok());
    let mut out = Vec::new();
    match text("type")?.as_str() {
        "audio" if !revision.has_audio() => {
            out.extend_from_slice(br#"{"type":"resource","resource":{"uri":"data:,audio","mimeType":"#);
            out.extend_from_slice(value("mimeType")?);
            out.extend_from_slice(br#","blob":"#);
            out.extend_from_slice(value("data")?);
            out.push(b'}');
        }
        "resource_link" if !revision.has_resource_links() => {
            let name = text("title").or_else(|| text("name")).unwrap_or_default();
            out.extend_from_slice(br#"{"type":"text","text":"#);
            write_string(&mut out, &format!("{name}: {}", text("uri")?));
        }
        _ => return None,
    }
    if let Some(annotations) = value("annotations") {
        out.extend_from_slice(br#","annotations":"#);
        out.extend_from_slice(annotations);
    }
    out.push(b'}');
    Some(out)
}

/// The structured content at `lost` as a block at the end of the content, unless that has a text already.
fn text_instead(text: &[u8], content: Span, lost: Span) -> Option<Edit> {
    let is_text = |block: &[u8]| {
        members(block).any(|member| member.name(block) == "type" && member.value.of(block) == b"\"text\"")
    };
    let blocks = elements(text, content);
    if content.of(text).first() != Some(&b'[') || blocks.iter().any(|block| is_text(block.of(text))) {
        return None;
    }
    let mut written = if blocks.is_empty() { Vec::new() } else { vec![b','] };
    written.extend_from_slice(br#"{"type":"text","text":"#);
    write_string(&mut written, &String::from_utf8_lossy(lost.of(text)));
    written.push(b'}');
    let end = content.end - 1;
    Some((Span { start: end, end }, written))
}

/// The elements of the array at this place; none if it is something else.
fn elements(text: &[u8], array: Span) -> Vec<Span> {
    if array.of(text).first() != Some(&b'[') {
        return Vec::new();
    }
    let spans = element_spans(array.of(text)).into_iter();
    spans.map(|span| Span::from(span).within(array)).collect()
}

fn is_object(value: &[u8]) -> bool {
    value.first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn written(line: &str, revision: Revision) -> String {
        let message = Message::read(line.as_bytes()).unwrap();
        let mut out = Vec::new();
        let terms = LegacyTerms {
            id: Id::Text("c"),
            revision,
            reads: false,
            era: Era::Legacy,
        };
        write_legacy_answer(&mut out, line.as_bytes(), &message, &terms);
        String::from_utf8(out).unwrap()
    }

    /// What a modern child's answer becomes, and what it is counted as.
    fn downgraded(line: &str, revision: Revision, reads: bool) -> (String, Outcome) {
        let message = Message::read(line.as_bytes()).unwrap();
        let mut out = Vec::new();
        let terms = LegacyTerms {
            id: Id::Text("c"),
            revision,
            reads,
            era: Era::Modern,
        };
        let counted = write_legacy_answer(&mut out, line.as_bytes(), &message, &terms);
        (String::from_utf8(out).unwrap(), counted)
    }

    #[test]
    fn what_only_modern_results_have_is_left_out() {
        let legacy = Revision::ALL
            .into_iter()
            .filter(|revision| revision.era() == Era::Legacy);
        for revision in legacy {
            for (result, expected) in [
                (
                    r#"{"resultType":"complete","contents":[{"n":1.10}],"ttlMs":5 , "cacheScope":"public","structuredContent":[1],"_meta":{"a":1}}"#,
                    r#"{"contents":[{"n":1.10}],"_meta":{"a":1}}"#,
                ),
                (r#"{"resultType":"complete"}"#, "{}"),
                (
                    r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n"}},"content":[{"_meta":{"io.modelcontextprotocol/serverInfo":7}}],"resultType":"complete"}"#,
                    r#"{"content":[{"_meta":{"io.modelcontextprotocol/serverInfo":7}}]}"#,
                ),
                (
                    r#"{"content":[] , "_meta":{"io.modelcontextprotocol/serverInfo":{}, "b" : 1e400,"io.modelcontextprotocol\/subscriptionId":1},"x":{"y":1.0}}"#,
                    r#"{"content":[] , "_meta":{"b" : 1e400},"x":{"y":1.0}}"#,
                ),
                (
                    r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}},"_meta":{}}"#,
                    r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}},"_meta":{}}"#,
                ),
                (r#"{"_meta":null,"content":[]}"#, r#"{"_meta":null,"content":[]}"#),
            ] {
                let line = format!(r#"{{"id":7,"result":{result}}}"#);
                let expected = format!(r#"{{"id":"c","result":{expected}}}"#);
                assert_eq!(downgraded(&line, revision, true).0, expected, "{revision:?}");
            }
        }
        // A legacy child may have such members of its own.
        let line = r#"{"id":7,"result":{"resultType":"x","ttlMs":1,"_meta":{"io.modelcontextprotocol/serverInfo":7}}}"#;
        assert_eq!(
            written(line, Revision::V2024_11_05),
            line.replace(":7,\"r", ":\"c\",\"r")
        );
    }

    #[test]
    fn errors_get_the_codes_of_the_older_era() {
        for (reads, error, expected, counted) in [
            (
                true,
                r#"{"code":-32602,"message":"m","data":{"uri":"a:b"}}"#,
                r#"{"code":-32002,"message":"m","data":{"uri":"a:b"}}"#,
                Outcome::ResourceNotFound,
            ),
            (
                true,
                r#"{"code":-32602,"message":"m","data":{"uri":7}}"#,
                "",
                Outcome::InvalidParams,
            ),
            (
                false,
                r#"{"code":-32602,"data":{"uri":"a:b"}}"#,
                "",
                Outcome::InvalidParams,
            ),
            (true, r#"{"code":-32602}"#, "", Outcome::InvalidParams),
            (
                false,
                r#"{"data":{"code":-32020}, "code" : -32021}"#,
                r#"{"data":{"code":-32020}, "code" : -32603}"#,
                Outcome::InternalError,
            ),
            (
                false,
                r#"{"code":-32022}"#,
                r#"{"code":-32603}"#,
                Outcome::InternalError,
            ),
            (false, r#"{"code":-32601}"#, "", Outcome::MethodNotFound),
            (true, "7", "", Outcome::Other),
        ] {
            let line = format!(r#"{{"error":{error},"id":7}}"#);
            let expected = if expected.is_empty() { error } else { expected };
            let expected = format!(r#"{{"error":{expected},"id":"c"}}"#);
            assert_eq!(
                downgraded(&line, Revision::V2025_11_25, reads),
                (expected, counted)
            );
            // A legacy child's stay.
            let kept = format!(r#"{{"error":{error},"id":"c"}}"#);
            assert_eq!(written(&line, Revision::V2025_11_25), kept);
        }
    }

    const MEDIA: &str = r#"{"id":7,"result":{"content":[{"type":"text","text":"a","n":1.10}, {"type":"audio","data":"QQ==","mimeType":"audio/wav","annotations":{"priority":1.0}} ,{"name":"n","title":"T","uri":"a:b","type":"resource_link"}],"x":1e400}}"#;

    #[test]
    fn content_that_a_revision_lacks_is_replaced() {
        let link = r#"{"type":"text","text":"T: a:b"}"#;
        let original = r#"{"name":"n","title":"T","uri":"a:b","type":"resource_link"}"#;
        let audio = r#"{"type":"resource","resource":{"uri":"data:,audio","mimeType":"audio/wav","blob":"QQ=="},"annotations":{"priority":1.0}}"#;
        let sound = r#"{"type":"audio","data":"QQ==","mimeType":"audio/wav","annotations":{"priority":1.0}}"#;
        let renamed = MEDIA.replace(":7", ":\"c\"");
        for (revision, expected) in [
            (
                Revision::V2024_11_05,
                renamed.replace(original, link).replace(sound, audio),
            ),
            (Revision::V2025_03_26, renamed.replace(original, link)),
            (Revision::V2025_06_18, renamed.clone()),
            (Revision::V2025_11_25, renamed.clone()),
        ] {
            assert_eq!(written(MEDIA, revision), expected, "{revision:?}");
        }
    }

    #[test]
    fn a_prompts_messages_are_looked_into() {
        let line = r#"{"result":{"messages":[{"role":"user","content":{"type":"resource_link","name":"n","uri":"a:b"}},{"content":"audio"},7]},"id":7}"#;
        assert_eq!(
            written(line, Revision::V2025_03_26),
            r#"{"result":{"messages":[{"role":"user","content":{"type":"text","text":"n: a:b"}},{"content":"audio"},7]},"id":"c"}"#
        );
    }

    #[test]
    fn structure_that_is_no_object_becomes_text() {
        for (line, expected) in [
            (
                r#"{"id":7,"result":{"content":[],"structuredContent":[1.10,"x"]}}"#,
                r#"{"id":"c","result":{"content":[{"type":"text","text":"[1.10,\"x\"]"}]}}"#,
            ),
            (
                r#"{"id":7,"result":{"structuredContent" : 7 , "content":[{"type":"image"}]}}"#,
                r#"{"id":"c","result":{"content":[{"type":"image"},{"type":"text","text":"7"}]}}"#,
            ),
            (
                r#"{"id":7,"result":{"content":[{"type":"text","text":"7"}] , "structuredContent":7,"x":1}}"#,
                r#"{"id":"c","result":{"content":[{"type":"text","text":"7"}] , "x":1}}"#,
            ),
            (
                r#"{"id":7,"result":{"structuredContent":7}}"#,
                r#"{"id":"c","result":{}}"#,
            ),
            (
                r#"{"id":7,"result":{"content":[],"structuredContent":{"a":1}}}"#,
                r#"{"id":"c","result":{"content":[],"structuredContent":{"a":1}}}"#,
            ),
        ] {
            assert_eq!(written(line, Revision::V2025_11_25), expected, "{line}");
        }
    }

    #[test]
    fn odd_content_is_left_as_it_is() {
        for line in [
            r#"{"id":7,"result":{"content":"audio"}}"#,
            r#"{"id":7,"result":{"content":{"type":"audio"}}}"#,
            r#"{"id":7,"result":{"content":[{"type":"audio"}]}}"#,
            r#"{"id":7,"result":{"content":[{"type":"resource_link"},["audio"],null]}}"#,
            r#"{"id":7,"result":["audio"]}"#,
            r#"{"id":7,"error":{"code":1,"message":"audio resource_link"}}"#,
        ] {
            assert_eq!(written(line, Revision::V2024_11_05), line.replace(":7", ":\"c\""));
        }
    }

    /// Seeded: whatever the result, the client gets JSON, and nothing that its revision lacks.
    #[test]
    fn replacing_gives_json() {
        const BLOCKS: [&str; 6] = [
            r#"{"type":"text","text":"audio"}"#,
            r#"{"data":"QQ==","type":"audio","mimeType":"audio/wav"}"#,
            r#"{"type" : "resource_link","uri":"a:b","name":"\ud83d\ude00"}"#,
            r#"{"type":"image"}"#,
            "7",
            "[]",
        ];
        const MEMBERS: [&str; 5] = [
            r#""structuredContent":[7]"#,
            r#""structuredContent":{}"#,
            r#""x":1.10"#,
            r#""isError":true"#,
            r#""content":null"#,
        ];
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..5_000 {
            let blocks: Vec<&str> = (0..rng.usize(..4))
                .map(|_| BLOCKS[rng.usize(..BLOCKS.len())])
                .collect();
            let mut parts = vec![format!(r#""content":[{}]"#, blocks.join(" , "))];
            parts.extend((0..rng.usize(..4)).map(|_| MEMBERS[rng.usize(..MEMBERS.len())].to_owned()));
            rng.shuffle(&mut parts);
            let line = format!(r#"{{"result":{{{}}},"id":7}}"#, parts.join(" ,"));
            for revision in Revision::ALL {
                let text = written(&line, revision);
                let value: Value = serde_json::from_str(&text)
                    .unwrap_or_else(|error| panic!("seed {seed}: {line}: {text}: {error}"));
                let shown = format!("seed {seed}: {revision:?}: {line}: {text}");
                assert_eq!(value["id"], "c", "{shown}");
                assert!(
                    revision.has_audio() || !text.contains(r#""type":"audio""#),
                    "{shown}"
                );
                let is_link = text.contains("resource_link");
                assert!(revision.has_resource_links() || !is_link, "{shown}");
                let structured = value["result"].get("structuredContent");
                let is_known = structured.is_none_or(Value::is_object);
                assert!(revision.has_any_structured_result() || is_known, "{shown}");
            }
        }
    }
}
