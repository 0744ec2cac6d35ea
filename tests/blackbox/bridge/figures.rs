//! What operators are told of children: how long calls take and how much of that is ours, what is asked, what is lost.

use std::time::Duration;

use serde_json::{Value, json};

use super::front::{Front, Host, told};
use super::sinner::act;
use crate::harness::{Server, eventually};

/// A figure of the only server.
fn figure(front: &mut Front, name: &str) -> f64 {
    front.weir().metrics().sum(name, &[("server", "misbehave")])
}

/// The server's part of the report at exit.
fn reported(front: Front) -> Value {
    let Host::Weir(server) = front.host else {
        panic!("a peer has no report")
    };
    Server::stop(server)["children"][0].clone()
}

fn form() -> Value {
    let params = json!({"message": "who?", "requestedSchema": {"type": "object", "properties": {}}});
    json!(["ask", "elicitation/create", params])
}

#[test]
fn the_time_of_calls_is_told_apart_into_the_childs_and_ours() {
    let mut front = Front::start();
    let mut client = front.modern();
    client.text_of("act", act([json!(["sleep", 30])]));
    client.text_of("echo", json!({"message": "a"}));
    eventually("both are counted", || {
        figure(&mut front, "weir_child_calls_total") == 2.0
    });
    let metrics = front.weir().metrics();
    let server = ("server", "misbehave");
    for name in ["weir_child_call_seconds", "weir_child_overhead_seconds"] {
        let bucket = format!("{name}_bucket");
        assert_eq!(metrics.sum(&format!("{name}_count"), &[server]), 2.0);
        assert_eq!(metrics.sum(&bucket, &[server, ("le", "+Inf")]), 2.0);
    }
    let slow = metrics.sum("weir_child_call_seconds_sum", &[server]);
    assert!(slow >= Duration::from_millis(30).as_secs_f64(), "{slow}");
    let below = metrics.sum("weir_child_call_seconds_bucket", &[server, ("le", "0.025")]);
    assert!(below <= 1.0, "{below}");
    client.finish();
    let report = reported(front);
    assert_eq!(
        (&report["calls"], &report["with_children_counts"]["+Inf"]),
        (&json!(2), &json!(2))
    );
}

#[test]
fn a_question_is_held_until_its_client_answers() {
    let fronts = [
        Front::with(&["mcp"], "mode=session", &["--shards", "2"]),
        Front::of(&["mcp:[modern]"], "max=1"),
    ];
    for (mut front, is_modern) in fronts.into_iter().zip([false, true]) {
        let mut client = front.legacy();
        let requests = json!({"who": {"method": "elicitation/create", "params": form()[2]}});
        let step = if is_modern {
            json!(["round", requests])
        } else {
            form()
        };
        let id = client.call("act", act([step]));
        let asked = client.message();
        eventually("it is held", || {
            figure(&mut front, "weir_child_questions_held") == 1.0
        });
        client.respond(&asked["id"], &json!({"action": "decline"}));
        client.result(&id);
        eventually("it is held no longer", || {
            figure(&mut front, "weir_child_questions_held") == 0.0
        });
        assert_eq!(figure(&mut front, "weir_child_questions_total"), 1.0);
        client.finish();
        let report = reported(front);
        assert_eq!(
            (&report["questions"], &report["places_lost"]),
            (&json!(1), &json!(0))
        );
    }
}

#[test]
fn a_place_is_lost_to_a_cancelled_call_that_is_never_answered() {
    let mut front = Front::of(&["mcp"], "max=1,max_in_flight=8,cancel_grace=10ms");
    let mut client = front.legacy();
    let id = client.call("act", act(["count", "await-cancel", "forget"]));
    front.wait_until_counted(1);
    assert_eq!(figure(&mut front, "weir_child_places_lost"), 0.0);
    client.cancel(&id);
    eventually("its place is lost", || {
        figure(&mut front, "weir_child_places_lost") == 1.0
    });
    assert_eq!(figure(&mut front, "weir_child_places_lost_total"), 1.0);
    client.finish();
    assert_eq!(reported(front)["places_lost"], 1);
}

#[test]
fn answers_to_nobody_and_rubbish_are_counted() {
    let mut front = Front::of(&["mcp"], "max=1");
    let mut client = front.legacy();
    let written = "hello\n{\"jsonrpc\":\"2.0\",\"id\":987654321,\"result\":{}}\n";
    told(&mut client, act([json!(["write", written])]));
    eventually("both are told", || {
        ["weir_child_stray_answers_total", "weir_child_rubbish_lines_total"]
            .iter()
            .all(|name| figure(&mut front, name) == 1.0)
    });
    client.finish();
    let report = reported(front);
    assert_eq!(
        (&report["stray_answers"], &report["rubbish_lines"]),
        (&json!(1), &json!(1))
    );
}
