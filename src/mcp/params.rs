//! Access to members of `params` and `_meta`, each of which may stand once.

use crate::jsonrpc::{Id, Value, number_text};

use crate::mcp::error::Failure;

/// Finds the values of the named members, in the order of `names`, in one pass and without allocation.
///
/// # Errors
/// Fails when a named member stands twice: the next reader could see the other value.
// Where it is inlined, the lengths of the names are known, and a comparison takes a few words instead of a call.
#[inline(always)]
pub(super) fn members<'t, 's, const N: usize>(
    object: Option<Value<'t, 's>>,
    names: [&'static str; N],
) -> Result<[Option<Value<'t, 's>>; N], Failure<'s>> {
    let mut found = [None; N];
    let Some(object) = object else { return Ok(found) };
    for (name, value) in object.members() {
        for (slot, wanted) in found.iter_mut().zip(names) {
            if name == wanted && slot.replace(value).is_some() {
                return Err(Failure::Parameter("a member of `params` stands more than once"));
            }
        }
    }
    Ok(found)
}

/// The value of an optional member. `null` counts as absent, because several clients write it so.
pub(super) fn present<'t, 's>(value: Option<Value<'t, 's>>) -> Option<Value<'t, 's>> {
    value.filter(|value| !value.is_null())
}

/// Reads a value of `params._meta.progressToken`, a string or a whole number. A token is only ever repeated, so a
/// number is kept as it is written in `text`, the whole message.
pub(super) fn progress_token<'s>(token: Value<'_, 's>, text: &'s [u8]) -> Option<Id<'s>> {
    const PATH: [&str; 3] = ["params", "_meta", "progressToken"];
    match token.as_id() {
        None if token.is_whole() || token.as_float().is_some_and(f64::is_infinite) => {
            number_text(text, &PATH).map(Id::Verbatim)
        }
        id => id,
    }
}
