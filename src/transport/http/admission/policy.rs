//! The rules, made once at start, and the order in which they answer.

use super::accept::{self, check_accept};
use super::endpoint::Endpoint;
use super::hosts::{HostRules, HostRulesError};
use super::refusal::Refusal;
use super::{cors, health, sse_legacy, websocket};
use crate::config::{Origin, OriginRule, OriginRuleError};
use crate::transport::http::Head;
use crate::units::ViewId;
use crate::wire::http1::{self, BodyLength, Expectation, Field, Method, split_list};

/// The methods of the endpoint, for `Allow`.
const ALLOW: &str = "GET, POST, DELETE";
/// The methods for a client without a session.
pub const ALLOW_WITHOUT_STREAM: &str = "POST, DELETE";
/// The methods for a client of a stateless revision.
const ALLOW_MODERN: &str = "POST";
/// The first revision without sessions, so without GET and DELETE. Revisions are dates and compare as text.
const MODERN_REVISION_FIRST: &[u8] = b"2026-07-28";

/// The path of MCP below that of a server.
const SERVER_PATH: &str = "/mcp";
const SERVER_PATH_SLASH: &str = "/mcp/";

/// A setting that is not a valid rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionPolicyError {
    /// The text is not a host.
    #[error(transparent)]
    Host(#[from] HostRulesError),
    /// The text is not an origin.
    #[error("allow-origin = {0:?} {reason}", reason = OriginRuleError)]
    Origin(String),
    /// The text is not a path.
    #[error("path = {0:?} must begin with `/` and hold neither a query nor spaces")]
    Path(String),
}

/// The endpoint of one server among several.
#[derive(Clone, Debug)]
struct ServerPaths {
    /// What its paths begin with, without a slash behind it.
    base: String,
    view: ViewId,
}

/// The rules, made once at start.
#[derive(Clone, Debug)]
pub struct AdmissionPolicy {
    /// The paths as requests carry them, each with and without a trailing slash.
    paths: Vec<String>,
    /// The endpoints of single servers.
    servers: Vec<ServerPaths>,
    hosts: HostRules,
    origins: Vec<OriginRule>,
    body_bytes_max: u64,
    has_websocket: bool,
    has_sse_legacy: bool,
    has_health: bool,
}

impl AdmissionPolicy {
    /// Hosts that a loopback server answers to, on any port.
    pub const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
    /// Origins of pages that such hosts serve, on any port.
    pub const LOOPBACK_ORIGINS: [&str; 6] = [
        "http://localhost:*",
        "http://127.0.0.1:*",
        "http://[::1]:*",
        "https://localhost:*",
        "https://127.0.0.1:*",
        "https://[::1]:*",
    ];

    /// `path` is compared byte for byte, except for one trailing slash. A host without a port allows any port; an
    /// origin without one means its scheme's, as browsers write it, and `:*` any. `*` alone allows every value, also
    /// `Origin: null`.
    ///
    /// # Errors
    /// Fails for a setting that can never match.
    pub fn new<S: AsRef<str>>(
        path: &str,
        hosts: impl IntoIterator<Item = S>,
        origins: impl IntoIterator<Item = S>,
        body_bytes_max: u64,
    ) -> Result<Self, AdmissionPolicyError> {
        let origin = |text: S| {
            let rule = OriginRule::parse(text.as_ref());
            rule.map_err(|_| AdmissionPolicyError::Origin(text.as_ref().to_owned()))
        };
        let policy = Self {
            paths: Vec::new(),
            servers: Vec::new(),
            hosts: HostRules::new(hosts)?,
            origins: origins.into_iter().map(origin).collect::<Result<_, _>>()?,
            body_bytes_max,
            has_websocket: false,
            has_sse_legacy: false,
            has_health: false,
        };
        policy.with_path(path)
    }

    /// Serves MCP on this path as well.
    ///
    /// # Errors
    /// Fails for a path that no request can ask for.
    pub fn with_path(mut self, path: &str) -> Result<Self, AdmissionPolicyError> {
        let is_path =
            path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        if !is_path {
            return Err(AdmissionPolicyError::Path(path.to_owned()));
        }
        let bare = path.strip_suffix('/').unwrap_or(path);
        if !bare.is_empty() {
            self.paths.push(bare.to_owned());
        }
        self.paths.push(format!("{bare}/"));
        Ok(self)
    }

    /// Serves this view below `base`, which has no slash behind it: MCP at `base/mcp`, and HTTP+SSE, where that is
    /// served, beside it.
    #[must_use]
    pub fn with_server(mut self, base: &str, view: ViewId) -> Self {
        let base = base.to_owned();
        self.servers.push(ServerPaths { base, view });
        self
    }

    /// Sets whether a GET may become a WebSocket. By default `Upgrade` is ignored, as RFC 9110, section 7.8, lets a
    /// server do.
    #[must_use]
    pub fn with_websocket(mut self, has_websocket: bool) -> Self {
        self.has_websocket = has_websocket;
        self
    }

    /// Sets whether the endpoints of HTTP+SSE are served; by default they are not. At the endpoint's own path they
    /// never are.
    #[must_use]
    pub fn with_sse_legacy(mut self, has_sse_legacy: bool) -> Self {
        self.has_sse_legacy = has_sse_legacy;
        self
    }

    /// Sets whether health is served beside MCP; by default it is not. At the endpoint's own path it never is.
    #[must_use]
    pub fn with_health(mut self, has_health: bool) -> Self {
        self.has_health = has_health;
        self
    }

