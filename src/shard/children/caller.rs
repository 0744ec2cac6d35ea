//! Who waits for the answer of a child, and what its client can be asked meanwhile.

use crate::children::{CallTerms, LogWish};
use crate::mcp::{ClientCapabilities, Principal, Revision, SessionToken, Ticket};
use crate::pool::HandlerKey;
use crate::registry::Asking;
use crate::units::ViewId;

/// Who waits for the answer of a child. One is told apart from another by its call.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The shard of its connection.
    pub shard: u16,
    /// Its call there.
    pub call: HandlerKey,
    /// What its client can be asked.
    pub terms: ClientTerms,
}

impl PartialEq for Caller {
    fn eq(&self, other: &Caller) -> bool {
        (self.shard, self.call) == (other.shard, other.call)
    }
}

impl Eq for Caller {}

/// What a child may ask the client of a call.
#[derive(Clone, Copy, Debug)]
pub struct ClientTerms {
    /// How a question gets there.
    pub asking: Asking,
    /// What the client has declared.
    pub capabilities: ClientCapabilities,
    /// The revision that it speaks.
    pub revision: Revision,
    /// What it wants to hear of what is logged.
    pub log: LogWish,
    /// The endpoint at which it calls.
    pub view: ViewId,
    /// What a child has to know of the call.
    pub call: CallTerms,
    /// The session in which a legacy client answers, and whose it is.
    pub session: Option<(SessionToken, Principal)>,
    /// Whether the call goes on as a task, which its client is asked through.
    pub is_task: bool,
}

impl ClientTerms {
    /// Those of a client that is not to be asked.
    pub const NONE: ClientTerms = ClientTerms {
        asking: Asking::Never,
        capabilities: ClientCapabilities::NONE,
        revision: Revision::NEWEST_LEGACY,
        log: LogWish::None,
        view: ViewId::MAIN,
        call: CallTerms {
            needs_task: false,
            began: None,
        },
        session: None,
        is_task: false,
    };

    /// The same for a call of a batch, about which its client is not to be asked. It may be when there is no call.
    pub(in crate::shard) fn in_batch(self) -> ClientTerms {
        ClientTerms {
            asking: Asking::Never,
            ..self
        }
    }

    /// The same for a call that goes on as a task, which waits for its client's answers however they come.
    pub(in crate::shard) fn as_task(self) -> ClientTerms {
        ClientTerms {
            asking: match self.asking {
                Asking::Never => Asking::Never,
                Asking::OnStream | Asking::ByRetry => Asking::OnStream,
            },
            is_task: true,
            ..self
        }
    }

    /// Those of the client of a call at this endpoint that is not part of a batch.
    pub(in crate::shard) fn of(ticket: &Ticket, view: ViewId, log: LogWish) -> ClientTerms {
        ClientTerms {
            asking: ticket.asking(),
            capabilities: ticket.capabilities(),
            revision: ticket.revision(),
            log,
            view,
            call: CallTerms::default(),
            session: ticket.session().map(|session| (session, ticket.principal())),
            is_task: false,
        }
    }
}
