//! Messages of a server that clients know under other names: it is called by its own, and its URIs are given as clients
//! know them. Every other byte stays as its sender wrote it.
//!
//! | message | what is renamed |
//! |---|---|
//! | a request | `name` of `tools/call` and `prompts/get`, `uri` of `resources/…`, what `ref` of a completion names |
//! | a result | links to resources, embedded resources and contents, and the user interface in `_meta` |
//! | an error | `data.uri` |

use memchr::memmem;

use crate::jsonrpc::{Edits, Span};
use crate::registry::{ForeignKind, rename_interface};

use super::message::{Kind, Message, Unreadable};

/// The request with the server's own names: `own` gives them by the names that clients know.
///
/// # Errors
/// What is to be renamed does not stand in it exactly once: the server could take another part for true than we did.
pub fn renamed_request(
    text: &[u8],
    message: &Message,
    own: &dyn Fn(ForeignKind, &str) -> Option<String>,
) -> Result<Vec<u8>, Unreadable> {
    let mut edits = Edits::new(text);
    let params = message.params.ok_or(Unreadable::NoMessage)?;
    let (kind, object, key) = match &*message.method(text) {
        "tools/call" => (ForeignKind::Tool, params, "name"),
        "prompts/get" => (ForeignKind::Prompt, params, "name"),
        "completion/complete" => {
            let reference = only(&edits, params, "ref")?;
            let kind = only(&edits, reference, "type")?;
            if edits.string(kind).is_some_and(|kind| kind == "ref/prompt") {
                (ForeignKind::Prompt, reference, "name")
            } else {
                (ForeignKind::Template, reference, "uri")
            }
        }
        _ => (ForeignKind::Resource, params, "uri"),
    };
    let place = only(&edits, object, key)?;
    let named = edits.string(place).and_then(|name| own(kind, &name));
    let named = named.ok_or(Unreadable::Ambiguous)?;
    edits.replace_string(place, |_| named);
    edits.finish().ok_or(Unreadable::Ambiguous)
}

/// The value of the one member of this name.
fn only(edits: &Edits<'_>, object: Span, name: &str) -> Result<Span, Unreadable> {
    let mut found = edits.members(object).filter(|(member, _)| member == name);
    match (found.next(), found.next()) {
        (Some((_, place)), None) => Ok(place),
        _ => Err(Unreadable::Ambiguous),
    }
}

/// The answer with URIs as clients know them, which `served` gives by the server's own; `None` if it has none.
pub fn renamed_answer(line: &[u8], message: &Message, served: &dyn Fn(&str) -> String) -> Option<Vec<u8>> {
    let outcome = message.outcome.filter(|_| may_have_uris(line))?;
    let mut edits = Edits::new(line);
    match message.kind {
        Kind::Result => rename_result(&mut edits, outcome, served),
        Kind::Error => {
            for data in named(&edits, outcome, "data") {
                rename_uris(&mut edits, data, served);
            }
        }
        Kind::Request | Kind::Notification => {}
    }
    edits.finish()
}

/// Whether a line may have a URI as a value. Most have none, and are looked into no further. Names may have escapes.
fn may_have_uris(line: &[u8]) -> bool {
    ["uri", "Uri", "\\u"]
        .iter()
        .any(|part| memmem::find(line, part.as_bytes()).is_some())
}

fn rename_result(edits: &mut Edits<'_>, result: Span, served: &dyn Fn(&str) -> String) {
    let members: Vec<_> = edits.members(result).collect();
    for (name, place) in members {
        match &*name {
            "content" => rename_content(edits, place, served),
            "contents" => {
                for contents in edits.elements(place) {
                    rename_uris(edits, contents, served);
                }
            }
            "messages" => {
                for message in edits.elements(place) {
                    for content in named(edits, message, "content") {
                        rename_content(edits, content, served);
                    }
                }
            }
            "_meta" => rename_interface(edits, place, served),
            _ => {}
        }
    }
}

/// Renames in a block of content, or in an array of them.
fn rename_content(edits: &mut Edits<'_>, content: Span, served: &dyn Fn(&str) -> String) {
    let blocks = edits.elements(content);
    let blocks = if blocks.is_empty() { vec![content] } else { blocks };
    for block in blocks {
        let is_link = |place: Span| edits.string(place).is_some_and(|kind| kind == "resource_link");
        if named(edits, block, "type").into_iter().any(is_link) {
            rename_uris(edits, block, served);
        }
        for resource in named(edits, block, "resource") {
            rename_uris(edits, resource, served);
        }
    }
}

