//! The member that names the task a message belongs to (2025-11-25).

use crate::jsonrpc::{members, write_string};
use crate::mcp::task::TaskId;

/// The member of `_meta` that names the task a message belongs to (2025-11-25).
pub(in crate::mcp) const RELATED_TASK_KEY: &str = "io.modelcontextprotocol/related-task";

/// Appends a further member: `_meta`, with the task that the object belongs to.
pub(in crate::mcp) fn write_related_task(task: &TaskId, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","_meta":{"#);
    write_string(out, RELATED_TASK_KEY);
    out.extend_from_slice(br#":{"taskId":"#);
    write_string(out, task.as_str());
    out.extend_from_slice(b"}}");
}

/// Appends an object of another program's, the parameters of a message or a result, with the task in its `_meta` that
/// it belongs to here. A task of the program's own that it names there is nobody's business. Anything but an object is
/// appended as it is.
pub(in crate::mcp) fn write_related(object: &[u8], task: &TaskId, out: &mut Vec<u8>) {
    if object.first() != Some(&b'{') {
        return out.extend_from_slice(object);
    }
    let mut meta: &[u8] = b"";
    out.push(b'{');
    for member in members(object) {
        if member.name(object) == "_meta" {
            meta = member.value.of(object);
            continue;
        }
        out.extend_from_slice(member.whole().of(object));
        out.push(b',');
    }
    out.extend_from_slice(br#""_meta":{"#);
    let of_others = members(meta).filter(|member| member.name(meta) != RELATED_TASK_KEY);
    for member in of_others {
        out.extend_from_slice(member.whole().of(meta));
        out.push(b',');
    }
    write_string(out, RELATED_TASK_KEY);
    out.extend_from_slice(br#":{"taskId":"#);
    write_string(out, task.as_str());
    out.extend_from_slice(b"}}}");
}

/// Appends a message of another program's with the task in it that it belongs to here.
pub fn write_related_message(message: &[u8], task: &TaskId, out: &mut Vec<u8>) {
    let params = members(message)
        .filter(|member| member.name(message) == "params")
        .last();
    let Some(params) = params.map(|member| member.value) else {
        // It is about something all the same.
        let message = message.trim_ascii_end();
        out.extend_from_slice(message.strip_suffix(b"}").unwrap_or(message));
        out.extend_from_slice(br#","params":"#);
        write_related(b"{}", task, out);
        return out.push(b'}');
    };
    out.extend_from_slice(message.get(..params.start).unwrap_or_default());
    write_related(params.of(message), task, out);
    out.extend_from_slice(message.get(params.end..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_program_names_the_task_here_and_keeps_its_other_bytes() {
        let task = TaskId::new(b"ours").unwrap();
        let related = r#""io.modelcontextprotocol/related-task":{"taskId":"ours"}"#;
        for (message, expected) in [
            (
                r#"{"method":"m","params":{"n":1.10}}"#,
                r#"{"method":"m","params":{"n":1.10,"_meta":{R}}}"#,
            ),
            (
                r#"{"params":{},"method":"m"}"#,
                r#"{"params":{"_meta":{R}},"method":"m"}"#,
            ),
            (
                r#"{"params":{"_meta":{"a":1e400,"io.modelcontextprotocol/related-task":{"taskId":"its own"},"b":2},"n" : 1}}"#,
                r#"{"params":{"n" : 1,"_meta":{"a":1e400,"b":2,R}}}"#,
            ),
            (
                r#"{"params":{"_meta":7,"n":1}}"#,
                r#"{"params":{"n":1,"_meta":{R}}}"#,
            ),
            (r#"{"params":[1]}"#, r#"{"params":[1]}"#),
            (r#"{"method":"m"}"#, r#"{"method":"m","params":{"_meta":{R}}}"#),
        ] {
            let mut out = Vec::new();
            write_related_message(message.as_bytes(), &task, &mut out);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                expected.replace('R', related),
                "{message}"
            );
        }
    }
}
