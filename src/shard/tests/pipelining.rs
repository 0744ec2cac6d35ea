//! Requests that come behind a request in progress, and clients that finish sending before they read.

use super::client::{Client, Era, call, ping};
use super::rig::{Rig, Sizes};
use crate::ring::simulated::PeerView;

#[test]
fn pipelined_requests_are_answered_in_order_while_the_first_is_pending() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    client.ask(call(Era::Legacy, "hold", 0, "held"));
    for id in 1..100 {
        client.ask(call(Era::Legacy, "echo", id, &format!("e{id}")));
    }
    client.send(usize::MAX);
    rig.run();
    client.read();
    assert_eq!(client.answers.len(), 0);
    rig.release("held");
    for _ in 0..10 {
        rig.run();
        client.read();
    }
    assert_eq!(client.answers.len(), 100);
    rig.leave(&[client]);
}

#[test]
fn a_client_that_leaves_a_pipelined_call_cancels_it() {
    let sizes = Sizes {
        ring_buffer_bytes: 4096,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = Client::new(rig.connect());
    client.ask(ping(1));
    client.ask(call(Era::Modern, "hold", 2, "never"));
    client.send(usize::MAX);
    rig.run();
    assert_eq!(rig.shard.calls.busy(), 1);
    client.peer.close();
    rig.run();
    assert_eq!(rig.shard.calls.busy(), 0);
    rig.leave(&[client]);
}

#[test]
fn a_pipelined_request_left_unfinished_gives_way_to_others() {
    let sizes = Sizes {
        assembly_buffers: 1,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut slow = Client::new(rig.connect());
    slow.ask(call(Era::Legacy, "hold", 1, "held"));
    slow.ask(call(Era::Legacy, "echo", 2, "unfinished"));
    slow.send(slow.unsent.len() - 5);
    rig.run();
    // Somebody else asks for the buffer while the first call runs, and is refused.
    let mut second = Client::new(rig.connect());
    second.ask(call(Era::Legacy, "echo", 1, "second"));
    second.send(50);
    rig.run();
    rig.release("held");
    rig.run();
    slow.read();
    assert_eq!(slow.results(), ["held"]);
    // Now the slow one only owes bytes: it must give way.
    let mut third = Client::new(rig.connect());
    third.ask(call(Era::Legacy, "echo", 1, "third"));
    third.send(50);
    rig.run();
    third.send(usize::MAX);
    rig.run();
    third.read();
    assert_eq!(third.results(), ["third"]);
    rig.leave(&[slow, second, third]);
}

#[test]
fn without_room_for_what_is_pipelined_the_request_in_hand_is_still_answered() {
    for tool in ["echo", "hold", "block"] {
        let sizes = Sizes {
            assembly_buffers: 0,
            heap_bytes_max: 0,
            ..Sizes::default()
        };
        let mut rig = Rig::new(1, sizes);
        let mut client = Client::new(rig.connect());
        client.ask(call(Era::Modern, tool, 1, "a"));
        client.ask(call(Era::Modern, "echo", 2, "b"));
        client.send(usize::MAX);
        rig.run();
        rig.release("a");
        rig.await_workers();
        rig.run();
        client.read();
        assert_eq!(client.results(), ["a"], "{tool}");
        assert_eq!(client.peer.view(), PeerView::Ended, "{tool}");
        rig.leave(&[client]);
    }
}

#[test]
fn a_legacy_client_that_only_finished_sending_still_gets_its_answer() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut client = Client::new(rig.connect());
    client.request(call(Era::Legacy, "hold", 1, "half"));
    rig.run();
    client.peer.finish();
    rig.run();
    rig.release("half");
    rig.run();
    client.read();
    assert_eq!(client.results(), ["half"]);
    assert!(client.answers[0].head.contains("connection: close"));
    rig.leave(&[client]);
}

/// What came behind the call in hand: with it in one piece, or while it ran, so that the kernel has it still.
#[test]
fn what_is_pipelined_behind_a_call_is_answered_though_its_client_sends_no_more() {
    for tool in ["hold", "wait", "speak"] {
        for is_unread in [false, true] {
            let mut rig = Rig::new(1, Sizes::default());
            let mut client = Client::new(rig.connect());
            client.ask(call(Era::Legacy, tool, 1, "in hand"));
            if is_unread {
                client.send(usize::MAX);
                rig.run();
            }
            client.ask(call(Era::Legacy, "echo", 2, "behind"));
            client.ask(call(Era::Legacy, "hold", 3, "last"));
            client.send(usize::MAX);
            rig.run();
            client.peer.finish();
            rig.run();
            rig.release("in hand");
            rig.barrier.open();
            rig.run();
            rig.release("last");
            rig.run();
            client.read();
            let case = format!("{tool}, unread: {is_unread}");
            assert_eq!(client.results(), ["in hand", "behind", "last"], "{case}");
            let closes: Vec<bool> = client
                .answers
                .iter()
                .map(|answer| answer.head.contains("connection: close"))
                .collect();
            assert_eq!(closes, [false, false, true], "{case}");
            assert_eq!(client.peer.view(), PeerView::Ended, "{case}");
            rig.leave(&[client]);
        }
    }
}

#[test]
fn a_request_behind_a_call_may_wait_for_a_handler_though_its_client_sends_no_more() {
    let sizes = Sizes {
        handlers: 1,
        queue_depth_max: 4,
        ..Sizes::default()
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = Client::new(rig.connect());
    client.ask(call(Era::Legacy, "hold", 1, "in hand"));
    client.ask(call(Era::Legacy, "echo", 2, "behind"));
    client.send(usize::MAX);
    rig.run();
    let mut other = Client::new(rig.connect());
    other.request(call(Era::Modern, "hold", 3, "other"));
    rig.run();
    client.peer.finish();
    rig.run();
    rig.release("in hand");
    rig.run();
    assert_eq!(rig.metrics.queue_depth.value(), 1, "it waits behind the other's");
    rig.release("other");
    rig.run();
    client.read();
    other.read();
    assert_eq!(client.results(), ["in hand", "behind"]);
    assert_eq!(other.results(), ["other"]);
    assert_eq!(client.peer.view(), PeerView::Ended);
    rig.leave(&[client, other]);
}