/// Renames the URI of an object, and the user interface that its `_meta` names.
fn rename_uris(edits: &mut Edits<'_>, object: Span, served: &dyn Fn(&str) -> String) {
    for place in named(edits, object, "uri") {
        edits.replace_string(place, served);
    }
    for meta in named(edits, object, "_meta") {
        rename_interface(edits, meta, served);
    }
}

/// The values of all members of this name: most parsers take the last of several, and others the first.
fn named(edits: &Edits<'_>, object: Span, name: &str) -> Vec<Span> {
    let members = edits.members(object);
    let found = members.filter(|(member, _)| member == name);
    found.map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn request(text: &str) -> Result<String, Unreadable> {
        let message = Message::read(text.as_bytes())?;
        let own = |kind: ForeignKind, name: &str| {
            let own = name.strip_prefix("s__").or_else(|| name.strip_prefix("s+"))?;
            Some(format!("{own}/{kind}"))
        };
        let renamed = renamed_request(text.as_bytes(), &message, &own)?;
        Ok(String::from_utf8(renamed).unwrap())
    }

    #[test]
    fn a_request_has_the_servers_own_name_and_nothing_else_changes() {
        for (text, expected) in [
            (
                r#"{"id":1.50,"method":"tools/call","params":{ "n\u0061me" : "s__\u0061","arguments":{"name":"s__a","n":1e400},"x":1,"x":2}}"#,
                r#"{"id":1.50,"method":"tools/call","params":{ "n\u0061me" : "a/tool","arguments":{"name":"s__a","n":1e400},"x":1,"x":2}}"#,
            ),
            (
                r#"{"params":{"name":"s__p"},"method":"prompts/get","id":"name"}"#,
                r#"{"params":{"name":"p/prompt"},"method":"prompts/get","id":"name"}"#,
            ),
            (
                r#"{"id":1,"method":"resources/read","params":{"uri":"s+x:\ny","name":"s__a"}}"#,
                r#"{"id":1,"method":"resources/read","params":{"uri":"x:\ny/resource","name":"s__a"}}"#,
            ),
            (
                r#"{"id":1,"method":"completion/complete","params":{"name":"a","ref":{"type":"ref/prompt","name":"s__p","uri":"s+x"},"argument":{"name":"s__p"}}}"#,
                r#"{"id":1,"method":"completion/complete","params":{"name":"a","ref":{"type":"ref/prompt","name":"p/prompt","uri":"s+x"},"argument":{"name":"s__p"}}}"#,
            ),
            (
                r#"{"id":1,"method":"completion/complete","params":{"ref":{"uri":"s+x:{y}","type":"ref/resource"}}}"#,
                r#"{"id":1,"method":"completion/complete","params":{"ref":{"uri":"x:{y}/resource template","type":"ref/resource"}}}"#,
            ),
        ] {
            assert_eq!(request(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_could_name_another_thing_is_refused() {
        for params in [
            r#"{"name":"s__a","name":"b"}"#,
            r#"{"name":"b","n\u0061me":"s__a"}"#,
            r#"{"name":"s__a","name":7}"#,
            r#"{"name":["s__a"]}"#,
            r#"{"name":"unknown"}"#,
            "{}",
            "[]",
        ] {
            let text = format!(r#"{{"id":1,"method":"tools/call","params":{params}}}"#);
            assert_eq!(request(&text), Err(Unreadable::Ambiguous), "{text}");
        }
        for reference in [
            r#""ref":{"type":"ref/prompt","name":"s__p"},"ref":{"type":"ref/prompt","name":"q"}"#,
            r#""ref":{"type":"ref/prompt","type":"ref/resource","name":"s__p","uri":"s+x"}"#,
            r#""ref":{"type":"ref/prompt","name":"s__p","name":"q"}"#,
            r#""ref":7"#,
            r#""x":1"#,
        ] {
            let text = format!(r#"{{"id":1,"method":"completion/complete","params":{{{reference}}}}}"#);
            assert_eq!(request(&text), Err(Unreadable::Ambiguous), "{text}");
        }
        assert_eq!(
            request(r#"{"id":1,"method":"tools/call"}"#),
            Err(Unreadable::NoMessage)
        );
    }

    fn answer(line: &str) -> String {
        let message = Message::read(line.as_bytes()).unwrap();
        let served = |uri: &str| format!("s+{uri}");
        let renamed = renamed_answer(line.as_bytes(), &message, &served);
        renamed.map_or_else(|| line.to_owned(), |renamed| String::from_utf8(renamed).unwrap())
    }

    #[test]
    fn results_name_resources_as_clients_know_them() {
        for (line, expected) in [
            (
                r#"{"id":1,"result":{"contents":[{"uri":"a:b","text":"a:b","n":1.10},{"blob":"","u\u0072i" : "a:\u0063"}]}}"#,
                r#"{"id":1,"result":{"contents":[{"uri":"s+a:b","text":"a:b","n":1.10},{"blob":"","u\u0072i" : "s+a:c"}]}}"#,
            ),
            (
                r#"{"result":{"content":[{"type":"resource_link","uri":"a:b","name":"a:b"}, {"type":"resource","resource":{"uri":"a:c","text":"x","_meta":{"ui":{"resourceUri":"a:g"}}}},{"type":"text","text":"a","uri":"a:d"}],"structuredContent":{"uri":"a:e"},"_meta":{"ui":{"resourceUri":"a:f"},"uri":"a:h"}},"id":7}"#,
                r#"{"result":{"content":[{"type":"resource_link","uri":"s+a:b","name":"a:b"}, {"type":"resource","resource":{"uri":"s+a:c","text":"x","_meta":{"ui":{"resourceUri":"s+a:g"}}}},{"type":"text","text":"a","uri":"a:d"}],"structuredContent":{"uri":"a:e"},"_meta":{"ui":{"resourceUri":"s+a:f"},"uri":"a:h"}},"id":7}"#,
            ),
            (
                r#"{"id":1,"result":{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:b"}}},{"content":[{"type":"resource_link","uri":"a:c"}]},7]}}"#,
                r#"{"id":1,"result":{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"s+a:b"}}},{"content":[{"type":"resource_link","uri":"s+a:c"}]},7]}}"#,
            ),
            (
                r#"{"id":1,"error":{"code":-32002,"message":"a:b","data":{"uri":"a:b"}}}"#,
                r#"{"id":1,"error":{"code":-32002,"message":"a:b","data":{"uri":"s+a:b"}}}"#,
            ),
            (
                r#"{"id":1,"result":{"contents":[{"uri":"a:b","uri":"a:c"}],"contents":[{"uri":"a:d"}]}}"#,
                r#"{"id":1,"result":{"contents":[{"uri":"s+a:b","uri":"s+a:c"}],"contents":[{"uri":"s+a:d"}]}}"#,
            ),
        ] {
            assert_eq!(answer(line), expected);
        }
    }

    #[test]
    fn everything_else_is_left_as_it_is() {
        for line in [
            r#"{"id":1,"result":{"content":[{"type":"text","text":"uri"}],"uri":"a:b","n":1.10}}"#,
            r#"{"id":1,"result":{"contents":[{"uri":7},"uri"],"content":"uri","messages":{"content":{"uri":"a:b"}}}}"#,
            r#"{"id":1,"result":["uri"]}"#,
            r#"{"id":1,"error":{"code":1,"data":"uri"}}"#,
            r#"{"id":1,"error":7}"#,
            r#"{"id":1,"result":{"content":[]}}"#,
        ] {
            assert_eq!(answer(line), line);
        }
    }

    /// Seeded: whatever the answer, it stays JSON with all that was there, and is read as the same kind of answer.
    #[test]
    fn renaming_gives_json() {
        const MEMBERS: [&str; 7] = [
            r#""content":[{"type":"resource_link","uri":"a:b"}, 7]"#,
            r#""content":{"type":"resource","resource":{"uri":"a:b"}}"#,
            r#""contents" : [{"uri":"\"a:b"}]"#,
            r#""_meta":{"ui":{"resourceUri":"ui://x"}}"#,
            r#""messages":[{"content":{"type":"resource_link","uri":""}}]"#,
            r#""x":{"uri":1.10}"#,
            r#""data":{"uri":"a:b"}"#,
        ];
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..3_000 {
            let chosen = (0..rng.usize(..5)).map(|_| MEMBERS[rng.usize(..MEMBERS.len())]);
            let object = format!("{{{}}}", chosen.collect::<Vec<_>>().join(" ,"));
            let name = if rng.bool() { "result" } else { "error" };
            let line = format!(r#"{{"{name}":{object},"id":7}}"#);
            let text = answer(&line);
            let shown = format!("seed {seed}: {line}: {text}");
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(text.replace("s+", ""), line, "{shown}");
            let [before, after] = [&line, &text].map(|text| Message::read(text.as_bytes()).unwrap());
            assert_eq!(before.kind, after.kind, "{shown}");
        }
    }
}
