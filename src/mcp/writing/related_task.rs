//! The member that names the task a message belongs to (2025-11-25).

use crate::jsonrpc::write_string;
use crate::mcp::task::TaskId;

/// The member of `_meta` that names the task a message belongs to (2025-11-25).
pub(in crate::mcp) const RELATED_TASK_KEY: &str = "io.modelcontextprotocol/related-task";

/// Appends a further member: `_meta`, with the task that the object belongs to.
pub(in crate::mcp) fn write_related_task(task: &TaskId, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","_meta":{"#);
    write_string(out, RELATED_TASK_KEY);
    out.extend_from_slice(br#":{"taskId":"#);
    write_string(out, task.as_str());
    out.extend_from_slice(b"}}");
}
