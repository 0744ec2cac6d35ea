//! Appending JSON-RPC answers to a buffer.
//!
//! The functions only append, because the caller may have left room for an HTTP head in front. They allocate nothing
//! while the buffer's capacity suffices.

use std::io::Write;

use serde::Serialize;

use super::id::{Id, RequestId};
use super::string::write_string;

/// Appends a value as JSON. Writing to a `Vec` does not fail; a value whose `Serialize` can fail must not come here.
pub fn write_json(out: impl Write, value: &(impl Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Appends `{"jsonrpc":"2.0","id":…,"result":`; the caller appends the result and the closing brace.
pub fn write_result_head(out: &mut Vec<u8>, id: Id<'_>) {
    write_head_of_result(out, |out| id.write(out));
}

/// The same with an id that was kept.
pub fn write_kept_result_head(out: &mut Vec<u8>, id: &RequestId) {
    write_head_of_result(out, |out| id.write(out));
}

fn write_head_of_result(out: &mut Vec<u8>, write_id: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    write_id(out);
    out.extend_from_slice(br#","result":"#);
}

/// Appends a whole answer around a result that is JSON already.
pub fn write_result(out: &mut Vec<u8>, id: Id<'_>, result: &[u8]) {
    write_result_head(out, id);
    out.extend_from_slice(result);
    out.push(b'}');
}

/// Appends an error answer; without `id` when the request's could not be read.
pub fn write_error(out: &mut Vec<u8>, id: Option<Id<'_>>, code: i32, message: &str) {
    write_error_head(out, id, code, message);
    out.extend_from_slice(b"}}");
}

/// [`write_error`] with a `data` member that `data` appends as JSON.
pub fn write_error_with_data(
    out: &mut Vec<u8>,
    id: Option<Id<'_>>,
    code: i32,
    message: &str,
    data: impl FnOnce(&mut Vec<u8>),
) {
    write_error_head(out, id, code, message);
    out.extend_from_slice(br#","data":"#);
    data(out);
    out.extend_from_slice(b"}}");
}

fn write_error_head(out: &mut Vec<u8>, id: Option<Id<'_>>, code: i32, message: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0""#);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        id.write(out);
    }
    out.extend_from_slice(br#","error":{"code":"#);
    out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
    out.extend_from_slice(br#","message":"#);
    write_string(out, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_json_rpc() {
        let mut out = b"head".to_vec();
        write_result(&mut out, Id::Text("a"), b"{}");
        assert_eq!(out, br#"head{"jsonrpc":"2.0","id":"a","result":{}}"#);
        out.clear();
        write_error(&mut out, None, -32700, "no \"JSON\"");
        assert_eq!(
            out,
            br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no \"JSON\""}}"#
        );
        out.clear();
        write_error_with_data(&mut out, Some(Id::Signed(1)), -31503, "busy", |out| {
            out.extend_from_slice(b"[1]")
        });
        assert_eq!(
            out,
            br#"{"jsonrpc":"2.0","id":1,"error":{"code":-31503,"message":"busy","data":[1]}}"#
        );
    }
}
