//! User interfaces that hosts show beside results (the extension MCP Apps, `io.modelcontextprotocol/ui`, 2026-01-26).
//!
//! An app is a page of HTML that a host reads as a resource, `ui://…`, and shows in a frame of its own. A tool names it
//! in its `_meta`; the page is given the tool's arguments and result. What the page may load and use is said in the
//! `_meta` of the resource.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::meta::Meta;

/// The name of the extension, which clients declare.
pub(crate) const APPS_EXTENSION: &str = "io.modelcontextprotocol/ui";

/// The MIME type of an app's page.
pub const APP_MIME_TYPE: &str = "text/html;profile=mcp-app";

/// The scheme of an app's URI.
const APP_SCHEME: &str = "ui://";

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
/// Origins look like `https://api.example.com`, `wss://live.example.com` or `https://*.example.com`.
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

    /// An origin of its own for the page, in the host's form: see the host's documentation.
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

/// Why an app cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The URI of an app begins with `ui://`.
    #[error("the URI of an app begins with `{APP_SCHEME}`, and {0:?} does not")]
    Uri(String),
    /// It is no origin, such as `https://api.example.com`.
    #[error("{0:?} is no origin like `https://api.example.com` or `wss://*.example.com:8443`")]
    Origin(String),
}

/// # Errors
/// The page that a tool names has no URI of an app.
pub(in crate::registry) fn check_tool(meta: &Meta) -> Result<(), AppError> {
    let nested = meta.get(KEY).and_then(|about| about.get("resourceUri"));
    let named = [nested, meta.get(OLDER_KEY)];
    named
        .into_iter()
        .flatten()
        .try_for_each(|uri| match uri.as_str() {
            Some(uri) => check_uri(uri),
            None => Err(AppError::Uri(uri.to_string())),
        })
}

/// # Errors
/// A resource that is an app has another URI, or names an origin that is none.
pub(in crate::registry) fn check_resource(
    uri: &str,
    mime_type: Option<&str>,
    meta: &Meta,
) -> Result<(), AppError> {
    let about = meta.get(KEY);
    if about.is_some() || mime_type == Some(APP_MIME_TYPE) {
        check_uri(uri)?;
    }
    let lists = about
        .and_then(|about| about.get("csp"))
        .and_then(Value::as_object);
    let origins = lists.into_iter().flat_map(|lists| lists.values());
    let origins = origins.filter_map(Value::as_array).flatten();
    origins
        .map(|origin| origin.as_str().ok_or_else(|| origin.to_string()))
        .try_for_each(|origin| match origin {
            Ok(origin) if is_origin(origin) => Ok(()),
            Ok(origin) => Err(AppError::Origin(origin.to_owned())),
            Err(other) => Err(AppError::Origin(other)),
        })
}

fn check_uri(uri: &str) -> Result<(), AppError> {
    match uri.strip_prefix(APP_SCHEME) {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => Err(AppError::Uri(uri.to_owned())),
    }
}

/// Hosts put origins into a Content-Security-Policy, where a space or a semicolon would begin something else.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let host = authority.strip_prefix("*.").unwrap_or(authority);
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']');
    is_scheme && !host.is_empty() && host.bytes().all(is_host)
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
        assert_eq!(check_tool(&meta), Ok(()));
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
            assert_eq!(check_tool(&meta), Err(AppError::Uri(uri.to_owned())));
            let refused = check_resource(uri, Some(APP_MIME_TYPE), &Meta::NONE);
            assert_eq!(refused, Err(AppError::Uri(uri.to_owned())));
            assert_eq!(check_resource(uri, Some("text/html"), &Meta::NONE), Ok(()));
        }
        assert!(check_tool(&Meta::NONE.with(OLDER_KEY, 7)).is_err());
        for (origin, is_one) in [
            ("https://example.com", true),
            ("https://*.example.com:8443", true),
            ("wss://[::1]:80", true),
            ("http://localhost:3000", true),
            ("example.com", false),
            ("https://", false),
            ("https://a b", false),
            ("https://a; script-src *", false),
            ("https://a/path", false),
            ("'unsafe-inline'", false),
            ("*", false),
        ] {
            let mut meta = Meta::NONE;
            AppSettings::new().load(origin).write_to(&mut meta);
            let checked = check_resource("ui://a", None, &meta);
            assert_eq!(checked.is_ok(), is_one, "{origin}: {checked:?}");
        }
    }
}
