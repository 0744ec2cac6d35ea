//! The mark of what a client said and nobody has checked.

/// A value that the client sent: its word, which nobody has checked. Whoever uses it says so by [`unverified`].
///
/// [`unverified`]: FromClient::unverified
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a claim does nothing by itself"]
pub struct FromClient<T>(T);

impl<T> FromClient<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, which any client can send: good for logs, statistics and choices that harm nobody else, and no proof
    /// of who the client is, unless something in front of this server writes it and lets no client do so.
    pub fn unverified(self) -> T {
        self.0
    }

    /// Something made of the value, which is the client's word as well.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> FromClient<U> {
        FromClient(make(self.0))
    }
}