    /// Admits a request, or says why not. Allocates nothing.
    ///
    /// # Errors
    /// Returns the first rule that is broken, in the module's order.
    pub fn admit(&self, head: &Head<'_>) -> Result<Endpoint, Refusal> {
        self.check_origin(head.fields.origin)?;
        let chosen = self.choose_endpoint(head);
        // A probe calls a server by its address, and any other client learns nothing from health.
        let is_health = matches!(chosen, Ok(Endpoint::Health(_)));
        if !is_health && !self.hosts.allows(head.authority) {
            return Err(Refusal::Host);
        }
        let endpoint = match chosen {
            // This is checked only where nothing else was asked for, so that no other request pays for it.
            Err(_) if cors::is_preflight(head) => Endpoint::Preflight,
            chosen => chosen?,
        };
        self.check_body(head)?;
        match endpoint {
            Endpoint::Post => {
                check_content(head)?;
                check_accept(head)?;
            }
            Endpoint::Get | Endpoint::SseOpen => accept::check_accept_stream(head)?,
            Endpoint::SsePost => check_content(head)?,
            Endpoint::Delete | Endpoint::Preflight | Endpoint::Health(_) => {}
            Endpoint::WebSocket => websocket::check_handshake(head)?,
        }
        Ok(endpoint)
    }

    /// What is served at the path of an admitted request.
    #[inline]
    pub fn view_of(&self, head: &Head<'_>) -> ViewId {
        self.server_of(head.path).map_or(ViewId::MAIN, |(view, _)| view)
    }

    /// The server below whose paths a path is, and the rest of the path, which begins with a slash. No base is the
    /// front of another one and a slash.
    fn server_of<'p>(&self, path: &'p str) -> Option<(ViewId, &'p str)> {
        self.servers.iter().find_map(|server| {
            let rest = path.strip_prefix(server.base.as_str())?;
            rest.starts_with('/').then_some((server.view, rest))
        })
    }

    fn choose_endpoint(&self, head: &Head<'_>) -> Result<Endpoint, Refusal> {
        // CONNECT is not for any path, and HTTP's other methods are not for `*`: both are the method's fault.
        if self.paths.iter().any(|path| path == head.path)
            || head.method == Method::Connect
            || head.path == "*"
        {
            return self.choose_by_method(head);
        }
        let server = self.server_of(head.path).map(|(_, rest)| rest);
        if server.is_some_and(|rest| matches!(rest, SERVER_PATH | SERVER_PATH_SLASH)) {
            return self.choose_by_method(head);
        }
        let sse = || {
            self.has_sse_legacy
                .then(|| sse_legacy::choose_endpoint(head.method, server.unwrap_or(head.path)))
                .flatten()
        };
        let health = || self.has_health.then(|| health::choose_endpoint(head)).flatten();
        sse().or_else(health).unwrap_or(Err(Refusal::Path))
    }

    /// The request's origin as its answer repeats it, so that the page may read the answer: it must be allowed, and one
    /// that a browser can have sent.
    pub fn readable_by<'a>(&self, origin: Field<'a>) -> Option<&'a str> {
        let text = http1::origin_value(origin.value()?)?;
        self.check_origin(origin).ok().map(|()| text)
    }

    fn choose_by_method(&self, head: &Head<'_>) -> Result<Endpoint, Refusal> {
        let version = head.extra.protocol_version.value();
        let is_modern = version.is_some_and(|version| version >= MODERN_REVISION_FIRST);
        match head.method {
            Method::Post => Ok(Endpoint::Post),
            Method::Get if self.has_websocket && websocket::is_wanted(head) => Ok(Endpoint::WebSocket),
            Method::Get if !is_modern => Ok(Endpoint::Get),
            Method::Delete if !is_modern => Ok(Endpoint::Delete),
            Method::Other => Err(Refusal::MethodUnknown),
            _ => Err(Refusal::Method {
                allow: if is_modern { ALLOW_MODERN } else { ALLOW },
            }),
        }
    }

    /// A request without `Origin` is not a web page's, so none that could be foreign.
    fn check_origin(&self, origin: Field<'_>) -> Result<(), Refusal> {
        let is_allowed = match origin {
            Field::Absent => true,
            Field::One(text) => {
                let parsed = Origin::parse(text);
                self.origins.iter().any(|rule| rule.allows(parsed.as_ref()))
            }
            Field::Repeated => false,
        };
        is_allowed.then_some(()).ok_or(Refusal::Origin)
    }

    /// Checks what the body's length decides.
    ///
    /// # Errors
    /// Fails for a body that is too large, and for an expectation that is not known.
    pub(in crate::transport::http) fn check_body(&self, head: &Head<'_>) -> Result<(), Refusal> {
        if head.expectation == Expectation::Unknown {
            return Err(Refusal::Expectation);
        }
        match head.body {
            BodyLength::Length(bytes) if bytes > self.body_bytes_max => Err(Refusal::BodyTooLarge),
            _ => Ok(()),
        }
    }
}

fn check_content(head: &Head<'_>) -> Result<(), Refusal> {
    let content_type = head.fields.content_type.value().unwrap_or_default();
    // Parameters are ignored: JSON has no charset but UTF-8 (RFC 8259, section 11), which its parser checks.
    let essence = || split_list(content_type, b';').next().unwrap_or_default();
    // Most clients write it exactly so; other values are parsed.
    if content_type != b"application/json" && !essence().eq_ignore_ascii_case(b"application/json") {
        return Err(Refusal::ContentType);
    }
    if head.fields.content_encoding.is_present() {
        let mut codings = head
            .values("content-encoding")
            .flat_map(|value| split_list(value, b','));
        if !codings.all(|coding| coding.eq_ignore_ascii_case(b"identity")) {
            return Err(Refusal::ContentEncoding);
        }
    }
    Ok(())
}
