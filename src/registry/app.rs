//! User interfaces that hosts show beside results (the extension MCP Apps, `io.modelcontextprotocol/ui`, 2026-01-26).
//!
//! An app is a page of HTML that a host reads as a resource, `ui://…`, and shows in a frame of its own. A tool names it
//! in its `_meta`; the page is given the tool's arguments and result. What the page may load and use is said in the
//! `_meta` of the resource.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use serde::Serialize;
use serde_json::{Value, json};

use super::meta::Meta;
use super::uri::is_absolute_uri;

/// The name of the extension, which clients declare.
pub(crate) const APPS_EXTENSION: &str = "io.modelcontextprotocol/ui";

/// The MIME type of an app's page.
pub const APP_MIME_TYPE: &str = "text/html;profile=mcp-app";

/// The scheme of an app's URI.
const APP_SCHEME: &str = "ui://";

/// The schemes of what a page may load, or send requests to.
const ORIGIN_SCHEMES: [&str; 4] = ["https", "http", "wss", "ws"];

/// The member of `_meta` that says everything about an app.
const KEY: &str = "ui";

/// The same about a tool's page alone, for older hosts.
const OLDER_KEY: &str = "ui/resourceUri";

/// Who is to call a tool that belongs to an app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolVisibility {
    /// The model and the app.
    #[default]
    ModelAndApp,
    /// The model alone.
    Model,
    /// The app alone, for its buttons and its refreshing. The tool is listed only to clients that show apps.
    App,
}

/// What an app's page may load and use. Without any of it, the page has what is written in it and nothing else.
///
/// Origins look like `https://api.example.com`, `wss://live.example.com` or `https://*.example.com:8443`; a page is not
/// registered with any other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppSettings {
    #[serde(skip_serializing_if = "Origins::is_empty")]
    csp: Origins,
    #[serde(skip_serializing_if = "Permissions::is_empty")]
    permissions: Permissions,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefers_border: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Origins {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connect_domains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_domains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frame_domains: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_uri_domains: Vec<String>,
}

impl Origins {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Those that are asked for are empty objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Permissions {
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    microphone: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geolocation: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clipboard_write: Option<Asked>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Asked {}

impl Permissions {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AppSettings {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An origin that the page may send requests to; may be called more than once, as all of these may.
    #[must_use]
    pub fn connect(mut self, origin: impl Into<String>) -> Self {
        self.csp.connect_domains.push(origin.into());
        self
    }

    /// An origin of scripts, styles, pictures, fonts and media.
    #[must_use]
    pub fn load(mut self, origin: impl Into<String>) -> Self {
        self.csp.resource_domains.push(origin.into());
        self
    }

    /// An origin of pages in frames inside the page.
    #[must_use]
    pub fn frame(mut self, origin: impl Into<String>) -> Self {
        self.csp.frame_domains.push(origin.into());
        self
    }

    /// An origin that the page may name as the base of its links.
    #[must_use]
    pub fn base_uri(mut self, origin: impl Into<String>) -> Self {
        self.csp.base_uri_domains.push(origin.into());
        self
    }

    /// Asks for the camera. A host need not grant this, nor any of the others.
    #[must_use]
    pub fn camera(mut self) -> Self {
        self.permissions.camera = Some(Asked {});
        self
    }

    /// Asks for the microphone.
    #[must_use]
    pub fn microphone(mut self) -> Self {
        self.permissions.microphone = Some(Asked {});
        self
    }

    /// Asks for the place of the user.
    #[must_use]
    pub fn geolocation(mut self) -> Self {
        self.permissions.geolocation = Some(Asked {});
        self
    }

    /// Asks to write to the clipboard.
    #[must_use]
    pub fn clipboard_write(mut self) -> Self {
        self.permissions.clipboard_write = Some(Asked {});
        self
    }

