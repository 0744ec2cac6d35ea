//! Groups of tools, resources and prompts as a type, and where they are mounted.
//!
//! A toolset is the state of its own functions. Mounted under a prefix, it has the names and URIs that a
//! [part](crate::registry::prefixes) of what is served has, and does not see them: its functions get its own URIs and
//! give them.

use std::collections::HashSet;
use std::sync::Arc;

use super::registry_builder::RegistryBuilder;
use super::registry_error::{PREFIX_CHARS_MAX, RegistryError};
use super::uri_template::UriTemplate;
use super::watch::{MountedWatch, Watch};
use crate::registry::app;
use crate::registry::info::resource_info::ResourceInfo;
use crate::registry::mount::Mount;

/// A group of tools, resources and prompts that is added as a whole, and is the [state](RegistryBuilder::state) of its
/// functions.
///
/// ```
/// use serde::Deserialize;
/// use schemars::JsonSchema;
/// use weir::{CallContext, Registry, RegistryBuilder, RegistryError, Tool, ToolError, Toolset};
///
/// struct Greeter {
///     word: &'static str,
/// }
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Greet {
///     name: String,
/// }
///
/// impl Greeter {
///     async fn greet(&self, _: CallContext, args: Greet) -> Result<String, ToolError> {
///         Ok(format!("{}, {}!", self.word, args.name))
///     }
/// }
///
/// impl Toolset for Greeter {
///     fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
///         registry.add(Tool::new("greet").run(Greeter::greet))?;
///         Ok(())
///     }
/// }
///
/// let mut registry = Registry::builder();
/// registry.mount("english", Greeter { word: "Hello" })?;
/// registry.mount("german", Greeter { word: "Hallo" })?;
/// let registry = registry.build();
/// assert!(registry.find("german__greet").is_some());
/// # Ok::<(), RegistryError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no toolset",
    label = "not a toolset",
    note = "it is one once it implements `Toolset`, whose `register` adds its tools, resources and prompts"
)]
pub trait Toolset: Send + Sync + Sized + 'static {
    /// Adds all that it has. Functions may borrow the toolset, and the states of the registry that it is added to.
    ///
    /// # Errors
    /// Fails as [`RegistryBuilder::add`] does; the toolset is then not added.
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError>;
}

impl RegistryBuilder {
    /// Adds a toolset under a prefix, so that several of one type have their place: its tool or prompt `search` is
    /// served as `prefix__search`, its resource `tracker://issue/1` as `prefix+tracker://issue/1` (with a prefix in
    /// lower case, and `-` for `_`), and its `ui://card` as `ui://prefix/card`. Names of more than 64 characters are
    /// cut and end in a hash. [`add`](Self::add) adds it without a prefix.
    ///
    /// The toolset does not see the prefix: its functions get its own URIs, and those in links, embedded resources,
    /// contents and lists become the served ones, as does the page that a tool names. Only URIs of resources and
    /// templates that the toolset registers do so; others, as `https://` elsewhere, stay as they are. For the rest
    /// there is [`CallContext::served_uri`](crate::CallContext::served_uri).
    ///
    /// # Errors
    /// [`RegistryError::Prefix`] unless the prefix is 1 to 32 characters of `[A-Za-z0-9_-]` that begin with a letter;
    /// [`RegistryError::PrefixAlike`] if URIs could not tell it from another one, as `Team_A` from `team-a`; otherwise
    /// fails as [`add`](Self::add) does. Nothing of the toolset is then added.
    pub fn mount(
        &mut self,
        prefix: impl AsRef<str>,
        toolset: impl Toolset,
    ) -> Result<&mut Self, RegistryError> {
        let prefix = prefix.as_ref();
        let is_behind = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_prefix = prefix.len() <= PREFIX_CHARS_MAX
            && prefix.starts_with(|c: char| c.is_ascii_alphabetic())
            && prefix.chars().all(is_behind);
        if !is_prefix {
            return Err(RegistryError::Prefix(prefix.to_owned()));
        }
        let outer = self.mount.clone();
        let place = Arc::new(Mount::new(prefix, outer.clone()));
        if let Some(other) = self.inner.mounts().find_map(|mount| mount.alike(&place)) {
            return Err(RegistryError::PrefixAlike {
                prefix: prefix.to_owned(),
                other: other.to_owned(),
            });
        }
        self.mount = Some(Arc::clone(&place));
        let registered = self.register_toolset(toolset);
        self.mount = outer;
        registered?;
        self.serve_uris_at(&place);
        Ok(self)
    }

    /// Now that all of a toolset is registered, tells its place what it serves, and its tools where their pages are.
    fn serve_uris_at(&mut self, place: &Arc<Mount>) {
        let is_within = |mount: &Option<Arc<Mount>>| mount.as_ref().is_some_and(|mount| mount.is_at(place));
        let resources = self
            .inner
            .resources
            .iter()
            .filter(|entry| is_within(&entry.mount));
        let uris: HashSet<String> = resources.map(|entry| entry.info.address().to_owned()).collect();
        let templates = self
            .inner
            .templates
            .iter()
            .filter(|entry| is_within(&entry.mount));
        let templates: Vec<UriTemplate> = templates.map(|entry| entry.template.clone()).collect();
        let is_matched = move |uri: &str| templates.iter().any(|template| template.values(uri).is_some());
        place.serves(move |uri| uris.contains(uri) || is_matched(uri));
        for tool in &mut self.inner.tools {
            let is_here = tool.mount.as_ref().is_some_and(|mount| Arc::ptr_eq(mount, place));
            // Whatever was registered just now is not shared yet.
            if let Some(tool) = Arc::get_mut(tool).filter(|_| is_here) {
                app::rename_page(&mut tool.info.meta, |uri| place.uri(uri));
            }
        }
    }

    /// Adds a toolset at the present place, all of it or nothing.
    pub(super) fn register_toolset<T: Toolset>(&mut self, toolset: T) -> Result<(), RegistryError> {
        let before = self.inner.clone();
        let toolset = Arc::new(toolset);
        self.inner.states.insert(Arc::clone(&toolset));
        let registered = toolset.register(self);
        match registered {
            // The toolset is the state of its own functions alone.
            Ok(()) => self.inner.states = before.states,
            Err(_) => self.inner = before,
        }
        registered
    }

    /// The name under which a tool or prompt is served that is called `own` here.
    pub(super) fn served_name(&self, own: String) -> String {
        match &self.mount {
            Some(mount) => mount.name(&own),
            None => own,
        }
    }

    /// The URI, or the template of URIs, under which one is served.
    pub(super) fn served_uri(&self, own: &str) -> String {
        match &self.mount {
            Some(mount) => mount.address(own),
            None => own.to_owned(),
        }
    }

    /// Gives a resource or template the address under which it is served.
    pub(super) fn serve_address(&self, info: &mut ResourceInfo) {
        if let Some(mount) = &self.mount {
            let address = info.address_mut();
            *address = mount.address(address);
        }
    }

    pub(super) fn mounted_watch(&self, watch: Option<Arc<dyn Watch>>) -> Option<Arc<dyn Watch>> {
        match (watch, &self.mount) {
            (Some(watch), Some(mount)) => {
                let mount = Arc::clone(mount);
                Some(Arc::new(MountedWatch { watch, mount }))
            }
            (watch, _) => watch,
        }
    }
}

#[cfg(test)]
mod tests;
