//! The same over the other transports: WebSocket, HTTP+SSE and a process of the client's own. Most are the tests of
//! `table` and `asking` once more, with other clients.

use serde_json::{Value, json};

use super::front::{Front, heard, over, told};
use super::sinner::act;
use crate::harness::{Conversation, TransportKind, case, eventually, text_of};

/// Tests of other files, made over a transport.
macro_rules! over {
    ($($module:ident = $kind:ident { $($file:ident: $($row:ident)+;)+ })+) => {
        $(mod $module {
            use crate::bridge::{asking, front::over, table};
            use crate::harness::TransportKind;

            $($(
                #[test]
                fn $row() {
                    over(TransportKind::$kind, $file::$row);
                }
            )+)+
        })+
    };
}

over! {
    websocket = WebSocket {
        table:
            row_01_capabilities_instructions_and_name_are_the_childs
            row_02_all_pages_of_lists_are_there_and_each_item_once
            row_03_an_id_beyond_53_bits_comes_back
            row_04_equal_ids_of_two_sessions_are_two
            row_05_what_a_child_says_is_passed_on_byte_for_byte
            row_06_progress_comes_on_its_call_with_the_clients_token
            row_07_a_cancellation_reaches_the_child
            row_08_an_error_keeps_its_code_and_data
            row_09_an_unknown_tool_is_an_error_of_the_protocol
            row_10_a_resource_that_is_not_found_has_its_code
            row_11_a_question_finds_its_caller
            row_12_a_log_message_finds_its_caller
            row_13_an_update_of_a_resource_finds_its_subscriber
            row_14_clients_hear_that_a_list_has_changed
            row_16_lines_that_are_no_utf_8_are_skipped
            row_19_modern_clients_discover_the_child
            row_20_modern_clients_call_a_legacy_child
            row_21_a_modern_clients_child_asks_its_caller
            row_22_modern_progress_comes_on_its_call
            row_23_a_call_whose_child_dies_gets_an_error_at_once
            row_24_the_same_client_is_served_by_the_next_child
            row_25_a_new_client_is_served_by_the_next_child;
        asking:
            clients_are_asked_everything_that_they_have_declared
            questions_of_two_clients_at_once_are_each_its_own
            a_client_with_several_calls_is_asked_once_for_each
            older_clients_are_asked_in_their_own_words
            a_client_that_declares_nothing_is_asked_nothing
            modern_clients_answer_round_by_round
            log_messages_reach_their_caller_by_its_level
            modern_clients_hear_what_their_request_wants
            children_of_many_clients_ask_nobody_and_tell_nobody
            updates_reach_subscribers_and_nobody_else
            a_modern_subscriber_listens_to_resources_of_children;
    }
    http_sse = HttpSse {
        table:
            row_01_capabilities_instructions_and_name_are_the_childs
            row_02_all_pages_of_lists_are_there_and_each_item_once
            row_03_an_id_beyond_53_bits_comes_back
            row_04_equal_ids_of_two_sessions_are_two
            row_05_what_a_child_says_is_passed_on_byte_for_byte
            row_06_progress_comes_on_its_call_with_the_clients_token
            row_07_a_cancellation_reaches_the_child
            row_08_an_error_keeps_its_code_and_data
            row_09_an_unknown_tool_is_an_error_of_the_protocol
            row_10_a_resource_that_is_not_found_has_its_code
            row_11_a_question_finds_its_caller
            row_12_a_log_message_finds_its_caller
            row_13_an_update_of_a_resource_finds_its_subscriber
            row_14_clients_hear_that_a_list_has_changed
            row_16_lines_that_are_no_utf_8_are_skipped
            row_23_a_call_whose_child_dies_gets_an_error_at_once
            row_24_the_same_client_is_served_by_the_next_child
            row_25_a_new_client_is_served_by_the_next_child;
        asking:
            clients_are_asked_everything_that_they_have_declared
            questions_of_two_clients_at_once_are_each_its_own
            a_client_with_several_calls_is_asked_once_for_each
            a_client_that_declares_nothing_is_asked_nothing
            log_messages_reach_their_caller_by_its_level
            children_of_many_clients_ask_nobody_and_tell_nobody
            updates_reach_subscribers_and_nobody_else;
    }
    stdio = Stdio {
        table:
            row_01_capabilities_instructions_and_name_are_the_childs
            row_02_all_pages_of_lists_are_there_and_each_item_once
            row_03_an_id_beyond_53_bits_comes_back
            row_05_what_a_child_says_is_passed_on_byte_for_byte
            row_06_progress_comes_on_its_call_with_the_clients_token
            row_08_an_error_keeps_its_code_and_data
            row_09_an_unknown_tool_is_an_error_of_the_protocol
            row_10_a_resource_that_is_not_found_has_its_code
            row_11_a_question_finds_its_caller
            row_12_a_log_message_finds_its_caller
            row_16_lines_that_are_no_utf_8_are_skipped
            row_18_ten_mebibytes_of_stderr_block_nothing
            row_19_modern_clients_discover_the_child
            row_20_modern_clients_call_a_legacy_child
            row_21_a_modern_clients_child_asks_its_caller
            row_22_modern_progress_comes_on_its_call
            row_23_a_call_whose_child_dies_gets_an_error_at_once
            row_24_the_same_client_is_served_by_the_next_child;
        asking:
            clients_are_asked_everything_that_they_have_declared
            a_client_with_several_calls_is_asked_once_for_each
            older_clients_are_asked_in_their_own_words
            a_client_that_declares_nothing_is_asked_nothing
            modern_clients_answer_round_by_round
            log_messages_reach_their_caller_by_its_level
            modern_clients_hear_what_their_request_wants;
    }
}