    /// An origin of its own for the page, in the host's form: a name such as `a1b2.host.example`, or an origin. See the
    /// host's documentation.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Whether the host is to draw a border and a background. Hosts differ in what they do unless this is said.
    #[must_use]
    pub fn border(mut self, is_wanted: bool) -> Self {
        self.prefers_border = Some(is_wanted);
        self
    }

    /// Says so in the `_meta` of a resource.
    pub(in crate::registry) fn write_to(&self, meta: &mut Meta) {
        meta.insert(KEY, json!(self));
    }
}

/// Names the page of a tool in the tool's `_meta`.
pub(in crate::registry) fn show(meta: &mut Meta, uri: String) {
    let mut about = about(meta);
    about["resourceUri"] = json!(uri);
    meta.insert(KEY, about);
    meta.insert(OLDER_KEY, uri);
}

/// Gives the page that a tool's `_meta` names another URI.
pub(in crate::registry) fn rename_page(meta: &mut Meta, served: impl Fn(&str) -> String) {
    let mut about = about(meta);
    if let Some(page) = about.get_mut("resourceUri") {
        if let Some(uri) = page.as_str() {
            *page = json!(served(uri));
        }
        meta.insert(KEY, about);
    }
    let older = meta.get(OLDER_KEY).and_then(Value::as_str).map(served);
    if let Some(uri) = older {
        meta.insert(OLDER_KEY, uri);
    }
}

/// Says in a tool's `_meta` who is to call it.
pub(in crate::registry) fn limit(meta: &mut Meta, visibility: ToolVisibility) {
    let mut about = about(meta);
    about["visibility"] = match visibility {
        ToolVisibility::ModelAndApp => json!(["model", "app"]),
        ToolVisibility::Model => json!(["model"]),
        ToolVisibility::App => json!(["app"]),
    };
    meta.insert(KEY, about);
}

fn about(meta: &Meta) -> Value {
    let said = meta.get(KEY).filter(|said| said.is_object());
    said.cloned().unwrap_or_else(|| json!({}))
}

/// Whether a tool is for an app alone.
pub(in crate::registry) fn is_for_apps_only(meta: &Meta) -> bool {
    let visibility = meta.get(KEY).and_then(|about| about.get("visibility"));
    visibility
        .and_then(Value::as_array)
        .is_some_and(|those| those.iter().any(|one| one == "app") && those.iter().all(|one| one != "model"))
}

/// Whether something registered with this `_meta` has an app, or is one.
pub(in crate::registry) fn has_app(meta: &Meta) -> bool {
    meta.get(KEY).is_some()
}

/// The `_meta` of contents, with what is registered about the app that they are unless they say something themselves.
pub(in crate::registry) fn meta_of_contents<'m>(own: &'m Meta, registered: &Meta) -> Cow<'m, Meta> {
    match registered.get(KEY) {
        Some(about) if own.get(KEY).is_none() => Cow::Owned(own.clone().with(KEY, about.clone())),
        _ => Cow::Borrowed(own),
    }
}

/// Why an app cannot be registered, and, in `_meta` of contents, why they cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The URI of an app begins with `ui://`, and is a URI.
    #[error(
        "the URI of an app begins with `{APP_SCHEME}` and has the characters of URIs, and {0:?} does not"
    )]
    Uri(String),
    /// It is no origin, such as `https://api.example.com`.
    #[error(
        "{0:?} is no origin like `https://api.example.com` or `wss://*.example.com:8443`: a scheme (https, http, wss, ws), \
         a host and perhaps a port"
    )]
    Origin(String),
    /// It is neither a host's name nor an origin.
    #[error(
        "the domain {0:?} is neither a name like `a1b2.host.example` nor an origin like `https://app.example.com`"
    )]
    Domain(String),
    /// A member of `ui` has another form than hosts read.
    #[error("`{member}` is {wanted}, not {found}; {advice}")]
    Form {
        /// The member.
        member: String,
        /// What hosts read there.
        wanted: &'static str,
        /// What is there, as JSON.
        found: String,
        /// What writes it as it has to be.
        advice: &'static str,
    },
}

