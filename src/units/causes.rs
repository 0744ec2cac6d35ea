//! Errors with what caused them, in one line.

use std::error::Error;

/// An error and what caused it, the last cause last.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let cause = cause.to_string();
        // Many errors say their cause's text in their own.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the index cannot be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("page 7 of /srv/secret is torn")]
    struct Inner;

    #[test]
    fn a_cause_that_is_in_the_text_already_is_not_repeated() {
        let expected = "the index cannot be read: page 7 of /srv/secret is torn";
        assert_eq!(with_causes(&Outer(Inner)), expected);
        assert_eq!(with_causes(&std::io::Error::other(Outer(Inner))), expected);
    }
}
