//! The schemas of tools as clients get them, and which arguments the tools accept.

use serde_json::{Value, json};

use crate::harness::{Dialect, Response, Revision, Scratch, Server, eras};

fn dialects() -> impl Iterator<Item = Dialect> {
    let legacy = Revision::ALL_LEGACY.into_iter().map(Dialect::legacy);
    legacy.chain([Dialect::modern()])
}

fn tools(server: &Server, dialect: &Dialect) -> Vec<Value> {
    let listed = server.ask(&dialect.request(1, "tools/list", json!({})));
    listed.result()["tools"].as_array().unwrap().clone()
}

fn files(folder: &Scratch) -> Server {
    std::fs::write(folder.path().join("a.txt"), "one\ntwo\n").unwrap();
    Server::start(&["--toolset", "files", "--root", folder.path().to_str().unwrap()])
}

/// All texts of a tool's result.
#[track_caller]
fn texts(response: &Response) -> Vec<&str> {
    let content = response.result()["content"].as_array().unwrap().iter();
    content.map(|block| block["text"].as_str().unwrap()).collect()
}

/// Every schema below one, with its place.
fn walk<'s>(schema: &'s Value, place: &str, found: &mut Vec<(String, &'s Value)>) {
    found.push((place.to_owned(), schema));
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        walk(inner, &format!("{place}/{name}"), found);
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(keyword).filter(|inner| inner.is_object()) {
            walk(inner, &format!("{place}/{keyword}"), found);
        }
    }
    for (at, inner) in schema["anyOf"].as_array().into_iter().flatten().enumerate() {
        walk(inner, &format!("{place}/{at}"), found);
    }
}

#[test]
fn arguments_are_listed_as_the_narrowest_client_takes_them() {
    let folder = Scratch::new("schemas-listed");
    for (server, count) in [(files(&folder), 5), (Server::start(&[]), 7)] {
        for dialect in dialects() {
            let tools = tools(&server, &dialect);
            assert_eq!(tools.len(), count);
            for tool in tools {
                let schema = &tool["inputSchema"];
                assert_eq!(schema["type"], "object");
                assert!(schema["properties"].is_object());
                let mut found = Vec::new();
                walk(schema, tool["name"].as_str().unwrap(), &mut found);
                for (place, schema) in found {
                    assert!(
                        schema["type"].is_string() || schema["anyOf"].is_array(),
                        "{place}: {schema}"
                    );
                    assert_ne!(schema["type"], "null", "{place}: {schema}");
                    assert_ne!(schema.get("default"), Some(&Value::Null), "{place}: {schema}");
                    let is_array = schema["type"] == "array";
                    assert_eq!(schema.get("items").is_some(), is_array, "{place}: {schema}");
                    for keyword in [
                        "$ref",
                        "$defs",
                        "$schema",
                        "oneOf",
                        "allOf",
                        "const",
                        "prefixItems",
                    ] {
                        assert_eq!(schema.get(keyword), None, "{place}: {schema}");
                    }
                }
            }
        }
    }
}

#[test]
fn null_is_taken_for_an_argument_that_may_be_left_out() {
    let folder = Scratch::new("schemas-null");
    let server = files(&folder);
    for dialect in eras() {
        for (tool, arguments) in [
            (
                "read_file",
                json!({"path": "a.txt", "limit": null, "offset": null, "start_byte": null}),
            ),
            ("list_directory", json!({"path": null, "after": null})),
            ("search", json!({"pattern": "two", "glob": null, "limit": null})),
        ] {
            let response = server.ask(&dialect.tool(1, tool, arguments.clone()));
            assert!(
                !response.is_tool_error(),
                "{tool} {arguments}: {}",
                response.text()
            );
        }
        let response = server.ask(&dialect.tool(1, "read_file", json!({"path": null})));
        assert!(response.is_tool_error());
        assert_eq!(
            texts(&response),
            ["invalid arguments: /path: null is not of type \"string\""]
        );
    }
}

#[test]
fn a_misspelt_argument_of_a_file_tool_is_told() {
    let folder = Scratch::new("schemas-unknown");
    let server = files(&folder);
    let note = "Unknown arguments were ignored: \"limt\" (did you mean \"limit\"?).";
    for dialect in eras() {
        let response = server.ask(&dialect.tool(1, "read_file", json!({"path": "a.txt", "limt": 1})));
        assert!(!response.is_tool_error());
        let texts_told = texts(&response);
        assert_eq!(texts_told.last(), Some(&note), "{texts_told:?}");
        assert!(texts_told.len() > 1 && texts_told[0].contains("one"));
        // This holds also for calls that failed.
        let response = server.ask(&dialect.tool(1, "read_file", json!({"path": "gone", "limt": 1})));
        assert!(response.is_tool_error());
        assert!(texts(&response)[0].ends_with(note), "{}", response.text());
        // There is no note where nothing is unknown.
        let response = server.ask(&dialect.tool(1, "read_file", json!({"path": "a.txt", "limit": 1})));
        assert!(!response.text().contains("Unknown"), "{}", response.text());
    }
}

#[test]
fn arguments_that_a_schema_leaves_open_are_ignored() {
    let server = Server::start(&[]);
    for dialect in eras() {
        let response = server.ask(&dialect.tool(1, "echo", json!({"message": "m", "loud": true})));
        assert_eq!(texts(&response), ["m"]);
    }
}
