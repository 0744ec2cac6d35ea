//! The features of a server.

use crate::registry::Registry;

/// The features of which there is something. The methods of the others do not exist.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Has {
    pub(in crate::mcp) tools: bool,
    pub(in crate::mcp) resources: bool,
    /// There are resources that clients can subscribe to.
    pub(in crate::mcp) subscriptions: bool,
    pub(in crate::mcp) prompts: bool,
    pub(in crate::mcp) completions: bool,
    /// Calls may log to their clients.
    pub(in crate::mcp) logging: bool,
}

impl Has {
    pub(in crate::mcp) fn of(registry: &Registry) -> Self {
        let own_resources =
            registry.resources().len() + registry.templates().len() + registry.listers().len() > 0;
        let foreign = registry.foreign_features();
        Self {
            tools: registry.tools().len() > 0 || foreign.tools,
            resources: own_resources || foreign.resources,
            subscriptions: own_resources || foreign.subscriptions,
            prompts: registry.prompts().len() > 0 || foreign.prompts,
            completions: registry.has_completers(),
            logging: !registry.is_all_foreign() || foreign.logging,
        }
    }
}
