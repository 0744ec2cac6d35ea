//! The limits of all tools of a server, by the tools' names.
//!
//! A registry may change while it is served: a tool that takes another's name takes its limit over, with the calls that
//! are in flight and those that wait.
#![allow(
    clippy::disallowed_types,
    reason = "taken when a registry changes and when metrics are read"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tool_limit::{Concurrency, ToolLimit};
use crate::metrics::ToolLimitFigures;

/// The limits of all tools, by name.
#[derive(Debug, Default)]
pub struct ToolLimits {
    by_name: Mutex<BTreeMap<String, Arc<ToolLimit>>>,
}

impl ToolLimits {
    /// The limit of the tool of this name, which is this from now on.
    pub fn limit(&self, name: &str, bounds: Concurrency) -> Arc<ToolLimit> {
        let limit = {
            let mut by_name = self.lock();
            if let Some(limit) = by_name.get(name) {
                Arc::clone(limit)
            } else {
                let limit = ToolLimit::new(bounds);
                by_name.insert(name.to_owned(), Arc::clone(&limit));
                return limit;
            }
        };
        limit.set(bounds);
        limit
    }

    /// Lifts the limits of all tools but those that are limited still. What is in flight counts again if one of them
    /// comes back, and so does what begins by a registry from before, which a shard may still be about to ask for.
    pub fn lift_others(&self, is_limited: impl Fn(&str) -> bool) {
        let mut lifted = Vec::new();
        self.lock().retain(|name, limit| {
            if is_limited(name) {
                return true;
            }
            let is_known = Arc::strong_count(limit) > 1;
            lifted.push(Arc::clone(limit));
            is_known || limit.is_used()
        });
        lifted.iter().for_each(ToolLimit::lift);
    }

    /// The figures of each limited tool, with its name.
    pub fn figures(&self) -> Vec<(String, ToolLimitFigures)> {
        let by_name = self.lock();
        let figures = by_name.iter();
        figures
            .filter_map(|(name, limit)| Some((name.clone(), limit.figures()?)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ToolLimit>>> {
        // Nothing that can panic runs halfway through a change.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn bounds(in_flight_max: u32) -> Concurrency {
        Concurrency {
            in_flight_max,
            queue_max: None,
        }
    }

    #[test]
    fn a_name_keeps_its_limit_while_anything_is_in_flight() {
        let limits = ToolLimits::default();
        let names = || -> Vec<_> { limits.figures().into_iter().map(|(name, _)| name).collect() };
        let first = limits.limit("a", bounds(1));
        let running = first.try_enter(Instant::now());
        assert!(Arc::ptr_eq(&first, &limits.limit("a", bounds(2))));
        assert!(!Arc::ptr_eq(&first, &limits.limit("b", bounds(2))));
        assert_eq!(names(), ["a", "b"]);
        limits.lift_others(|name| name == "b");
        assert_eq!((names(), first.figures()), (vec!["b".to_owned()], None));
        // It comes back with what is in flight.
        let again = limits.limit("a", bounds(1));
        assert!(Arc::ptr_eq(&first, &again));
        assert!(again.try_enter(Instant::now()).is_none());
        // A registry from before may know it, by which calls may still begin.
        drop(running);
        limits.lift_others(|_| false);
        assert!(Arc::ptr_eq(&first, &limits.limit("a", bounds(1))));
        drop((first, again));
        limits.lift_others(|_| false);
        assert!(limits.lock().is_empty());
    }
}