/// What writes what hosts read of a tool and of a page.
const TOOL_ADVICE: &str = "say it by `Tool::app` and `visibility`";
const PAGE_ADVICE: &str = "say it by `AppSettings`";

/// Checks all that a `_meta` says about an app, whoever has written it: the one check for tools, resources, templates,
/// listed resources and contents.
///
/// # Errors
/// A host would read something else than was meant, or nothing: see [`AppError`].
pub(in crate::registry) fn check(meta: &Meta) -> Result<(), AppError> {
    if let Some(older) = meta.get(OLDER_KEY) {
        check_page(OLDER_KEY, older)?;
    }
    let Some(about) = meta.get(KEY) else {
        return Ok(());
    };
    let members = about.as_object();
    let members = members.ok_or_else(|| form(KEY, "an object", about, TOOL_ADVICE))?;
    members.iter().try_for_each(|(name, value)| match name.as_str() {
        "resourceUri" => check_page("ui.resourceUri", value),
        "visibility" => check_visibility(value),
        "csp" => check_origins(value),
        "permissions" => check_permissions(value),
        "domain" => check_domain(value),
        "prefersBorder" if !value.is_boolean() => {
            Err(form("ui.prefersBorder", "true or false", value, PAGE_ADVICE))
        }
        // What later revisions of the extension add is none of ours.
        _ => Ok(()),
    })
}

/// # Errors
/// A resource that is an app has another URI, or says something wrong about itself.
pub(in crate::registry) fn check_resource(
    uri: &str,
    mime_type: Option<&str>,
    meta: &Meta,
) -> Result<(), AppError> {
    let is_app = has_app(meta) || mime_type == Some(APP_MIME_TYPE);
    if is_app && !is_below_scheme(uri) {
        return Err(AppError::Uri(uri.to_owned()));
    }
    check(meta)
}

fn form(member: &str, wanted: &'static str, found: &Value, advice: &'static str) -> AppError {
    AppError::Form {
        member: member.to_owned(),
        wanted,
        found: found.to_string(),
        advice,
    }
}

/// The URI that a tool names.
fn check_page(member: &str, value: &Value) -> Result<(), AppError> {
    match value.as_str() {
        Some(uri) if is_below_scheme(uri) && is_absolute_uri(uri) => Ok(()),
        Some(uri) => Err(AppError::Uri(uri.to_owned())),
        None => Err(form(member, "a URI", value, TOOL_ADVICE)),
    }
}

/// The characters of a resource's URI, and of a template, are checked with the URIs that are no apps.
fn is_below_scheme(uri: &str) -> bool {
    uri.strip_prefix(APP_SCHEME).is_some_and(|rest| !rest.is_empty())
}

fn check_visibility(value: &Value) -> Result<(), AppError> {
    let is_one = |one: &Value| one == "model" || one == "app";
    match value.as_array() {
        Some(those) if !those.is_empty() && those.iter().all(is_one) => Ok(()),
        _ => Err(form(
            "ui.visibility",
            "a list of \"model\" and \"app\"",
            value,
            TOOL_ADVICE,
        )),
    }
}

fn check_origins(csp: &Value) -> Result<(), AppError> {
    let lists = csp.as_object();
    let lists = lists.ok_or_else(|| form("ui.csp", "an object", csp, PAGE_ADVICE))?;
    lists.iter().try_for_each(|(name, list)| {
        let not_origins = || form(&format!("ui.csp.{name}"), "a list of origins", list, PAGE_ADVICE);
        let origins = list.as_array().ok_or_else(not_origins)?;
        origins.iter().try_for_each(|origin| match origin.as_str() {
            Some(origin) if is_origin(origin) => Ok(()),
            Some(origin) => Err(AppError::Origin(origin.to_owned())),
            None => Err(not_origins()),
        })
    })
}

