//! The members of `_meta` that are the modern protocol's own. Clients of the older era do not know them, and some
//! refuse a message that has them; what else stands in `_meta` is the child's word.

use crate::jsonrpc::{Member, Span, members, places_without};
use crate::mcp::{SERVER_INFO_KEY, SUBSCRIPTION_KEY};

use super::message::{Message, is_of_envelope};
use super::splice::write_without_breaks;

/// What an older client is not to see of the object `_meta`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// All of it: nothing else is in it.
    Whole,
    /// These parts, with their commas.
    Parts(Vec<Span>),
}

impl Unknown {
    /// Looks into a value of `_meta`, whatever it is. `None` if an older client may have it as it is.
    pub(super) fn of(meta: &[u8]) -> Option<Unknown> {
        let all: Vec<Member> = members(meta).collect();
        let is_unknown = |member: &Member| is_modern(&member.name(meta));
        if !all.iter().any(is_unknown) {
            return None;
        }
        Some(if all.iter().all(is_unknown) {
            Unknown::Whole
        } else {
            Unknown::Parts(places_without(&all, is_unknown).collect())
        })
    }
}

/// Whether a member of `_meta` is the modern protocol's own.
fn is_modern(name: &str) -> bool {
    name == SERVER_INFO_KEY || name == SUBSCRIPTION_KEY || is_of_envelope(name)
}

/// A modern child's notification as an older client is to read it; `None` if that is as the child wrote it.
pub fn older_notification(line: &[u8], message: &Message) -> Option<(Vec<u8>, Message)> {
    let (params, meta) = (message.params?, message.meta?);
    let places: Vec<Span> = match Unknown::of(meta.of(line))? {
        Unknown::Parts(places) => places.into_iter().map(|place| place.within(meta)).collect(),
        Unknown::Whole => {
            let object = params.of(line);
            let all: Vec<Member> = members(object).collect();
            let is_meta = |member: &Member| member.name(object) == "_meta";
            let places = places_without(&all, is_meta);
            places.map(|place| place.within(params)).collect()
        }
    };
    let mut older = Vec::with_capacity(line.len());
    let mut at = 0;
    for place in places {
        write_without_breaks(&mut older, line.get(at..place.start).unwrap_or_default());
        at = place.end;
    }
    write_without_breaks(&mut older, line.get(at..).unwrap_or_default());
    let message = Message::read(&older).ok()?;
    Some((older, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = r#""io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}"#;

    fn older(line: &str) -> Option<String> {
        let message = Message::read(line.as_bytes()).unwrap();
        let (older, _) = older_notification(line.as_bytes(), &message)?;
        Some(String::from_utf8(older).unwrap())
    }

    #[test]
    fn the_protocols_own_members_are_left_out_of_notifications() {
        let line = |meta: &str| {
            format!(r#"{{"method":"notifications/message","params":{{"level":"info",{meta}"data":1.10}}}}"#)
        };
        for (meta, expected) in [
            (format!(r#""_meta":{{{NAMED}}},"#), String::new()),
            (
                format!(r#""_meta" : {{"a":1.0, {NAMED} ,"io.modelcontextprotocol/subscriptionId":"7"}} , "#),
                r#""_meta" : {"a":1.0} , "#.to_owned(),
            ),
            (
                format!(r#""_meta":{{{NAMED},"io.modelcontextprotocol/related-task":{{"taskId":"t"}}}},"#),
                r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}},"#.to_owned(),
            ),
        ] {
            assert_eq!(older(&line(&meta)), Some(line(&expected)), "{meta}");
        }
        for meta in ["", r#""_meta":{},"#, r#""_meta":{"a":1},"#, r#""_meta":7,"#] {
            assert_eq!(older(&line(meta)), None, "{meta}");
        }
    }
}
