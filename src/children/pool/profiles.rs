//! The profiles of the clients that came, in their recent shares: for whom children are made ready before they come.

use crate::mcp::ClientProfile;

/// Profiles that are told apart; a deployment has one to three kinds of clients.
const PROFILES_MAX: usize = 16;
/// What is left of a share when another client comes: the last fifty or so count.
const KEPT: f64 = 0.98;
/// A profile whose share is this part of another's is as good: what is ready for it is not thrown away.
const AS_GOOD: f64 = 0.5;

/// The shares.
#[derive(Debug, Default)]
pub(super) struct ProfileShares(Vec<(ClientProfile, f64)>);

impl ProfileShares {
    /// A client has come.
    pub(super) fn add(&mut self, profile: ClientProfile) {
        self.0.iter_mut().for_each(|(_, share)| *share *= KEPT);
        if let Some((_, share)) = self.0.iter_mut().find(|(known, _)| *known == profile) {
            *share += 1.0;
            return;
        }
        if self.0.len() >= PROFILES_MAX {
            let smallest = self
                .0
                .iter()
                .enumerate()
                .min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
            if let Some(at) = smallest.map(|(at, _)| at) {
                self.0.swap_remove(at);
            }
        }
        self.0.push((profile, 1.0));
    }

    /// Whether a child for `ready` is as good to keep as one for `wanted`.
    pub(super) fn is_as_good(&self, ready: ClientProfile, wanted: ClientProfile) -> bool {
        ready == wanted || self.share(ready) > AS_GOOD * self.share(wanted)
    }

    /// For whom so many children are to be ready. Before anybody has come, they are for somebody who cannot be asked.
    pub(super) fn ready_for(&self, children: usize) -> Vec<ClientProfile> {
        let mut chosen: Vec<ClientProfile> = Vec::with_capacity(children);
        for _ in 0..children {
            // Each goes to the profile with most clients for each of the children it has, with this one.
            let weight = |&(profile, share): &(ClientProfile, f64)| {
                let has = chosen.iter().filter(|chosen| **chosen == profile).count();
                share / (has as f64 + 1.0)
            };
            let next = self.0.iter().max_by(|a, b| weight(a).total_cmp(&weight(b)));
            chosen.push(next.map_or(ClientProfile::NOBODY, |(profile, _)| *profile));
        }
        chosen
    }

    fn share(&self, profile: ClientProfile) -> f64 {
        let found = self.0.iter().find(|(known, _)| *known == profile);
        found.map_or(0.0, |(_, share)| *share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::{ClientCapabilities, Revision};

    fn profile(bits: u16) -> ClientProfile {
        ClientProfile {
            revision: Revision::V2025_11_25,
            capabilities: ClientCapabilities::from_bits(bits),
        }
    }

    #[test]
    fn children_are_ready_for_those_who_came_lately() {
        let mut shares = ProfileShares::default();
        assert_eq!(shares.ready_for(2), [ClientProfile::NOBODY; 2]);
        (0..6).for_each(|_| shares.add(profile(1)));
        (0..3).for_each(|_| shares.add(profile(2)));
        assert_eq!(shares.ready_for(1), [profile(1)]);
        let three = shares.ready_for(3);
        assert_eq!(three.iter().filter(|ready| **ready == profile(1)).count(), 2);
        (0..200).for_each(|_| shares.add(profile(3)));
        assert_eq!(shares.ready_for(3), [profile(3); 3]);
        assert!(shares.ready_for(0).is_empty());
    }

    #[test]
    fn what_is_nearly_as_good_is_kept() {
        let mut shares = ProfileShares::default();
        (0..10).for_each(|_| shares.add(profile(1)));
        (0..9).for_each(|_| shares.add(profile(2)));
        assert!(shares.is_as_good(profile(1), profile(2)) && shares.is_as_good(profile(2), profile(1)));
        assert!(!shares.is_as_good(profile(3), profile(1)));
        assert!(!shares.is_as_good(ClientProfile::NOBODY, profile(1)));
        assert!(shares.is_as_good(profile(3), profile(3)));
    }

    #[test]
    fn strangers_without_number_take_no_memory() {
        let mut shares = ProfileShares::default();
        (0..1000).for_each(|bits| shares.add(profile(bits)));
        assert_eq!(shares.0.len(), PROFILES_MAX);
    }
}
