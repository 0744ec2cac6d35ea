//! The child that sins, and what it is told to do.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::example;

/// The arguments of a call of `act`.
pub(super) fn act<S: Into<Value>>(steps: impl IntoIterator<Item = S>) -> Value {
    json!({"steps": Value::from_iter(steps)})
}

/// The same, done by the thread that reads the child's input.
pub(super) fn act_inline<S: Into<Value>>(steps: impl IntoIterator<Item = S>) -> Value {
    json!({"steps": Value::from_iter(steps), "inline": true})
}

/// The child that sins.
pub(super) fn misbehaving(mark: &str, actions: &[&str]) -> Command {
    let mut command = Command::new(example("misbehave"));
    command.arg(mark).args(actions);
    command
}
