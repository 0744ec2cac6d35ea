//! Subscriptions to files: changes are sent on the GET stream of the session, or on the modern subscription, and
//! nowhere else.

use serde_json::{Value, json};

use crate::harness::{
    Dialect, EventStream, Revision, Server, Shared, Watched, assert_updated, case, connect_to, listen_to,
    subscribe, subscription_of, unsubscribe, uri_of,
};

const INVALID_PARAMS: i64 = -32602;

fn sessions(server: &Server) -> Vec<Dialect> {
    Revision::ALL_LEGACY
        .iter()
        .map(|revision| server.open_session(&Dialect::legacy(*revision)))
        .collect()
}

#[test]
fn a_change_is_told_to_who_subscribed_in_every_revision() {
    let server = Watched::start(&[]);
    for session in sessions(&server) {
        for (opens, asks) in [(0, 0), (0, 1), (1, 0)] {
            let _case = case(format!(
                "{}: stream on {opens}, asked on {asks}",
                session.revision.0
            ));
            let session = server.open_session(&Dialect::legacy(session.revision));
            let mut stream = connect_to(&server, opens).open(&session.get_stream());
            subscribe(&mut connect_to(&server, asks), &session, "a.txt");
            server.change("b.txt");
            server.change("a.txt");
            let params = assert_updated(&mut stream, "a.txt", None);
            assert!(subscription_of(&params).is_null());
        }
    }
    let mut modern = listen_to(server.connect(), 1, &["a.txt"]);
    server.change("b.txt");
    server.change("a.txt");
    assert_updated(&mut modern, "a.txt", None);
}

#[test]
fn who_unsubscribes_hears_no_more() {
    let server = Watched::start(&[]);
    for session in sessions(&server) {
        let _case = case(session.revision.0);
        let mut client = server.connect();
        let mut stream = server.open(&session.get_stream());
        subscribe(&mut client, &session, "a.txt");
        subscribe(&mut client, &session, "b.txt");
        server.change("a.txt");
        assert_updated(&mut stream, "a.txt", None);
        unsubscribe(&mut client, &session, "a.txt");
        // A witness, which shows that the change has been announced.
        let mut witness = listen_to(server.connect(), 1, &["a.txt"]);
        server.change("a.txt");
        assert_updated(&mut witness, "a.txt", None);
        server.change("b.txt");
        // The first change was announced before the client unsubscribed, and may still come; the second may not come
        // behind it.
        assert_updated(&mut stream, "b.txt", Some("a.txt"));
        server.change("a.txt");
        assert_updated(&mut witness, "a.txt", Some("a.txt"));
        server.change("b.txt");
        assert_updated(&mut stream, "b.txt", Some("b.txt"));
        // Repeating it makes no difference.
        unsubscribe(&mut client, &session, "a.txt");
        subscribe(&mut client, &session, "b.txt");
    }
}

#[test]
fn all_ways_a_file_changes_are_told() {
    let server = Watched::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut client = server.connect();
    subscribe(&mut client, &session, "a.txt");
    let mut streams = [
        server.open(&session.get_stream()),
        listen_to(server.connect(), "modern", &["a.txt"]),
    ];
    // The files change one after another, so that late messages about the change before are known by their name.
    subscribe(&mut client, &session, "b.txt");
    let fence = |streams: &mut [EventStream; 2]| {
        server.change("b.txt");
        assert_updated(&mut streams[0], "b.txt", Some("a.txt"));
    };
    let path = server.path("a.txt");
    for (how, change) in [
        (
            "written",
            Box::new(|| std::fs::write(&path, "x").unwrap()) as Box<dyn Fn()>,
        ),
        (
            "replaced",
            Box::new(|| {
                std::fs::write(server.path("a.tmp"), "y").unwrap();
                std::fs::rename(server.path("a.tmp"), &path).unwrap();
            }),
        ),
        ("deleted", Box::new(|| std::fs::remove_file(&path).unwrap())),
        ("made anew", Box::new(|| std::fs::write(&path, "z").unwrap())),
        (
            "truncated",
            Box::new(|| drop(std::fs::File::create(&path).unwrap())),
        ),
    ] {
        let _case = case(how);
        change();
        assert_updated(&mut streams[0], "a.txt", Some("b.txt"));
        assert_updated(&mut streams[1], "a.txt", None);
        fence(&mut streams);
    }
}

#[test]
fn each_message_is_on_one_stream() {
    let server = Watched::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    subscribe(&mut server.connect(), &session, "a.txt");
    let mut get_stream = server.open(&session.get_stream());
    let mut call = server.open(&session.progress(1, 30, 20));
    call.notification("notifications/progress");
    server.change("a.txt");
    assert_updated(&mut get_stream, "a.txt", None);
    let rest = call.rest();
    assert!(
        rest.iter()
            .all(|message| message["method"] == "notifications/progress" || message["id"] == 1),
        "{rest:?}"
    );
    // Messages that belonged to the call came only on its own stream.
    server.change("a.txt");
    assert_updated(&mut get_stream, "a.txt", None);
}

