//! The reasons why an operation gave no result, with texts for the client and for the log.

use std::error::Error;
use std::fmt;

use super::capabilities::ClientCapabilities;
use super::question::{AnswerError, QuestionRequest};
use crate::jsonrpc::{write_json, write_string};
use crate::registry::caller::headers::HeaderFault;
use crate::registry::content::{TEXT_CLOSE, TEXT_OPEN};
use crate::units::with_causes;

/// Why an operation, of whatever kind, gave no result.
///
/// `?` makes one of any [`std::error::Error`]: such an error is for the log alone, where it stands with all its causes,
/// and the client reads "internal error". What the client should read, its author says:
/// [`for_client`](ForClient::for_client) takes the text of the error itself, and the constructors one of the author's.
/// That is why this type is no `std::error::Error`.
///
/// ```
/// use std::path::Path;
///
/// use weir::{ForClient, ToolError};
///
/// fn first_line(path: &Path) -> Result<String, ToolError> {
///     // The log says what the matter is, and the client nothing of paths.
///     let text = std::fs::read_to_string(path)?;
///     let line = text.lines().next().ok_or_else(|| ToolError::not_found("the file is empty"))?;
///     // The client reads why it is no number.
///     let number: u32 = line.trim().parse().for_client()?;
///     Ok(number.to_string())
/// }
/// # let secret = first_line(Path::new("/nowhere/secret")).unwrap_err();
/// # assert_eq!(secret.to_string(), "internal error");
/// # assert!(secret.log_detail().is_some_and(|detail| detail.contains("No such file")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolError {
    /// The tool failed, and tells the client why.
    Message(String),
    /// The tool panicked. The panic's message is not for the client.
    Panicked,
    /// The call took too long.
    TimedOut,
    /// The call was cancelled.
    Cancelled,
    /// The thing that was asked for does not exist; the text tells the client what. For resources the protocol has an
    /// error code of its own.
    NotFound(String),
    /// The arguments ask for something impossible; the text tells the client why.
    InvalidArguments(String),
    /// The tool or its schema is at fault; the text is for the log only.
    Internal(String),
    /// The client has to answer first, and then call again: `ask` gives this where there is no way back to a running
    /// call. A tool passes it on; the call's questions become its answer (MCP 2026-07-28, `InputRequiredResult`).
    InputRequired,
    /// The client cannot be asked this. It lacks these capabilities, or this kind of request does not ask.
    MissingCapability(ClientCapabilities),
    /// The client's answer to a question cannot be used; the text tells the client, whose fault it is, why.
    InvalidAnswer(String),
    /// The user has to open these URLs first, then the client may call again (MCP 2025-11-25,
    /// `URLElicitationRequiredError`). See [`ToolError::url_elicitation_required`].
    UrlElicitationRequired(Vec<QuestionRequest>),
}

impl fmt::Display for ToolError {
    /// What the client reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(text)
            | Self::NotFound(text)
            | Self::InvalidArguments(text)
            | Self::InvalidAnswer(text) => f.write_str(text),
            Self::Panicked => f.write_str("the tool failed unexpectedly"),
            Self::TimedOut => f.write_str("the call timed out"),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Internal(_) => f.write_str("internal error"),
            Self::InputRequired => f.write_str("the client has to answer first"),
            Self::MissingCapability(needs) => {
                write!(f, "the client cannot be asked; this needs: {needs}")
            }
            Self::UrlElicitationRequired(_) => f.write_str("the user has to open a URL first"),
        }
    }
}

impl<E: Error> From<E> for ToolError {
    /// An error for the log, with all its causes.
    fn from(error: E) -> Self {
        Self::Internal(with_causes(&error))
    }
}

/// A header that the client has sent wrong is its fault; one that the tool did not name is the tool's.
impl From<HeaderFault> for ToolError {
    fn from(fault: HeaderFault) -> Self {
        match fault {
            HeaderFault::Repeated(_) | HeaderFault::NotText(_) => Self::invalid(fault),
            HeaderFault::NotNamed(_) => Self::internal(fault),
        }
    }
}

/// Errors whose own text the client may read.
///
/// Causes are another library's texts, and often say more than a client may know: a path, a host, a query. So they have
/// to be asked for. `anyhow::Error` and its like are no [`std::error::Error`]s: of them `for_client` takes the
/// outermost context, and `map_err(|error| ToolError::message(format!("{error:#}")))` all of it.
pub trait ForClient<T, E> {
    /// The client reads the text of the error, but not its causes, which nobody reads then. It works for errors that
    /// are texts, too: `found.ok_or("no such note").for_client()?`.
    ///
    /// # Errors
    /// [`ToolError::Message`] with that text.
    fn for_client(self) -> Result<T, ToolError>;

    /// The client reads the text of the error and those of all its causes, with colons between them: for errors that
    /// say little by themselves, as those of many clients of HTTP do.
    ///
    /// ```
    /// use weir::{ForClient, ToolError};
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("the issue cannot be fetched")]
    /// struct Fetching(#[source] std::io::Error);
    ///
    /// let refused = || Err::<(), _>(Fetching(std::io::Error::other("connection refused")));
    /// let said = |told: Result<(), ToolError>| told.unwrap_err().to_string();
    /// assert_eq!(said(refused().for_client()), "the issue cannot be fetched");
    /// assert_eq!(
    ///     said(refused().for_client_with_causes()),
    ///     "the issue cannot be fetched: connection refused"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`ToolError::Message`] with these texts.
    fn for_client_with_causes(self) -> Result<T, ToolError>
    where
        E: Error;
}

