//! Names at an endpoint where several servers are served together: children are called by their own, and clients read
//! those of the endpoint. Where one server is served alone, nothing is renamed.

use std::borrow::Cow;

use crate::children::{Answer, Message, Unreadable, renamed_answer, renamed_request};
use crate::registry::ServerIndex;

use crate::shard::service::LocalService;

/// A client's request as a child is to read it.
///
/// # Errors
/// The child could take another part of it for true than we did.
pub(in crate::shard) fn for_child<'t>(
    service: &LocalService,
    text: &'t [u8],
) -> Result<(Cow<'t, [u8]>, Message), Unreadable> {
    let message = Message::read_checked(text)?;
    let registry = service.protocol.registry();
    if !registry.is_merged() {
        return Ok((Cow::Borrowed(text), message));
    }
    let renamed = renamed_request(text, &message, &|kind, name| registry.own_name(kind, name))?;
    let message = Message::read_checked(&renamed)?;
    Ok((Cow::Owned(renamed), message))
}

/// An answer of a server's child as clients are to read it; `None` if that is as the child wrote it.
pub(super) fn from_child(
    service: &LocalService,
    server: ServerIndex,
    answer: &Answer<'_>,
) -> Option<(Vec<u8>, Message)> {
    let registry = service.protocol.registry();
    if !registry.is_merged() {
        return None;
    }
    let served = |uri: &str| registry.served_uri(server, uri).unwrap_or_else(|| uri.to_owned());
    let line = renamed_answer(answer.line, &answer.message, &served)?;
    let message = Message::read(&line).ok()?;
    Some((line, message))
}