#[test]
fn sessions_and_eras_share_a_file_without_sharing_a_subscription() {
    let server = Watched::start(&[]);
    let mut listeners: Vec<EventStream> = Vec::new();
    let sessions = sessions(&server);
    for (number, session) in sessions.iter().enumerate() {
        subscribe(&mut server.connect(), session, "a.txt");
        listeners.push(connect_to(&server, number % 2).open(&session.get_stream()));
    }
    for shard in 0..2 {
        listeners.push(listen_to(connect_to(&server, shard), shard, &["a.txt"]));
    }
    server.change("a.txt");
    for stream in &mut listeners {
        assert_updated(stream, "a.txt", None);
    }
    unsubscribe(&mut server.connect(), &sessions[0], "a.txt");
    listeners.remove(0).leave();
    server.change("a.txt");
    for stream in &mut listeners {
        assert_updated(stream, "a.txt", None);
    }
}

#[test]
fn what_is_no_resource_cannot_be_subscribed_to() {
    let server = Watched::start(&[]);
    for session in sessions(&server) {
        let _case = case(session.revision.0);
        let mut client = server.connect();
        for params in [json!({}), json!({"uri": 1}), json!({"uri": "a".repeat(8_193)})] {
            client
                .ask(&session.request(1, "resources/subscribe", params))
                .assert_error(200, INVALID_PARAMS, 1);
        }
        let nowhere = json!({"uri": "nothing://at/all"});
        let answer = client.ask(&session.request(2, "resources/subscribe", nowhere));
        let code = answer.json()["error"]["code"].as_i64();
        assert!(
            [Some(-32002), Some(INVALID_PARAMS)].contains(&code),
            "{}",
            answer.text()
        );
        let unknown = json!({"uri": uri_of("never-subscribed.txt")});
        let answer = client.ask(&session.request(3, "resources/unsubscribe", unknown));
        assert_eq!(answer.result(), &json!({}), "nothing to do is done");
    }
}

/// Nobody hears of a URI that leaves the directory, whatever its subscription is answered with.
#[test]
fn what_lies_outside_is_not_told_of() {
    let server = Watched::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut stream = server.open(&session.get_stream());
    let mut client = server.connect();
    let outside = server.path("../outside.txt");
    std::fs::write(&outside, "outside\n").unwrap();
    std::os::unix::fs::symlink(&outside, server.path("link.txt")).unwrap();
    for uri in [
        "file:///../outside.txt",
        "file:///%2e%2e/outside.txt",
        "file:///link.txt",
    ] {
        client.ask(&session.request(1, "resources/subscribe", json!({"uri": uri})));
    }
    subscribe(&mut client, &session, "a.txt");
    server.change("a.txt");
    assert_updated(&mut stream, "a.txt", None);
    std::fs::write(&outside, "changed\n").unwrap();
    server.change("a.txt");
    assert_updated(&mut stream, "a.txt", Some("a.txt"));
    std::fs::remove_file(&outside).unwrap();
    server.change("a.txt");
    assert_updated(&mut stream, "a.txt", Some("a.txt"));
}

#[test]
fn without_a_session_there_is_nothing_to_subscribe_for() {
    let server = Shared::usual();
    for revision in Revision::ALL_LEGACY {
        let _case = case(revision.0);
        let request =
            Dialect::legacy(revision).request(1, "resources/subscribe", json!({"uri": "demo://about"}));
        let answer = server.ask(&request);
        assert!(answer.json()["error"]["code"].is_i64(), "{}", answer.text());
    }
}

#[test]
fn capabilities_tell_of_subscriptions() {
    let server = Watched::start(&[]);
    let all = Revision::ALL_LEGACY
        .map(Dialect::legacy)
        .into_iter()
        .chain([Dialect::modern()]);
    for dialect in all {
        let _case = case(dialect.revision.0);
        let request = if dialect.is_modern() {
            dialect.request(1, "server/discover", json!({}))
        } else {
            dialect.initialize(1)
        };
        let answer = server.ask(&request);
        let capabilities: &Value = &answer.result()["capabilities"];
        assert_eq!(
            capabilities["resources"],
            json!({"subscribe": true, "listChanged": true})
        );
        // They never change.
        assert_eq!(capabilities["tools"], json!({}));
        assert_eq!(capabilities["prompts"], json!({}));
        assert_eq!(capabilities["logging"], json!({}));
    }
}

/// The watch begins a moment after the answer: a change in between is not lost, in either era.
#[test]
fn a_change_right_behind_the_answer_is_told() {
    let server = Watched::start(&[]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let mut stream = server.open(&session.get_stream());
    let mut client = server.connect();
    let mut before: Option<String> = None;
    for number in 0..60 {
        // Each time it is another file, so that each is watched for the first time: one that is new, then one that is
        // rewritten.
        let name = format!("quick-{number}.txt");
        if number % 2 == 1 {
            server.change(&name);
        }
        subscribe(&mut client, &session, &name);
        server.change(&name);
        assert_updated(&mut stream, &name, before.as_deref());
        let name_of_modern = format!("modern-{name}");
        let mut modern = listen_to(server.connect(), number, &[&name_of_modern]);
        server.change(&name_of_modern);
        assert_updated(&mut modern, &name_of_modern, None);
        before = Some(name);
    }
}

/// The same holds for a file that is removed.
#[test]
fn a_file_deleted_right_behind_the_answer_is_told() {
    let server = Watched::start(&[]);
    for number in 0..30 {
        let name = format!("brief-{number}.txt");
        server.change(&name);
        let mut stream = listen_to(server.connect(), number, &[&name]);
        std::fs::remove_file(server.path(&name)).unwrap();
        assert_updated(&mut stream, &name, None);
    }
}
