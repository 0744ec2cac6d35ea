//! How the clients of another program are told apart, where each has a process of that program for itself.

/// How the clients of a server are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRules {
    /// Whether each call is a client of its own, whoever makes it.
    pub is_by_call: bool,
    /// Whether those who cannot be told apart are one client; otherwise each of their calls is one.
    pub are_strangers_one: bool,
    /// The header of HTTP whose value tells clients apart, in lower case.
    pub key_header: Option<String>,
    /// Variables that requests set for the child of their client: their names, and the headers, in lower case.
    pub env_from: Vec<(String, String)>,
}
