//! What the children of a server on one shard make known to it.

use std::time::{Duration, Instant};

use crate::children::child::{
    Answer, Asked, ChildEvent, ChildFailure, ChildLists, EndingStep, ErrorLine, Introduction, Recording,
};
use crate::children::line::Unreadable;
use crate::children::pool::MemberKey;
use crate::mcp::ClientKey;
use crate::metrics::ChildRefusal;

/// Why a call is not taken in, or waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LocalRefusal {
    /// As many calls wait as may.
    #[error("its queue is full")]
    QueueFull,
    /// It has waited for as long as it may.
    #[error("no child had room in time")]
    QueueTimeout,
    /// The server's children fail too often.
    #[error("its children fail too often")]
    Quarantined,
    /// The server is about to end.
    #[error("it is about to end")]
    Draining,
    /// The client's child is gone, and it gets no other.
    #[error("the client's child is gone; begin anew")]
    SessionOver,
}

impl LocalRefusal {
    /// Its name in metrics.
    pub fn label(self) -> ChildRefusal {
        match self {
            LocalRefusal::QueueFull => ChildRefusal::QueueFull,
            LocalRefusal::QueueTimeout => ChildRefusal::QueueTimeout,
            LocalRefusal::Quarantined => ChildRefusal::Quarantined,
            LocalRefusal::Draining => ChildRefusal::Draining,
            LocalRefusal::SessionOver => ChildRefusal::SessionOver,
        }
    }
}

/// Why a call that was taken in has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// It is refused after all.
    Refused(LocalRefusal),
    /// The child that had it is of no more use.
    ChildLost {
        /// Which one.
        member: MemberKey,
        /// Why; `None` if it was ended on purpose.
        reason: Option<ChildFailure>,
    },
    /// The answer was longer than is accepted.
    AnsweredTooLong,
    /// It took longer than it may.
    TimedOut,
}

impl From<LocalRefusal> for CallFailure {
    fn from(refusal: LocalRefusal) -> CallFailure {
        CallFailure::Refused(refusal)
    }
}

/// A call that is taken out to wait elsewhere: its text, who waits for it, and when its time is over.
pub type Taken<C> = (Vec<u8>, C, Option<Instant>);

/// The end of a child, of which nothing is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildEnd {
    /// Why it was of no more use; `None` if it was ended on purpose.
    pub failure: Option<ChildFailure>,
    /// Calls that it took along.
    pub calls_lost: u32,
    /// The last lines of its stderr, oldest first.
    pub last_errors: Vec<String>,
    /// The last that went each way, if that was kept and it was not ended on purpose.
    pub recording: Option<Box<Recording>>,
}