/// Those that are asked for are objects, which say nothing more yet.
fn check_permissions(value: &Value) -> Result<(), AppError> {
    match value.as_object() {
        Some(asked) if asked.values().all(Value::is_object) => Ok(()),
        _ => Err(form(
            "ui.permissions",
            "an object of empty objects, such as `{\"camera\": {}}`",
            value,
            PAGE_ADVICE,
        )),
    }
}

/// Each host has its own form of it: names below one of its own, or origins.
fn check_domain(value: &Value) -> Result<(), AppError> {
    match value.as_str() {
        Some(domain) if is_name(domain) || is_origin(domain) => Ok(()),
        Some(domain) => Err(AppError::Domain(domain.to_owned())),
        None => Err(form("ui.domain", "a text", value, PAGE_ADVICE)),
    }
}

/// Hosts put origins into a Content-Security-Policy, where a space or a semicolon would begin something else.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = ORIGIN_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str());
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an address without a port are within its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host.strip_prefix("*.").unwrap_or(host)),
    };
    is_scheme && is_host && port.is_none_or(is_port)
}

/// Whether this is a host's name, or an address of four numbers.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(is_of_names)
    };
    host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_hosts_read_them() {
        let settings = AppSettings::new()
            .connect("https://api.example.com")
            .connect("wss://live.example.com")
            .load("https://cdn.example.com")
            .frame("https://video.example.com")
            .base_uri("https://example.com")
            .camera()
            .microphone()
            .geolocation()
            .clipboard_write()
            .domain("abc.host.example")
            .border(false);
        assert_eq!(
            json!(settings),
            json!({
                "csp": {
                    "connectDomains": ["https://api.example.com", "wss://live.example.com"],
                    "resourceDomains": ["https://cdn.example.com"],
                    "frameDomains": ["https://video.example.com"],
                    "baseUriDomains": ["https://example.com"],
                },
                "permissions": {"camera": {}, "microphone": {}, "geolocation": {}, "clipboardWrite": {}},
                "domain": "abc.host.example",
                "prefersBorder": false,
            })
        );
        assert_eq!(json!(AppSettings::new()), json!({}));
    }

    #[test]
    fn a_tool_names_its_page_for_hosts_of_every_age() {
        let mut meta = Meta::NONE.with("com.example/n", 1);
        limit(&mut meta, ToolVisibility::App);
        show(&mut meta, "ui://a".to_owned());
        let expected = r#"{"com.example/n":1,"ui":{"visibility":["app"],"resourceUri":"ui://a"},"ui/resourceUri":"ui://a"}"#;
        assert_eq!(serde_json::to_string(&meta).unwrap(), expected);
        assert_eq!(check(&meta), Ok(()));
        for (visibility, expected) in [
            (ToolVisibility::App, true),
            (ToolVisibility::Model, false),
            (ToolVisibility::ModelAndApp, false),
        ] {
            limit(&mut meta, visibility);
            assert_eq!(is_for_apps_only(&meta), expected, "{visibility:?}");
        }
        assert!(!is_for_apps_only(&Meta::NONE));
    }

    #[test]
    fn pages_and_origins_are_checked() {
        for uri in ["https://example.com", "ui:x", "ui://", ""] {
            let mut meta = Meta::NONE;
            show(&mut meta, uri.to_owned());
            assert_eq!(check(&meta), Err(AppError::Uri(uri.to_owned())));
            let refused = check_resource(uri, Some(APP_MIME_TYPE), &Meta::NONE);
            assert_eq!(refused, Err(AppError::Uri(uri.to_owned())));
            assert_eq!(check_resource(uri, Some("text/html"), &Meta::NONE), Ok(()));
        }
        for (origin, is_one) in [
            ("https://example.com", true),
            ("HTTPS://Example.com", true),
            ("https://*.example.com:8443", true),
            ("wss://[::1]:80", true),
            ("ws://[2001:db8::1]", true),
            ("http://localhost:3000", true),
            ("http://192.0.2.1", true),
            ("example.com", false),
            ("https://", false),
            ("https://a b", false),
            ("https://a; script-src *", false),
            ("https://a/path", false),
            ("https://me@a", false),
            ("https://a..b", false),
            ("https://*", false),
            ("https://a.*.b", false),
            ("https://a:port", false),
            ("https://a:", false),
            ("https://a:+1", false),
            ("https://a:65536", false),
            ("https://[::1", false),
            ("https://[a]", false),
            ("javascript://a", false),
            ("data://a", false),
            ("file://a", false),
            ("'unsafe-inline'", false),
            ("*", false),
            ("", false),
        ] {
            let mut meta = Meta::NONE;
            AppSettings::new().load(origin).write_to(&mut meta);
            let checked = check_resource("ui://a", None, &meta);
            let expected = if is_one {
                Ok(())
            } else {
                Err(AppError::Origin(origin.to_owned()))
            };
            assert_eq!(checked, expected, "{origin}");
        }
    }

    #[test]
    fn whatever_an_author_writes_by_hand_is_checked_too() {
        for (about, refused) in [
            (
                json!("ui://a"),
                "`ui` is an object, not \"ui://a\"; say it by `Tool::app` and `visibility`",
            ),
            (
                json!({"resourceUri": 7}),
                "`ui.resourceUri` is a URI, not 7; say it by `Tool::app` and `visibility`",
            ),
            (
                json!({"resourceUri": "ui://a\0b"}),
                "the URI of an app begins with `ui://` and has the characters of URIs",
            ),
            (
                json!({"visibility": "app"}),
                "`ui.visibility` is a list of \"model\" and \"app\", not \"app\"; say it by",
            ),
            (json!({"visibility": []}), "`ui.visibility` is a list"),
            (json!({"visibility": ["user"]}), "`ui.visibility` is a list"),
            (
                json!({"csp": []}),
                "`ui.csp` is an object, not []; say it by `AppSettings`",
            ),
            (
                json!({"csp": {"connectDomains": "https://a"}}),
                "`ui.csp.connectDomains` is a list of origins, not \"https://a\"; say it by `AppSettings`",
            ),
            (
                json!({"csp": {"frameDomains": [7]}}),
                "`ui.csp.frameDomains` is a list of origins, not [7]",
            ),
            (
                json!({"csp": {"x": ["javascript://a"]}}),
                "\"javascript://a\" is no origin like",
            ),
            (
                json!({"permissions": ["camera"]}),
                "`ui.permissions` is an object of empty objects",
            ),
            (
                json!({"permissions": {"camera": true}}),
                "`ui.permissions` is an object of empty objects",
            ),
            (json!({"domain": "a b"}), "the domain \"a b\" is neither a name"),
            (
                json!({"domain": "javascript://a"}),
                "the domain \"javascript://a\" is neither a name",
            ),
            (
                json!({"domain": "a.example/../b"}),
                "the domain \"a.example/../b\" is neither a name",
            ),
            (json!({"domain": 7}), "`ui.domain` is a text, not 7"),
            (
                json!({"prefersBorder": "no"}),
                "`ui.prefersBorder` is true or false, not \"no\"",
            ),
        ] {
            let meta = Meta::NONE.with(KEY, about.clone());
            let said = check(&meta).unwrap_err().to_string();
            assert!(said.starts_with(refused), "{about}: {said}");
            assert_eq!(check_resource("ui://a", None, &meta), check(&meta), "{about}");
        }
        let older = Meta::NONE.with(OLDER_KEY, 7);
        let said = check(&older).unwrap_err().to_string();
        assert!(said.starts_with("`ui/resourceUri` is a URI, not 7"), "{said}");
        for about in [
            json!({}),
            json!({"domain": "https://app.example.com"}),
            json!({"permissions": {"later": {}}, "later": 7}),
        ] {
            assert_eq!(check(&Meta::NONE.with(KEY, about)), Ok(()));
        }
    }
}
