use serde_json::json;
use weir::testing::{Client, Reply};

use super::*;

fn client() -> Client {
    let mut registry = Registry::builder();
    registry.add(Tracker::new(Connection::open_in_memory().unwrap()).unwrap()).unwrap();
    let mut client = Client::new(registry.build()).answer(|_| Reply::accept(json!({"sure": true})));
    client.call("open", json!({"title": "The door sticks", "body": "In winter."}));
    client
}

#[test]
fn issues_are_found_changed_and_deleted() {
    let mut client = client();
    assert_eq!(client.call("search", json!({"text": "sticks"})).content()[0]["uri"], "tracker://issue/1");
    assert_eq!(client.call("assign", json!({"id": 1, "text": "Ada"})).text(), "Done.");
    client.call("close", json!({"id": 1}));
    let issue = client.call("get", json!({"id": 1}));
    assert_eq!((&issue.structured()["assignee"], &issue.structured()["is_open"]), (&json!("Ada"), &json!(false)));
    assert_eq!(client.call("delete", json!({"id": 1})).text(), "The issue is gone.");
    assert!(client.call("get", json!({"id": 1})).is_error());
}

#[test]
fn an_issue_needs_a_title() {
    assert!(client().call("open", json!({"title": ""})).is_error());
}

#[test]
fn issues_are_resources_that_can_be_watched() {
    let mut client = client();
    client.subscribe("tracker://issue/1");
    client.call("label", json!({"id": 1, "text": "bug"}));
    assert_eq!(client.next_notification()["method"], "notifications/resources/updated");
    assert!(client.read("tracker://issue/1").text().contains("bug"));
    assert!(client.prompt("triage", json!({"id": "1"})).text().contains("The door sticks"));
}

#[test]
fn issues_are_exported_as_a_task() {
    let mut client = client();
    let task = client.begin_task("export", json!({}));
    assert!(client.finish_task(&task).text().starts_with("# 1: The door sticks"));
}

#[test]
fn an_issue_is_fetched_from_elsewhere() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/7", elsewhere.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = elsewhere.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"title\":\"From elsewhere\"}").unwrap();
    });
    assert_eq!(client().call("import", json!({"url": url})).text(), "Issue 2 is open.");
}