/// Who is to hear what a child says.
#[derive(Debug)]
pub enum Hearer<'e, C> {
    /// Who waits for the call that it is about.
    Caller(&'e C),
    /// The client whose child it is, and which has no call there now. Its last one was this.
    Client(&'e C),
    /// That is not known.
    Nobody,
}

/// Something that concerns others.
#[derive(Debug)]
pub enum LocalEvent<'e, C> {
    /// A call is over: its answer.
    Answered {
        /// Who waits for it.
        caller: C,
        /// A result or an error.
        answer: Answer<'e>,
        /// The time the child had it.
        took: Duration,
    },
    /// A call is over without one.
    Failed {
        /// Who waited for it.
        caller: C,
        /// Why.
        failure: CallFailure,
    },
    /// A call has lost the child of its client, which has seen nothing of it.
    Misplaced {
        /// The call.
        call: Taken<C>,
    },
    /// A call goes on.
    Progress {
        /// Who waits for it.
        caller: &'e C,
        /// What is to be told, if the client follows the call.
        progress: Answer<'e>,
    },
    /// A child asks something.
    Asked {
        /// Which one.
        member: MemberKey,
        /// Whom.
        hearer: Hearer<'e, C>,
        /// What.
        asked: Asked<'e>,
    },
    /// A question about this call was not answered in time; the child was told.
    Unanswered {
        /// Who waits for the call.
        caller: &'e C,
        /// The question's number.
        number: u32,
    },
    /// A child takes calls from now on.
    Ready {
        /// Which one.
        member: MemberKey,
        /// What it says of itself.
        introduction: Introduction,
        /// The server's lists, if they were asked for.
        lists: Option<ChildLists>,
        /// The time from its start.
        took: Duration,
    },
    /// A list of a child has changed.
    Changed {
        /// Which child's.
        member: MemberKey,
    },
    /// A child is of no more use to its client.
    Disowned {
        /// Which one.
        member: MemberKey,
    },
    /// A resource was updated.
    Updated {
        /// The client whose child says so, if it is one's.
        owner: Option<ClientKey>,
        /// Where it is.
        uri: String,
    },
    /// A child logs something, or says that what a URL was opened for is done.
    Told {
        /// Which one.
        member: MemberKey,
        /// To whom.
        hearer: Hearer<'e, C>,
        /// Its words.
        said: Answer<'e>,
    },
    /// A line of a child's stderr, to be logged.
    ErrorLine {
        /// Which one.
        member: MemberKey,
        /// The line.
        line: ErrorLine<'e>,
    },
    /// A line of a child's stdout that is none, to be logged.
    Rubbish {
        /// Which one.
        member: MemberKey,
        /// The beginning of the line.
        text: &'e [u8],
        /// Such lines before it that were too many to be logged.
        left_out: u64,
        /// What is wrong with it.
        why: Unreadable,
    },
    /// The lists of a child that was asked for them once more.
    Listed {
        /// Which one.
        member: MemberKey,
        /// What it says of itself.
        introduction: Introduction,
        /// The lists.
        lists: ChildLists,
    },
    /// A child has got so many calls that another is to take its place.
    Worn {
        /// Which one.
        member: MemberKey,
        /// Whether it gets no more already.
        is_used_up: bool,
    },
    /// A child has had no calls for so long that it may be one too many.
    Resting {
        /// Which one.
        member: MemberKey,
    },
    /// A child's process is to be ended: its group gets this signal.
    Step {
        /// Which one.
        member: MemberKey,
        /// What is to be done; its stdin is closed already.
        step: EndingStep,
    },
    /// A child is gone, with its process and its pipes.
    Gone {
        /// Which one.
        member: MemberKey,
        /// How it ended.
        end: ChildEnd,
    },
}

/// Whose words an event is.
pub(super) struct Speaker<'m, C> {
    pub(super) member: MemberKey,
    pub(super) owner: Option<ClientKey>,
    /// The last call of its owner.
    pub(super) last_call: Option<&'m C>,
}

impl<'m, C> Speaker<'m, C> {
    fn hearer<'e>(&self, caller: Option<&'e C>) -> Hearer<'e, C>
    where
        'm: 'e,
    {
        match (caller, self.last_call) {
            (Some(caller), _) => Hearer::Caller(caller),
            (None, Some(last)) if self.owner.is_some() => Hearer::Client(last),
            _ => Hearer::Nobody,
        }
    }
}

/// Passes on what a child told; a failure is kept, since the child is in use.
pub(super) fn pass_on<C>(
    speaker: &Speaker<'_, C>,
    event: ChildEvent<'_, C>,
    failed: &mut Option<ChildFailure>,
    tell: &mut impl FnMut(LocalEvent<'_, C>),
) {
    let (member, owner) = (speaker.member, speaker.owner);
    let over = |caller, failure| LocalEvent::Failed { caller, failure };
    tell(match event {
        ChildEvent::Failed(failure) => {
            failed.get_or_insert(failure);
            return;
        }
        ChildEvent::Answered { caller, answer, took } => LocalEvent::Answered { caller, answer, took },
        ChildEvent::Progress { caller, progress } => LocalEvent::Progress { caller, progress },
        ChildEvent::Asked { caller, asked } => LocalEvent::Asked {
            member,
            hearer: speaker.hearer(caller),
            asked,
        },
        ChildEvent::Unanswered { caller, number } => LocalEvent::Unanswered { caller, number },
        ChildEvent::AnsweredTooLong { caller } => over(caller, CallFailure::AnsweredTooLong),
        ChildEvent::TimedOut { caller } => over(caller, CallFailure::TimedOut),
        ChildEvent::Changed => LocalEvent::Changed { member },
        ChildEvent::Listed { introduction, lists } => LocalEvent::Listed {
            member,
            introduction,
            lists,
        },
        ChildEvent::Updated(uri) => LocalEvent::Updated { owner, uri },
        ChildEvent::Told { caller, said } => LocalEvent::Told {
            member,
            hearer: speaker.hearer(caller),
            said,
        },
        ChildEvent::Rubbish { text, left_out, why } => LocalEvent::Rubbish {
            member,
            text,
            left_out,
            why,
        },
        ChildEvent::Ready {
            introduction,
            lists,
            took,
        } => LocalEvent::Ready {
            member,
            introduction,
            lists,
            took,
        },
    });
}
