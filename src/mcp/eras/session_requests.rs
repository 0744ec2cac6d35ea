//! Requests, notifications and answers that concern a legacy session itself.
//!
//! Requests set a log level or a subscription. Of the notifications, a cancellation counts; a change of roots means
//! nothing here, because roots are asked for anew each time. Responses answer our questions. A message that nobody
//! waits for is accepted and ignored, as the specification says. Each of them may come twice without harm, because a
//! batch that found no handler is decoded again.

use crate::jsonrpc::{Id, Notification, Request, RequestId, Response, Value, echoable};
use crate::mcp::child_client::Heads;
use crate::mcp::eras::session_context::Context;
use crate::mcp::error::Failure;
use crate::mcp::features::methods::{Teller, leads_elsewhere, resource_uri, teller_of};
use crate::mcp::params::members;
use crate::mcp::protocol::Protocol;
use crate::mcp::sessions::{OpenSession, SessionToken};
use crate::mcp::state::{State, StateRefused};
use crate::registry::{AnswerError, LogLevel};

/// Bytes of a client's error message that are kept.
const ERROR_MESSAGE_BYTES_MAX: usize = 1_024;

const NOT_WATCHED: Failure<'static> =
    Failure::Parameter("the resource at `params.uri`, if there is one, is not watched");

/// Whether the request was one of these; its result is empty.
pub(in crate::mcp) fn request<'s>(
    protocol: &Protocol,
    (context, heads): (Context, Heads<'_>),
    request: &Request<'_, 's>,
    state: &dyn State,
) -> Result<bool, Failure<'s>> {
    let has = protocol.has();
    match request.method {
        "logging/setLevel" if has.logging => {
            let level = log_level(request.params)?;
            // Without a session there is nothing to remember the level by; a call then sends its messages on its own
            // stream.
            if let Some(session) = &context.session {
                state.set_log_level(session, level).map_err(refused)?;
            }
        }
        "resources/subscribe" if has.subscriptions => {
            let uri = resource_uri(request.params)?;
            let session = session(&context)?;
            let owner = match teller_of(protocol.registry(), uri, &context.sender(), heads) {
                Some(Teller::Everybodys) => None,
                Some(Teller::Own(owner)) => Some(owner),
                None if leads_elsewhere(protocol.registry(), uri) => return Err(NOT_WATCHED),
                None => return Err(Failure::UnknownResource(uri)),
            };
            state.subscribe_as(session, uri, owner).map_err(refused)?;
        }
        // A client can unsubscribe from a URI that is no longer a resource, too.
        "resources/unsubscribe" if has.subscriptions => {
            let uri = resource_uri(request.params)?;
            state.unsubscribe(session(&context)?, uri);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn session<'s>(context: &Context) -> Result<&OpenSession, Failure<'s>> {
    context.session.as_ref().ok_or(Failure::SessionRequired)
}

fn refused<'s>(StateRefused::Full: StateRefused) -> Failure<'s> {
    Failure::LiveFull
}

fn log_level<'s>(params: Option<Value<'_, 's>>) -> Result<LogLevel, Failure<'s>> {
    let [level] = members(params, ["level"])?;
    level
        .and_then(Value::as_str)
        .and_then(LogLevel::parse)
        .ok_or(Failure::Parameter("`params.level` must be a log level"))
}

/// Acts on a notification.
pub(in crate::mcp) fn notification(context: Context, notification: &Notification<'_, '_>, state: &dyn State) {
    if let Some(conversation) = context.conversation {
        cancel(conversation, notification, state);
    }
}

/// Cancels a request of this conversation, if the notification is a cancellation.
pub(in crate::mcp) fn cancel(
    conversation: SessionToken,
    notification: &Notification<'_, '_>,
    state: &dyn State,
) {
    if notification.method == "notifications/cancelled"
        && let Ok([Some(request)]) = members(notification.params, ["requestId"])
        && let Some(id) = echoable(request, notification.text, &["params", "requestId"])
    {
        state.cancel(conversation, &RequestId::from(id));
    }
}

/// Passes an answer on. The ids of our questions are strings.
///
/// # Errors
/// Fails when the answer holds something that a tool cannot be given; the call that waits for it is told.
pub(in crate::mcp) fn response<'s>(
    context: Context,
    response: &Response<'_, 's>,
    state: &dyn State,
) -> Result<(), Failure<'s>> {
    let (Some(session), Some(Id::Text(question))) = (context.session, response.id) else {
        return Ok(());
    };
    if state.pass_on(session.token, question, response.text) {
        return Ok(());
    }
    if !response.is_error && response.body.has_number_out_of_range() {
        let failure = Failure::NumberOutOfRange("`result` has a number beyond the range of a double");
        fail_question(context, question, &failure.message(), state);
        return Err(failure);
    }
    let answer = if response.is_error {
        Err(refusal(response.body))
    } else {
        Ok(response.body.to_json())
    };
    state.answer(session.token, question, answer);
    Ok(())
}

/// Tells the call that waits for an answer why the answer was refused.
pub(in crate::mcp) fn fail_question(context: Context, question: &str, why: &str, state: &dyn State) {
    if let Some(session) = context.session {
        let error = AnswerError::Unreadable(why.to_owned());
        state.answer(session.token, question, Err(error));
    }
}

fn refusal(error: Value<'_, '_>) -> AnswerError {
    let code = error.member("code").and_then(Value::as_whole);
    let message = error
        .member("message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let end = message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX);
    AnswerError::Refused {
        code: code.and_then(|code| i64::try_from(code).ok()).unwrap_or_default(),
        message: message.get(..end).unwrap_or_default().to_owned(),
    }
}
