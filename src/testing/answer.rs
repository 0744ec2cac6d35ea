//! What came back for a request.

use std::fmt;

use serde_json::Value;

/// What came back for a request: a result or an error, and what was said before.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) outcome: Result<Value, Value>,
    pub(super) progress: Vec<Progress>,
    pub(super) logs: Vec<Log>,
}

/// What a call has told of its progress.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// How far it is.
    pub progress: f64,
    /// How far there is to go, if that is known.
    pub total: Option<f64>,
    /// What is being done, if it is told.
    pub message: Option<String>,
}

/// A log message of a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Log {
    /// The level, as `info`.
    pub level: String,
    /// The part of the server, if it is named.
    pub logger: Option<String>,
    /// The message: a string or any JSON.
    pub data: Value,
}

impl Answer {
    /// All text of it: of a tool's content, of a resource's contents or of a prompt's messages, a line for each; of an
    /// error its message.
    pub fn text(&self) -> String {
        let result = match &self.outcome {
            Err(error) => return error["message"].as_str().unwrap_or_default().to_owned(),
            Ok(result) => result,
        };
        let content = ["content", "contents", "messages"].into_iter();
        let content = content.filter_map(|name| result[name].as_array()).flatten();
        let texts = content.filter_map(|part| {
            // A message has its content inside, a resource that is embedded its text.
            let text = [&part["text"], &part["content"]["text"], &part["resource"]["text"]];
            text.into_iter().find_map(Value::as_str)
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Whether it is an error: of the protocol, or of the tool (`isError`).
    pub fn is_error(&self) -> bool {
        self.outcome
            .as_ref()
            .map_or(true, |result| result["isError"] == true)
    }

    /// The structured result of a tool (`structuredContent`), null if there is none.
    pub fn structured(&self) -> &Value {
        self.outcome
            .as_ref()
            .map_or(&Value::Null, |result| &result["structuredContent"])
    }

    /// The blocks of a tool's result, the contents of a resource or the messages of a prompt.
    pub fn content(&self) -> &[Value] {
        let result = self.outcome.as_ref().ok();
        let names = ["content", "contents", "messages"].into_iter();
        let mut found = names.filter_map(|name| result?[name].as_array());
        found.next().map_or(&[], Vec::as_slice)
    }

    /// The whole result.
    ///
    /// # Panics
    /// If it is an error of the protocol.
    #[track_caller]
    pub fn result(&self) -> &Value {
        match &self.outcome {
            Ok(result) => result,
            Err(error) => panic!("an error instead of a result: {error}"),
        }
    }

    /// The code of an error of the protocol; `None` if it is a result, also a tool's with `isError`.
    pub fn error_code(&self) -> Option<i64> {
        self.outcome.as_ref().err()?["code"].as_i64()
    }

    /// The `data` of an error of the protocol, null if there is none.
    pub fn error_data(&self) -> &Value {
        self.outcome
            .as_ref()
            .err()
            .map_or(&Value::Null, |error| &error["data"])
    }

    /// The HTTP status with which it came.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What the call has told of its progress, in order.
    pub fn progress(&self) -> &[Progress] {
        &self.progress
    }

    /// The log messages of the call, in order.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }
}

impl fmt::Display for Answer {
    /// The text; before that of an error, the word, and behind it the [data](Self::error_data), such as the `reason` of
    /// a refusal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error() { "error: " } else { "" };
        write!(f, "{word}{}", self.text())?;
        match self.error_data() {
            Value::Null => Ok(()),
            data => write!(f, " {data}"),
        }
    }
}

impl Progress {
    /// Of the parameters of its notification.
    pub(super) fn of(params: &Value) -> Progress {
        Progress {
            progress: params["progress"].as_f64().unwrap_or_default(),
            total: params["total"].as_f64(),
            message: params["message"].as_str().map(str::to_owned),
        }
    }
}

impl Log {
    /// Of the parameters of its notification.
    pub(super) fn of(params: &Value) -> Log {
        Log {
            level: params["level"].as_str().unwrap_or_default().to_owned(),
            logger: params["logger"].as_str().map(str::to_owned),
            data: params["data"].clone(),
        }
    }
}
