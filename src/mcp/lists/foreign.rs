//! What other programs wrote about themselves and their items, as each revision has it: members that a revision does
//! not know are left out, and every other byte stays as it was written.

use crate::jsonrpc::{element_spans, members};
use crate::registry::{ForeignKind, declared_tasks};

use crate::mcp::revision::Revision;

/// What is done with a member of an object.
enum Edit {
    Keep,
    LeaveOut,
    /// Its value is written by this function.
    Inside(fn(&[u8], Revision, &mut Vec<u8>)),
}

/// What is done with the member of this name and value.
type Rules = fn(&str, &[u8], Revision) -> Edit;

/// Appends an item of a list.
pub(super) fn write_item(kind: ForeignKind, item: &[u8], revision: Revision, out: &mut Vec<u8>) {
    let rules = match kind {
        ForeignKind::Tool => return write_tool(item, revision, out),
        ForeignKind::Prompt => prompt,
        ForeignKind::Resource | ForeignKind::Template => resource,
    };
    write_edited(item, revision, rules, out);
}

/// Appends a tool. If its program does not say whether its calls may be tasks, clients that ask for tasks may do so.
fn write_tool(item: &[u8], revision: Revision, out: &mut Vec<u8>) {
    if !revision.has_requested_tasks() {
        return write_edited(item, revision, tool, out);
    }
    if declared_tasks(item).is_some() {
        let rules: Rules = |name, value, revision| match name {
            "execution" => Edit::Keep,
            _ => tool(name, value, revision),
        };
        return write_edited(item, revision, rules, out);
    }
    let begin = out.len();
    write_edited(item, revision, tool, out);
    let has_members = members(out.get(begin..).unwrap_or_default()).next().is_some();
    if out.last() == Some(&b'}') {
        out.pop();
        out.extend_from_slice(if has_members { b"," } else { b"" });
        out.extend_from_slice(br#""execution":{"taskSupport":"optional"}}"#);
    }
}

/// Appends the object `serverInfo`.
pub(super) fn write_server_info(info: &[u8], revision: Revision, out: &mut Vec<u8>) {
    write_edited(info, revision, implementation, out);
}

fn implementation(name: &str, _value: &[u8], revision: Revision) -> Edit {
    // Descriptions and web sites came with the icons.
    if matches!(name, "description" | "websiteUrl") {
        return kept_if(revision.has_icons());
    }
    named(name, revision)
}

/// A tool for clients that do not ask for tasks.
fn tool(name: &str, value: &[u8], revision: Revision) -> Edit {
    match name {
        "annotations" => kept_if(revision.has_annotations()),
        "outputSchema" => kept_if(
            revision.has_any_structured_result()
                || revision.has_structured_results() && is_object_schema(value),
        ),
        "execution" => Edit::LeaveOut,
        _ => named(name, revision),
    }
}

fn resource(name: &str, _value: &[u8], revision: Revision) -> Edit {
    match name {
        "annotations" if !revision.has_titles() => Edit::Inside(|value, revision, out| {
            let undated: Rules = |name, _, _| kept_if(name != "lastModified");
            write_edited(value, revision, undated, out);
        }),
        _ => named(name, revision),
    }
}

fn prompt(name: &str, _value: &[u8], revision: Revision) -> Edit {
    match name {
        "arguments" if !revision.has_icons() => Edit::Inside(write_arguments),
        _ => named(name, revision),
    }
}

/// The members that everything with a name has in newer revisions.
fn named(name: &str, revision: Revision) -> Edit {
    match name {
        "title" => kept_if(revision.has_titles()),
        "icons" => kept_if(revision.has_icons()),
        _ => Edit::Keep,
    }
}

fn kept_if(is_known: bool) -> Edit {
    if is_known { Edit::Keep } else { Edit::LeaveOut }
}

/// Whether a schema says that it is one of objects.
fn is_object_schema(schema: &[u8]) -> bool {
    let is_it = |value: &[u8]| serde_json::from_slice::<String>(value).is_ok_and(|kind| kind == "object");
    members(schema).any(|member| member.name(schema) == "type" && is_it(member.value.of(schema)))
}

fn write_arguments(array: &[u8], revision: Revision, out: &mut Vec<u8>) {
    let argument: Rules = |name, _, revision| named(name, revision);
    let mut at = 0;
    let spans = if array.first() == Some(&b'[') {
        element_spans(array)
    } else {
        Vec::new()
    };
    for span in spans {
        out.extend_from_slice(array.get(at..span.start).unwrap_or_default());
        at = span.end;
        write_edited(array.get(span).unwrap_or_default(), revision, argument, out);
    }
    out.extend_from_slice(array.get(at..).unwrap_or_default());
}

/// Appends an object with its members edited. Anything else is appended as it is.
fn write_edited(object: &[u8], revision: Revision, rules: Rules, out: &mut Vec<u8>) {
    let mut at = 0;
    let mut has_kept = false;
    for member in members(object) {
        let value = member.value.of(object);
        let edit = rules(&member.name(object), value, revision);
        let is_kept = !matches!(edit, Edit::LeaveOut);
        // The opening brace, or the comma behind the member before.
        if at == 0 || is_kept && has_kept {
            out.extend_from_slice(object.get(at..member.name.start).unwrap_or_default());
        }
        match edit {
            Edit::Keep => out.extend_from_slice(member.whole().of(object)),
            Edit::LeaveOut => {}
            Edit::Inside(write) => {
                let head = object.get(member.name.start..member.value.start);
                out.extend_from_slice(head.unwrap_or_default());
                write(value, revision, out);
            }
        }
        has_kept |= is_kept;
        at = member.value.end;
    }
    out.extend_from_slice(object.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn written(kind: ForeignKind, item: &str, revision: Revision) -> String {
        let mut out = Vec::new();
        write_item(kind, item.as_bytes(), revision, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_that_a_revision_lacks_are_left_out_and_nothing_else_changes() {
        let tool = r#"{ "title" : "T", "name":"\u0061\n", "x":[1.10,1e400,12345678901234567890] ,"icons":[{"src":"a"}], "annotations":{"title":"A"},"execution":{"taskSupport":"required"},"outputSchema":{"type":"object"},"x":0}"#;
        for (revision, expected) in [
            (
                Revision::V2024_11_05,
                r#"{ "name":"\u0061\n", "x":[1.10,1e400,12345678901234567890],"x":0}"#,
            ),
            (
                Revision::V2025_03_26,
                r#"{ "name":"\u0061\n", "x":[1.10,1e400,12345678901234567890], "annotations":{"title":"A"},"x":0}"#,
            ),
            (
                Revision::V2025_06_18,
                r#"{ "title" : "T", "name":"\u0061\n", "x":[1.10,1e400,12345678901234567890], "annotations":{"title":"A"},"outputSchema":{"type":"object"},"x":0}"#,
            ),
            (
                Revision::V2025_11_25,
                r#"{ "title" : "T", "name":"\u0061\n", "x":[1.10,1e400,12345678901234567890] ,"icons":[{"src":"a"}], "annotations":{"title":"A"},"execution":{"taskSupport":"required"},"outputSchema":{"type":"object"},"x":0}"#,
            ),
            (
                Revision::V2026_07_28,
                r#"{ "title" : "T", "name":"\u0061\n", "x":[1.10,1e400,12345678901234567890] ,"icons":[{"src":"a"}], "annotations":{"title":"A"},"outputSchema":{"type":"object"},"x":0}"#,
            ),
        ] {
            assert_eq!(
                written(ForeignKind::Tool, tool, revision),
                expected,
                "{revision:?}"
            );
        }
    }

    #[test]
    fn clients_that_ask_for_tasks_may_do_so_unless_the_program_says_otherwise() {
        let written = |tool: &str| written(ForeignKind::Tool, tool, Revision::V2025_11_25);
        for word in ["forbidden", "optional", "req\\u0075ired"] {
            let tool = format!(r#"{{"execution" : {{"taskSupport":"{word}", "x":1.0}},"name":"a"}}"#);
            assert_eq!(written(&tool), tool);
        }
        for nothing in [
            "{}",
            "null",
            "7",
            r#"{"taskSupport":"often"}"#,
            r#"{"taskSupport":true}"#,
        ] {
            let tool = format!(r#"{{"name":"a","execution":{nothing},"x":1.10 }}"#);
            assert_eq!(
                written(&tool),
                r#"{"name":"a","x":1.10 ,"execution":{"taskSupport":"optional"}}"#,
                "{tool}"
            );
        }
    }

    #[test]
    fn schemas_of_other_results_are_for_modern_clients() {
        for schema in [
            r#"{"type":"array"}"#,
            r#"{"anyOf":[]}"#,
            "true",
            r#"{"type":["object"]}"#,
        ] {
            let tool = format!(r#"{{"name":"a","outputSchema":{schema}}}"#);
            let old = written(ForeignKind::Tool, &tool, Revision::V2025_06_18);
            assert_eq!(old, r#"{"name":"a"}"#);
            let asking = written(ForeignKind::Tool, &tool, Revision::V2025_11_25);
            assert_eq!(asking, r#"{"name":"a","execution":{"taskSupport":"optional"}}"#);
            assert_eq!(written(ForeignKind::Tool, &tool, Revision::V2026_07_28), tool);
        }
        let escaped = r#"{"name":"a","outputSchema":{"t\u0079pe":"\u006fbject"}}"#;
        assert_eq!(
            written(ForeignKind::Tool, escaped, Revision::V2025_06_18),
            escaped
        );
    }

    #[test]
    fn what_is_inside_of_members_is_edited_too() {
        let prompt = r#"{"name":"p","arguments":[ {"name":"a","title":"A"} , {"title":"B"},7],"title":"P"}"#;
        assert_eq!(
            written(ForeignKind::Prompt, prompt, Revision::V2025_03_26),
            r#"{"name":"p","arguments":[ {"name":"a"} , {},7]}"#
        );
        assert_eq!(
            written(ForeignKind::Prompt, prompt, Revision::V2025_06_18),
            prompt
        );
        let resource = r#"{"uri":"a:b","annotations":{"lastModified":"x","priority":1.0},"size":1}"#;
        assert_eq!(
            written(ForeignKind::Resource, resource, Revision::V2025_03_26),
            r#"{"uri":"a:b","annotations":{"priority":1.0},"size":1}"#
        );
        assert_eq!(
            written(ForeignKind::Template, resource, Revision::V2025_06_18),
            resource
        );
        for odd in [
            r#"{"arguments":{"title":"x"},"annotations":[{"lastModified":1}]}"#,
            r#"{"arguments":"[]","annotations":null}"#,
            "{}",
            "{ }",
        ] {
            for kind in ForeignKind::ALL {
                for revision in Revision::ALL
                    .into_iter()
                    .filter(|revision| revision.has_annotations())
                    .filter(|revision| kind != ForeignKind::Tool || !revision.has_requested_tasks())
                {
                    assert_eq!(written(kind, odd, revision), odd);
                }
            }
        }
    }

    /// Seeded: whatever the members, the result is JSON and has those that are known, in order.
    #[test]
    fn editing_gives_json() {
        const MEMBERS: [&str; 9] = [
            r#""title":"t""#,
            r#""icons" : [ ]"#,
            r#""name":"n""#,
            r#""annotations":{"title":1,"lastModified":2}"#,
            r#""outputSchema":{"type":"array"}"#,
            r#""\u0065xecution":{}"#,
            r#""arguments":[{"icons":1},{"name":"x","title":2}]"#,
            r#""x":{"title":[1.10]}"#,
            r#""":null"#,
        ];
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let count = rng.usize(..6);
            let chosen: Vec<&str> = (0..count).map(|_| MEMBERS[rng.usize(..MEMBERS.len())]).collect();
            let item = format!("{{{}}}", chosen.join([",", " , ", ",\t"][rng.usize(..3)]));
            for kind in ForeignKind::ALL {
                for revision in Revision::ALL {
                    let text = written(kind, &item, revision);
                    let value: Value = serde_json::from_str(&text)
                        .unwrap_or_else(|error| panic!("seed {seed}: {item}: {text}: {error}"));
                    let has = |name: &str| value.get(name).is_some();
                    let shown = format!("seed {seed}: {kind:?} {revision:?} {item}: {text}");
                    assert!(!has("title") || revision.has_titles(), "{shown}");
                    assert!(!has("icons") || revision.has_icons(), "{shown}");
                    if kind == ForeignKind::Tool {
                        assert_eq!(has("execution"), revision.has_requested_tasks(), "{shown}");
                    }
                    assert_eq!(has("x"), item.contains(r#""x":{"#), "{shown}");
                    assert_eq!(has("name"), item.contains(r#""name":"n""#), "{shown}");
                }
            }
        }
    }
}
