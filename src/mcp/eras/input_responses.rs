//! The answers with which a client repeats its request: `inputResponses` and `requestState` (2026-07-28, multi
//! round-trip requests).
//!
//! The state is sealed by this server and holds the answers of all rounds but the last; the call is given these
//! together with the answers that came now. A client may send anything, so a state that does not open, or that belongs
//! to another request, is an error, and so is an answer that cannot be one. Answers to questions that nobody asked are
//! ignored.

use serde_json::{Map, Value as Json};

use crate::jsonrpc::Value;
use crate::mcp::binding::Binding;
use crate::mcp::call::{Answers, Call, Resumed};
use crate::mcp::error::Failure;
use crate::mcp::state::StateSeal;
use crate::mcp::time::UnixSeconds;

/// All answers that came with a request, by key; `None` for operations that ask nothing.
pub(in crate::mcp) fn read<'s>(
    call: &Call<'_>,
    params: Option<Value<'_, 's>>,
    responses: Option<Value<'_, 's>>,
    state: Option<Value<'_, 's>>,
    seal: &(impl StateSeal + ?Sized),
    now: UnixSeconds,
) -> Result<Option<Answers>, Failure<'s>> {
    let Some(method) = call.operation.asking_method() else {
        return Ok(None);
    };
    let mut answers = match state {
        None => Map::new(),
        Some(state) => {
            let text = state.as_str().ok_or(STATE_IS_NO_STRING)?;
            let binding = Binding::of(call.requester.principal, method, params);
            let plain = seal.open(text, binding.as_bytes(), now);
            let plain = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
            plain.ok_or(Failure::Parameter(
                "`params.requestState` is not of this request, was changed or is too old",
            ))?
        }
    };
    if let Some(responses) = responses {
        add(&mut answers, responses)?;
    }
    Ok(Some(answers))
}

/// What a client has brought back with a request for another program, which judges the answers itself; `None` if there
/// is nothing, and for operations that ask nothing.
pub(in crate::mcp) fn resumed<'s>(
    call: &Call<'_>,
    params: Option<Value<'_, 's>>,
    state: Option<Value<'_, 's>>,
    seal: &(impl StateSeal + ?Sized),
    now: UnixSeconds,
) -> Result<Option<Resumed>, Failure<'s>> {
    let (Some(method), Some(state)) = (call.operation.asking_method(), state) else {
        return Ok(None);
    };
    let text = state.as_str().ok_or(STATE_IS_NO_STRING)?;
    let binding = Binding::of(call.requester.principal, method, params);
    let plain = seal.open(text, binding.as_bytes(), now);
    Ok(Some(
        plain.map_or(Resumed::Unknown, |plain| Resumed::Known(plain.into())),
    ))
}

const STATE_IS_NO_STRING: Failure<'static> = Failure::Parameter("`params.requestState` must be a string");

/// Every kind of answer is an object; its question judges the contents.
fn add<'s>(answers: &mut Map<String, Json>, responses: Value<'_, 's>) -> Result<(), Failure<'s>> {
    let is_well_formed = responses.is_object() && responses.members().all(|(_, answer)| answer.is_object());
    if !is_well_formed {
        return Err(Failure::Parameter(
            "`params.inputResponses` must be an object of objects",
        ));
    }
    if responses.has_number_out_of_range() {
        return Err(Failure::Parameter(
            "`params.inputResponses` has a number beyond the range of a double",
        ));
    }
    answers.extend(
        responses
            .members()
            .map(|(key, answer)| (key.to_owned(), answer.to_json())),
    );
    Ok(())
}