fn updated() -> Value {
    let params = json!({"uri": "child://one"});
    json!(["notify", "notifications/resources/updated", params])
}

/// The next two messages, which are the answer to this request and a notification, in any order; the latter's
/// parameters.
#[track_caller]
fn answer_and(client: &mut Conversation, id: &Value, method: &str) -> Value {
    let came = [client.message(), client.message()];
    let answer = came.iter().find(|message| message["id"] == *id);
    assert!(
        answer.is_some_and(|answer| answer.get("result").is_some()),
        "{came:?}"
    );
    let news = came.into_iter().find(|message| message["method"] == method);
    news.unwrap()["params"].take()
}

/// What the tests above do with two clients of one child, by the only client of a process.
#[test]
fn the_client_of_its_own_process_cancels_and_hears_what_it_subscribed_to() {
    over(TransportKind::Stdio, || {
        let front = Front::start();
        for mut client in front.both() {
            let is_modern = client.is_modern();
            let _case = case(format!("modern: {is_modern}"));
            let id = client.call("act", act(["count", "await-cancel", "forget"]));
            eventually("the call reaches the child", || {
                told(&mut client, act(["counted"])) == "1"
            });
            client.cancel(&id);
            eventually("the child hears of it", || {
                heard(&mut client)
                    .iter()
                    .any(|line| line.contains("notifications/cancelled"))
            });
            if is_modern {
                let wanted = json!({"notifications": {"resourceSubscriptions": ["child://one"]}});
                client.send("subscriptions/listen", wanted);
                client.notification("notifications/subscriptions/acknowledged");
            } else {
                client.ask("resources/subscribe", json!({"uri": "child://one"}));
            }
            eventually("the child is subscribed to", || {
                heard(&mut client)
                    .iter()
                    .any(|line| line.contains("resources/subscribe"))
            });
            let id = client.call("act", act([updated()]));
            let update = answer_and(&mut client, &id, "notifications/resources/updated");
            assert_eq!(update["uri"], "child://one");
            if !is_modern {
                let id = client.call("act", act([json!(["add", "new"])]));
                answer_and(&mut client, &id, "notifications/tools/list_changed");
                assert_eq!(client.text_of("new", json!({})), "new");
                client.finish();
            }
        }
    });
}

/// Clients of every transport at one server, each with a child of its own: what one's child remembers, asks, reports
/// and logs is nobody else's, under equal ids, too.
#[test]
fn clients_of_all_transports_have_nothing_of_each_other() {
    let flags = ["--shards", "2", "--sse-legacy", "on"];
    let front = Front::with(&["mcp"], "mode=session", &flags);
    let kinds = [
        TransportKind::Http,
        TransportKind::WebSocket,
        TransportKind::HttpSse,
    ];
    let mut clients: Vec<Conversation> = Vec::new();
    for kind in kinds.into_iter().cycle().take(6) {
        over(kind, || clients.push(front.legacy()));
    }
    let id = json!("same");
    for round in 1..=3 {
        for (number, client) in clients.iter_mut().enumerate() {
            let secret = format!("secret-{number}-{round}");
            let log = json!({"level": "error", "data": secret});
            let asked = json!({"message": secret, "requestedSchema": {"type": "object", "properties": {}}});
            let steps = [
                json!(["notify", "notifications/message", log]),
                json!(["progress", 1]),
                json!(["ask", "elicitation/create", asked]),
            ];
            let meta = json!({"progressToken": "same"});
            let params = json!({"name": "act", "arguments": act(steps), "_meta": meta});
            client.send_as(&id, "tools/call", params);
        }
        // All are asked before the first one answers.
        let mut questions = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let secret = format!("secret-{number}-{round}");
            assert_eq!(client.notification("notifications/message")["data"], secret);
            assert_eq!(
                client.notification("notifications/progress")["progressToken"],
                "same"
            );
            let asked = client.message();
            assert_eq!(asked["params"]["message"], secret, "{asked}");
            questions.push(asked["id"].clone());
        }
        for (number, client) in clients.iter_mut().enumerate().rev() {
            let content = json!({"who": format!("client-{number}")});
            client.respond(
                &questions[number],
                &json!({"action": "accept", "content": content}),
            );
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let text = text_of(&client.result(&id)).to_owned();
            assert!(text.contains(&format!("client-{number}\"")), "{text}");
            assert_eq!(told(client, act(["count"])), round.to_string());
        }
    }
    clients.into_iter().for_each(Conversation::finish);
}
