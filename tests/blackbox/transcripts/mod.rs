//! Transcripts: every feature is written down once, and runs over every transport in every revision that has it.
//!
//! [`Feature::place`] is the table: against which server a feature runs, and from which revision to which. The harness
//! hides what differs between transports (fields, frames, lines), and the transcripts show what differs between eras;
//! nothing in a transcript knows how it travels. Other tests cover what only one transport has (statuses, resumption,
//! pings).

mod asking;
mod batches;
mod calling;
mod cancelling;
mod changing;
mod fixture;
mod methods;
mod opening;
mod reading;
mod refusing;
mod tasks;
mod telling;

use serde_json::{Value, json};

use crate::harness::{Conversation, Dialect, Revision, TransportKind, case};
use fixture::{Fixture, Host};

/// A feature of a server.
#[derive(Clone, Copy, Debug)]
enum Feature {
    Opening,
    Refusals,
    LargeNumbers,
    RefusedAnswer,
    Eras,
    Ping,
    Methods,
    Lists,
    Call,
    CallsSideBySide,
    ToolError,
    ProtocolError,
    Batch,
    Progress,
    Log,
    Cancel,
    CancelledQuestion,
    Overload,
    Resources,
    Prompts,
    Completion,
    Elicitation,
    NoElicitation,
    Sampling,
    Roots,
    SeveralQuestions,
    PromptThatAsks,
    TwoCallsThatAsk,
    Subscription,
    ListChanged,
    Tasks,
    TasksToldOf,
}

/// From one revision to another.
type Revisions = (Revision, Revision);

const FIRST: Revision = Revision("2024-11-05");
const ALL: Revisions = (FIRST, Revision::MODERN);
const LEGACY: Revisions = (FIRST, Revision::NEWEST_LEGACY);
const BEFORE_ELICITATION: Revisions = (FIRST, Revision("2025-03-26"));
const SINCE_ELICITATION: Revisions = (Revision("2025-06-18"), Revision::MODERN);
/// The revisions in which questions are requests of the server.
const ELICITATION_BY_REQUEST: Revisions = (Revision("2025-06-18"), Revision::NEWEST_LEGACY);
const TASKS: Revisions = (Revision::NEWEST_LEGACY, Revision::MODERN);
const MODERN: Revisions = (Revision::MODERN, Revision::MODERN);
const BATCHING: Revisions = (Revision::BATCHING, Revision::BATCHING);

impl Feature {
    /// The kind of server, and the revisions that have the feature.
    fn place(self) -> (Fixture, Revisions) {
        match self {
            Feature::Opening => (Fixture::Demo, ALL),
            Feature::Refusals => (Fixture::Demo, ALL),
            Feature::LargeNumbers => (Fixture::Demo, LEGACY),
            Feature::RefusedAnswer => (Fixture::Demo, ELICITATION_BY_REQUEST),
            Feature::Eras => (Fixture::Demo, LEGACY),
            Feature::Ping => (Fixture::Demo, LEGACY),
            Feature::Methods => (Fixture::Demo, ALL),
            Feature::Lists => (Fixture::Demo, ALL),
            Feature::Call => (Fixture::Demo, ALL),
            Feature::CallsSideBySide => (Fixture::Demo, ALL),
            Feature::ToolError => (Fixture::Demo, ALL),
            Feature::ProtocolError => (Fixture::Demo, ALL),
            Feature::Batch => (Fixture::Demo, BATCHING),
            Feature::Progress => (Fixture::Demo, ALL),
            Feature::Log => (Fixture::Everything, ALL),
            Feature::Cancel => (Fixture::OneHandler, ALL),
            Feature::CancelledQuestion => (Fixture::OneHandler, ELICITATION_BY_REQUEST),
            Feature::Overload => (Fixture::NoQueue, ALL),
            Feature::Resources => (Fixture::Demo, ALL),
            Feature::Prompts => (Fixture::Demo, ALL),
            Feature::Completion => (Fixture::Demo, ALL),
            Feature::Elicitation => (Fixture::Demo, SINCE_ELICITATION),
            Feature::NoElicitation => (Fixture::Demo, BEFORE_ELICITATION),
            Feature::Sampling => (Fixture::Everything, ALL),
            Feature::Roots => (Fixture::Everything, ALL),
            Feature::SeveralQuestions => (Fixture::Everything, ALL),
            Feature::PromptThatAsks => (Fixture::Everything, SINCE_ELICITATION),
            Feature::TwoCallsThatAsk => (Fixture::Demo, ELICITATION_BY_REQUEST),
            Feature::Subscription => (Fixture::Everything, ALL),
            Feature::ListChanged => (Fixture::Changing, ALL),
            Feature::Tasks => (Fixture::Everything, TASKS),
            Feature::TasksToldOf => (Fixture::Everything, MODERN),
        }
    }

    /// Runs a transcript over every transport in every revision, in a conversation that has begun.
    fn run(self, transcript: impl Fn(&mut Conversation)) {
        self.for_each(|host, kind, revision| {
            let mut conversation = host.begun(kind, revision);
            transcript(&mut conversation);
            host.end(kind, conversation);
        });
    }

    /// The same for transcripts that begin with the first message.
    fn run_unbegun(self, transcript: impl Fn(&mut Conversation)) {
        self.for_each(|host, kind, revision| {
            let mut conversation = Conversation::new(host.connect(kind, revision), client(revision));
            transcript(&mut conversation);
            conversation.finish();
        });
    }

    fn for_each(self, meet: impl Fn(&Host, TransportKind, Revision)) {
        let (fixture, (from, to)) = self.place();
        let host = fixture.host();
        for kind in TransportKind::ALL {
            let revisions = Revision::ALL_LEGACY.into_iter().chain([Revision::MODERN]);
            for revision in
                revisions.filter(|revision| (from..=to).contains(revision) && kind.carries(*revision))
            {
                let _case = case(format!("{self:?} over {kind:?} in {}", revision.0));
                meet(&host, kind, revision);
            }
        }
    }
}

/// A client that can be asked everything.
fn client(revision: Revision) -> Dialect {
    let dialect = match revision {
        Revision::MODERN => Dialect::modern(),
        legacy => Dialect::legacy(legacy),
    };
    dialect.able(abilities())
}

fn abilities() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {}})
}
