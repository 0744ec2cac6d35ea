//! The HTTP/1.1 of both bench servers: enough to find a request's end, and one fixed answer.
//!
//! Shared so that the servers differ only in how they do their I/O.

/// The state of the bytes at the front of what was received.
pub(crate) enum Front {
    /// A whole request of this many bytes.
    Request(usize),
    /// The beginning of a request.
    Incomplete,
    /// Bytes that this server does not understand.
    Invalid,
}

/// Finds the end of the first request.
pub(crate) fn front(bytes: &[u8]) -> Front {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Front::Incomplete,
        Err(_) => return Front::Invalid,
    };
    let length = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |header| {
            std::str::from_utf8(header.value).ok()?.parse().ok()
        });
    let Some(length): Option<usize> = length else {
        return Front::Invalid;
    };
    match head.checked_add(length) {
        Some(whole) if whole <= bytes.len() => Front::Request(whole),
        Some(_) => Front::Incomplete,
        None => Front::Invalid,
    }
}

/// Head and body of the only answer: about 200 bytes of JSON.
pub(crate) fn answer() -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{}"}}],"isError":false}}}}"#,
        "canned answer ".repeat(9).trim_end()
    );
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