impl<T, E: fmt::Display> ForClient<T, E> for Result<T, E> {
    fn for_client(self) -> Result<T, ToolError> {
        self.map_err(ToolError::message)
    }

    fn for_client_with_causes(self) -> Result<T, ToolError>
    where
        E: Error,
    {
        self.map_err(|error| ToolError::message(with_causes(&error)))
    }
}

impl ToolError {
    /// A failure with a text that the client reads.
    pub fn message(text: impl fmt::Display) -> Self {
        Self::Message(text.to_string())
    }

    /// What was asked for does not exist; the client reads what that is. A resource that is not found has an error code
    /// of its own in each revision, and the text, unless it is empty, stands behind "resource not found: ".
    pub fn not_found(text: impl fmt::Display) -> Self {
        Self::NotFound(text.to_string())
    }

    /// Arguments that cannot be served, with a text that the client reads. A model reads it as the tool's result, and
    /// may try again; prompts and resources answer that the request is invalid.
    pub fn invalid(text: impl fmt::Display) -> Self {
        Self::InvalidArguments(text.to_string())
    }

    /// What was asked for is against what others have done meanwhile, as a version that is not the newest any more; the
    /// client reads "conflict: " and what that is.
    pub fn conflict(text: impl fmt::Display) -> Self {
        Self::Message(format!("conflict: {text}"))
    }

    /// Something that is needed does not work now and may later; the client reads "unavailable, try again later: " and
    /// what that is.
    pub fn unavailable(text: impl fmt::Display) -> Self {
        Self::Message(format!("unavailable, try again later: {text}"))
    }

    /// A failure whose details only the log gets.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::Internal(detail.to_string())
    }

    /// The details for the log, where they differ from what the client reads.
    pub fn log_detail(&self) -> Option<&str> {
        match self {
            Self::Internal(detail) => Some(detail),
            _ => None,
        }
    }

    /// Appends the content of an `isError` result: this error's text for the client in one text block.
    pub fn write_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(TEXT_OPEN);
        match self {
            Self::Message(text)
            | Self::NotFound(text)
            | Self::InvalidArguments(text)
            | Self::InvalidAnswer(text) => write_string(out, text),
            other => write_json(&mut *out, &format_args!("{other}")),
        }
        out.extend_from_slice(TEXT_CLOSE);
    }

    /// The error of a call that wanted an answer and does not get one.
    pub(super) fn of_answer(error: AnswerError) -> Self {
        match error {
            AnswerError::Refused { .. } | AnswerError::Unavailable => Self::message(error),
            AnswerError::Unreadable(_) => Self::InvalidAnswer(error.to_string()),
            AnswerError::Cancelled => Self::Cancelled,
            AnswerError::TimedOut => Self::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::specification::assert_matches;

    #[test]
    fn internal_details_stay_inside() {
        let error = ToolError::internal("/etc/secret");
        let mut text = Vec::new();
        error.write_content(&mut text);
        assert_eq!(text, br#"[{"type":"text","text":"internal error"}]"#);
        assert_eq!(error.log_detail(), Some("/etc/secret"));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the index cannot be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("page 7 of /srv/secret is torn")]
    struct Inner;

    #[test]
    fn any_error_goes_to_the_log_with_its_causes_and_only_its_own_text_to_clients_that_may_read_it() {
        let fails = || -> Result<(), ToolError> { Err(Outer(Inner))? };
        let error = fails().unwrap_err();
        assert_eq!(error.to_string(), "internal error");
        assert_eq!(
            error.log_detail(),
            Some("the index cannot be read: page 7 of /srv/secret is torn")
        );
        let told = Err::<(), _>(Outer(Inner)).for_client();
        assert_eq!(told, Err(ToolError::message("the index cannot be read")));
        let all = Err::<(), _>(Outer(Inner)).for_client_with_causes();
        let texts = "the index cannot be read: page 7 of /srv/secret is torn";
        assert_eq!(all, Err(ToolError::message(texts)));
        let text = None::<()>.ok_or("no such note").for_client();
        assert_eq!(text, Err(ToolError::message("no such note")));
    }

    #[test]
    fn what_a_call_needs_of_its_client_is_said_in_words() {
        use crate::registry::{Elicit, QuestionMethod};
        let needs = ClientCapabilities::SAMPLING.with(ClientCapabilities::SAMPLING_TOOLS);
        assert_eq!(
            ToolError::MissingCapability(needs).to_string(),
            "the client cannot be asked; this needs: sampling, sampling.tools"
        );
        let mut text = Vec::new();
        ToolError::InvalidAnswer("not a name".into()).write_content(&mut text);
        let content: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(content, json!([{"type": "text", "text": "not a name"}]));

        let places = ["https://a.example/1", "https://a.example/2"].map(|url| Elicit::url("Go there.", url));
        let ids = places.each_ref().map(|place| place.id().to_owned());
        let ToolError::UrlElicitationRequired(requests) = ToolError::url_elicitation_required(places) else {
            panic!("another error");
        };
        assert_eq!(requests.len(), 2);
        for (request, id) in requests.iter().zip(ids) {
            assert_eq!(request.method, QuestionMethod::Elicit);
            assert_matches("2025-11-25", "ElicitRequestURLParams", &request.params);
            assert_eq!(request.params["elicitationId"], json!(id));
        }
    }
}
