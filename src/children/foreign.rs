//! What a child says of itself and what it has, as entries of a registry.

use crate::jsonrpc::members;
use crate::mcp::Era;
use crate::registry::{ForeignFeatures, ForeignItem, ForeignServer, ServerIndex};

use super::child::{ChildLists, Introduction, ListName};

/// The server called `name`, whose first child said this of it. Items without a usable name are left out: nobody could
/// call them.
pub fn foreign_server(
    server: ServerIndex,
    name: &str,
    introduction: &Introduction,
    lists: &ChildLists,
) -> ForeignServer {
    let said = introduction.capabilities;
    ForeignServer {
        server,
        name: name.to_owned(),
        server_info: introduction.server_info.clone(),
        instructions: introduction.instructions.clone(),
        is_modern: introduction.revision.era() == Era::Modern,
        clients: None,
        features: ForeignFeatures {
            tools: said.tools,
            prompts: said.prompts,
            resources: said.resources,
            completions: said.completions,
            logging: said.logging,
            subscriptions: said.subscribe,
        },
        tools: items(lists, ListName::Tools, "name"),
        prompts: items(lists, ListName::Prompts, "name"),
        resources: items(lists, ListName::Resources, "uri"),
        templates: items(lists, ListName::ResourceTemplates, "uriTemplate"),
    }
}

/// The items of a list whose member `key` is text.
fn items(lists: &ChildLists, list: ListName, key: &str) -> Vec<ForeignItem> {
    let list = lists.list(list);
    let texts = (0..list.len()).filter_map(|index| list.item(index));
    let named = texts.filter_map(|text| {
        Some(ForeignItem {
            name: string(text, key)?,
            text: text.into(),
        })
    });
    named.collect()
}

/// The last member of this name, as most parsers read it, if it is text.
fn string(object: &[u8], key: &str) -> Option<String> {
    let found = members(object)
        .filter(|member| member.name(object) == key)
        .last()?;
    serde_json::from_slice(found.value.of(object)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::child::{ChildProfile, Handshake, HandshakeStep};
    use crate::children::line::Kind;

    /// What a child is after a handshake in which it gives these answers.
    fn served(answers: &[&str]) -> ForeignServer {
        let mut out = Vec::new();
        let mut handshake = Handshake::begin(&ChildProfile::shared(), true, &mut out);
        for answer in answers {
            let id = handshake.id();
            let step = handshake.on_answer(id, Kind::Result, answer.as_bytes(), &mut out);
            if let HandshakeStep::Done(done) = step.unwrap() {
                let (introduction, lists) = *done;
                return foreign_server(ServerIndex(3), "files", &introduction, &lists.unwrap());
            }
        }
        panic!("it waits for more")
    }

    #[test]
    fn a_child_becomes_entries_in_its_own_bytes() {
        let server = served(&[
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"resources":{},"completions":{}},"serverInfo":{"name":"n", "version":"1"},"instructions":"Use\nit."}"#,
            r#"{"tools":[{"name":"a b/c\u00e9","x":1.10},{"title":"nameless"},{"name":7},{"name":"first","name":"last"},{"name":"\ud800"}]}"#,
            r#"{"resources":[{"uri":"a:b"},{"name":"no uri"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"a:{b}"}]}"#,
        ]);
        assert_eq!((server.server, &*server.name), (ServerIndex(3), "files"));
        let features = ForeignFeatures {
            tools: true,
            prompts: false,
            resources: true,
            completions: true,
            logging: false,
            subscriptions: false,
        };
        assert_eq!(server.features, features);
        assert_eq!(&*server.server_info, br#"{"name":"n", "version":"1"}"#);
        assert_eq!(server.instructions.as_deref(), Some(&br#""Use\nit.""#[..]));
        let names: Vec<&str> = server.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["a b/cé", "last"]);
        assert_eq!(&*server.tools[0].text, br#"{"name":"a b/c\u00e9","x":1.10}"#);
        assert_eq!(server.resources.len(), 1);
        assert_eq!(server.templates[0].name, "a:{b}");
        assert!(server.prompts.is_empty());
    }
}
