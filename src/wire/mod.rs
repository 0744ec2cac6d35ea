//! Bytes on the wire: HTTP/1.1.
