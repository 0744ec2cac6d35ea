//! How several servers are told apart where all that they have is served together: what is put before the names of
//! their tools and prompts, and before their URIs.
//!
//! Clients take names of `[A-Za-z0-9_-]` alone, and parsers of URIs want a scheme. Each character of a server's name
//! that is none of those gives way to one that is, so two servers may come to the same: such names are refused.

use super::server::ChildServer;
use crate::config::error::ConfigError;

/// What the names of a server's tools and prompts begin with, before two underscores.
pub fn name_prefix(server: &str) -> String {
    let kept = |c: char| if is_of_names(c) { c } else { '_' };
    server.chars().map(kept).collect()
}

/// Whether clients take this character in a name.
pub fn is_of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// What the URIs of a server begin with, before a plus: the beginning of a scheme (RFC 3986, 3.1). Parsers write
/// schemes in lower case, so it is.
pub fn uri_prefix(server: &str) -> String {
    let kept = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') => c,
        _ => '-',
    };
    let prefix: String = server.chars().map(kept).collect();
    if prefix.starts_with(|c: char| c.is_ascii_alphabetic()) {
        prefix
    } else {
        format!("s{prefix}")
    }
}

/// Refuses servers whose names or URIs could not be told apart.
pub(in crate::config) fn refuse_alike(servers: &[ChildServer], errors: &mut Vec<ConfigError>) {
    for (at, server) in servers.iter().enumerate() {
        let name = &server.name;
        let is_alike = |other: &&ChildServer| {
            name_prefix(&other.name) == name_prefix(name) || uri_prefix(&other.name) == uri_prefix(name)
        };
        let Some(other) = servers.iter().take(at).find(is_alike) else {
            continue;
        };
        let other = &other.name;
        errors.push(ConfigError::Impossible(if other == name {
            format!("two servers are called `{name}`; give one of them another name")
        } else {
            format!(
                "servers `{other}` and `{name}` cannot be told apart in the names of tools and in URIs, where they would \
                 be `{}__` and `{}+`; give one of them another name",
                name_prefix(name),
                uri_prefix(name)
            )
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::children::command_line::server_of;

    #[test]
    fn prefixes_have_the_characters_that_clients_take() {
        for (server, names, uris) in [
            ("files", "files", "files"),
            ("My_Server-2", "My_Server-2", "my-server-2"),
            ("a b.c", "a_b_c", "a-b.c"),
            ("7zip", "7zip", "s7zip"),
            ("größe", "gr__e", "gr--e"),
            ("+x", "_x", "s-x"),
        ] {
            assert_eq!((&*name_prefix(server), &*uri_prefix(server)), (names, uris));
        }
    }

    #[test]
    fn servers_that_would_be_alike_are_refused() {
        let refused = |names: &[&str]| {
            let servers = names.iter().map(|name| ChildServer {
                name: (*name).to_owned(),
                ..server_of("x").unwrap()
            });
            let servers: Vec<ChildServer> = servers.collect();
            let mut errors = Vec::new();
            refuse_alike(&servers, &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for names in [&["a", "b"][..], &["a__b", "a"], &["a-b", "a_c"], &[], &["a"]] {
            assert!(refused(names).is_empty(), "{names:?}");
        }
        for names in [["a b", "a_b"], ["a", "A"], ["a_b", "a-b"], ["s7", "7"]] {
            let said = refused(&names);
            let [first, second] = names;
            let expected = format!("servers `{first}` and `{second}` cannot be told apart");
            assert!(said.len() == 1 && said[0].starts_with(&expected), "{said:?}");
        }
        assert!(refused(&["a", "a"])[0].starts_with("two servers are called `a`"));
    }
}
