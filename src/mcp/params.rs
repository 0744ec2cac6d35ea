//! Reading members of `params` and `_meta`, each of which may stand once.

use crate::jsonrpc::Value;

use super::error::Failure;

/// The values of the named members, in the order of `names`. One pass, no allocation.
///
/// # Errors
/// A named member that stands twice: whoever reads it next could see the other value.
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
