//! Protocol revisions and the two eras they fall into (MCP, basic protocol, versioning).

/// A protocol revision that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05.
    V2024_11_05,
    /// 2025-03-26: tool annotations, audio, batches.
    V2025_03_26,
    /// 2025-06-18: titles, structured results, resource links; no batches.
    V2025_06_18,
    /// 2025-11-25: icons, argument faults as results; the newest with `initialize`.
    V2025_11_25,
    /// 2026-07-28: stateless.
    V2026_07_28,
}

/// How a client and its server agree on a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// Revisions up to 2025-11-25: `initialize`, sessions.
    Legacy,
    /// 2026-07-28: every request stands for itself.
    Modern,
}

impl Revision {
    /// All revisions, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The newest revision that begins with `initialize`. A client that asks for any other is offered this one.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;

    /// The revision that is assumed for a legacy request without a version header and without a session (2025-11-25,
    /// transports, protocol version header).
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// The revision of this name, as in `2025-11-25`.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|revision| revision.as_str().as_bytes() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Its era.
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            _ => Era::Legacy,
        }
    }

    /// Its place in [`Revision::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether a body may be an array of messages; only one revision has that.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// Whether tools have hints.
    pub fn has_annotations(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether there is audio content.
    pub fn has_audio(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether tools and servers have titles.
    pub fn has_titles(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether tools have output schemas and structured results.
    pub fn has_structured_results(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether structured results and output schemas may be of any JSON type, not only objects.
    pub fn has_any_structured_result(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether tools, resources and prompts have icons.
    pub fn has_icons(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether completion, which is older, is a capability that is declared.
    pub fn has_completions_capability(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether links to resources are content.
    pub fn has_resource_links(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether tools, resources, prompts and contents have `_meta`, as results always had, and annotations the time of
    /// the last change.
    pub fn has_item_meta(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether progress may have a message.
    pub fn has_progress_messages(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether the user can be asked.
    pub fn has_elicitation(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether questions to the user have modes: URLs beside forms, and forms with titled or multiple choices.
    pub fn has_elicitation_modes(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether sampling has tools, and messages of several blocks.
    pub fn has_sampling_tools(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether URL elicitations have ids, a notification of their end, and an error that demands them.
    pub fn has_elicitation_ids(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether streams begin with an event without data, and may be cut and resumed.
    pub fn has_stream_priming(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether a client asks for a task with its request, and gets its result by `tasks/result`; later tasks are an
    /// extension.
    pub fn has_requested_tasks(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether there are tasks of either kind.
    pub fn has_tasks(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether arguments that break a tool's schema are a result with `isError`, which a model sees and can act on
    /// (SEP-1303), instead of a protocol error.
    pub fn has_argument_faults_as_results(self) -> bool {
        self >= Self::V2025_11_25
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (at, revision) in Revision::ALL.into_iter().enumerate() {
            assert_eq!(Revision::parse(revision.as_str().as_bytes()), Some(revision));
            assert_eq!(revision.index(), at);
        }
        for other in [
            "",
            "2025-11-2",
            "2025-11-250",
            "2024-10-07",
            "DRAFT-2026-v1",
            "v999",
        ] {
            assert_eq!(Revision::parse(other.as_bytes()), None);
        }
    }
}
