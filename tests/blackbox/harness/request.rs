//! Requests as values, so that a test changes one thing and leaves the rest right.

/// One HTTP request. Nothing is checked: most of what is built here is wrong on purpose.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: &'static str,
    fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// `method target HTTP/1.1` with `Host: localhost`.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            fields: Vec::new(),
            body: Vec::new(),
        }
        .plus("Host", "localhost")
    }

    /// A POST to `/mcp` as an MCP client makes it, without the protocol's own fields.
    pub(crate) fn post(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", "/mcp")
            .plus("Content-Type", "application/json")
            .plus("Accept", "application/json, text/event-stream")
            .with_body(body)
    }

    /// Adds a field, whichever there are.
    pub(crate) fn plus(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets this field, once.
    pub(crate) fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).plus(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn with_method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    pub(crate) fn with_target(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    pub(crate) fn with_version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Changes field names with `change`.
    pub(crate) fn with_names(mut self, change: impl Fn(&str) -> String) -> Self {
        self.fields.iter_mut().for_each(|(name, _)| *name = change(name));
        self
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self
            .fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .next()
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The head as it is: no framing field is added.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// Head and body under `Content-Length`; without a body, without that field.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.body.is_empty() && self.method != "POST" {
            return self.head();
        }
        let length = self.body.len().to_string();
        self.clone().plus("Content-Length", length).framed_as(&self.body)
    }

    /// The body in chunks of `sizes`, then the rest in one.
    pub(crate) fn encode_chunked(&self, sizes: &[usize]) -> Vec<u8> {
        let framed = chunked(&self.body, sizes);
        self.clone()
            .plus("Transfer-Encoding", "chunked")
            .framed_as(&framed)
    }

    /// The head as it is, then these bytes.
    pub(crate) fn framed_as(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(payload);
        bytes
    }
}

/// `body` in chunks of `sizes`, then the rest in one, and the last chunk.
pub(crate) fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = body;
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (chunk, behind) = rest.split_at(size.min(rest.len()));
        if !chunk.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        rest = behind;
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
