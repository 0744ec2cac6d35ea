//! Words of tasks.

use super::{TaskEnd, TaskView};
use crate::jsonrpc::{RequestId, write_result, write_result_head};

/// Appends the answer to `tasks/result`.
pub fn write_task_end(request: &RequestId, end: &TaskEnd, out: &mut Vec<u8>) {
    match end {
        TaskEnd::Result(json) => write_result(out, request.as_id(), json),
        TaskEnd::Error(json) => {
            write_result_head(out, request.as_id());
            out.truncate(out.len() - br#""result":"#.len());
            out.extend_from_slice(br#""error":"#);
            out.extend_from_slice(json);
            out.push(b'}');
        }
    }
}

/// Appends the notification of a task's change.
pub fn write_task_notification(task: &TaskView, subscription: Option<&RequestId>, out: &mut Vec<u8>) {
    let _ = subscription;
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":""#);
    out.extend_from_slice(task.id.as_str().as_bytes());
    out.extend_from_slice(br#"","status":""#);
    out.extend_from_slice(task.status.as_str().as_bytes());
    out.extend_from_slice(br#""}}"#);
}
