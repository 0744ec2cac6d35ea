//! The messages in a body of server-sent events.

/// The data of each event that has any. An event's data in several lines, which JSON does not need, is taken line by
/// line.
pub(super) fn messages(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(<[u8]>::trim_ascii)
        .filter(|data| !data.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_without_data_are_none() {
        let body = b": hello\r\n\r\nid: 1\ndata:\n\nevent: message\r\ndata: {\"a\":1}\r\n\r\ndata:{}\n\n";
        let found: Vec<&[u8]> = messages(body).collect();
        assert_eq!(found, [&b"{\"a\":1}"[..], b"{}"]);
    }
}
