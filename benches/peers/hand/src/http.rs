//! HTTP/1.1 by hand, for a server that has no stack.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Answer, Head, Server};

const HEADERS_MAX: usize = 32;

/// Answers the requests at the front of some bytes.
#[derive(Default)]
pub struct Http {
    server: Server,
    date: String,
    date_second: u64,
    body: Vec<u8>,
}

impl Http {
    /// Answers every whole request into `out`. Returns how many bytes that took; `None` if they are no HTTP.
    pub fn serve(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut request = httparse::Request::new(&mut fields);
            let head_bytes = match request.parse(rest) {
                Ok(httparse::Status::Complete(bytes)) => bytes,
                Ok(httparse::Status::Partial) => break,
                Err(_) => return None,
            };
            let (head, body_bytes) = read_fields(request.headers)?;
            let end = head_bytes.checked_add(body_bytes)?;
            let Some(body) = rest.get(head_bytes..end) else {
                break;
            };
            self.body.clear();
            let is_here = request.path == Some("/mcp");
            let answer = match request.method {
                Some("POST") if is_here => self.server.post(&head, body, &mut self.body),
                Some("DELETE") if is_here => self.server.delete(&head),
                _ => Answer::status(if is_here { 405 } else { 404 }),
            };
            self.write(&answer, out);
            used += end;
        }
        Some(used)
    }

    fn write(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        self.refresh_date();
        out.reserve(256 + self.body.len());
        let mut digits = itoa::Buffer::new();
        for part in [
            "HTTP/1.1 ",
            digits.format(answer.status),
            " ",
            reason(answer.status),
            "\r\nDate: ",
            &self.date,
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        if !self.body.is_empty() {
            out.extend_from_slice(b"\r\nContent-Type: application/json");
        }
        if let Some(session) = &answer.session {
            out.extend_from_slice(b"\r\nMcp-Session-Id: ");
            out.extend_from_slice(session.as_bytes());
        }
        out.extend_from_slice(b"\r\nContent-Length: ");
        out.extend_from_slice(digits.format(self.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
    }

    fn refresh_date(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.date_second {
            self.date_second = second;
            self.date = httpdate::fmt_http_date(now);
        }
    }
}

/// The fields that matter and the body's length; `None` if that is not told by one number.
fn read_fields<'a>(fields: &[httparse::Header<'a>]) -> Option<(Head<'a>, usize)> {
    let (mut head, mut length) = (Head::default(), 0);
    for field in fields {
        let name = field.name;
        let place = match name.len() {
            4 if name.eq_ignore_ascii_case("host") => &mut head.host,
            6 if name.eq_ignore_ascii_case("origin") => &mut head.origin,
            6 if name.eq_ignore_ascii_case("accept") => &mut head.accept,
            8 if name.eq_ignore_ascii_case("mcp-name") => &mut head.name,
            10 if name.eq_ignore_ascii_case("mcp-method") => &mut head.method,
            12 if name.eq_ignore_ascii_case("content-type") => &mut head.content_type,
            14 if name.eq_ignore_ascii_case("mcp-session-id") => &mut head.session,
            14 if name.eq_ignore_ascii_case("content-length") => {
                length = std::str::from_utf8(field.value).ok()?.parse().ok()?;
                continue;
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => return None,
            20 if name.eq_ignore_ascii_case("mcp-protocol-version") => &mut head.version,
            _ => continue,
        };
        *place = Some(field.value);
    }
    Some((head, length))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        415 => "Unsupported Media Type",
        _ => "Internal Server Error",
    }
}
