//! Questions to the client in the middle of a call: by requests in the legacy era, by calling again in the modern one.

use serde_json::{Map, Value, json};

use super::Feature;
use crate::harness::{Conversation, Revision, text_of};

/// This client's answer to any question: `text` where there is room for it.
fn answer(text: &str) -> impl Fn(&str, &Value) -> Value {
    move |method, params| match method {
        "elicitation/create" => json!({"action": "accept", "content": filled_in(params, text)}),
        "sampling/createMessage" => json!({
            "role": "assistant",
            "content": {"type": "text", "text": text},
            "model": "a model",
            "stopReason": "endTurn",
        }),
        "roots/list" => json!({"roots": [{"uri": format!("file:///{text}"), "name": text}]}),
        other => panic!("what is {other}?"),
    }
}

/// The content of a form, `text` in each of its fields.
fn filled_in(form: &Value, text: &str) -> Map<String, Value> {
    let properties = form["requestedSchema"]["properties"].as_object().unwrap();
    let filled = properties.iter().map(|(name, schema)| {
        assert_eq!(schema["type"], "string", "{form}");
        (name.clone(), json!(text))
    });
    filled.collect()
}

fn question() -> Value {
    json!({"question": "Which \"colour\"?"})
}

#[test]
fn users_are_asked() {
    Feature::Elicitation.run(|conversation| {
        let conversed = conversation.converse("ask", question(), &[1], answer("ultramarine"));
        assert_eq!(conversed.questions[0].1["message"], "Which \"colour\"?");
        assert_eq!(text_of(&conversed.result), "the user said: ultramarine");
        for (action, said) in [("decline", "the user declined"), ("cancel", "the user cancelled")] {
            let conversed = conversation.converse("ask", question(), &[1], |_, _| json!({"action": action}));
            assert_eq!(text_of(&conversed.result), said);
        }
        assert_eq!(conversation.text_of("echo", json!({"message": "on"})), "on");
    });
}

/// Before 2025-06-18 there was no such question, whatever a client declares.
#[test]
fn who_cannot_be_asked_is_not_asked() {
    Feature::NoElicitation.run(|conversation| {
        let call = conversation.call("ask", question());
        let answer = conversation.answer(&call);
        assert!(
            answer.get("error").is_some() || answer["result"]["isError"] == true,
            "{answer}"
        );
    });
}

#[test]
fn models_are_asked() {
    Feature::Sampling.run(|conversation| {
        let prompt = json!({"prompt": "Well?"});
        let conversed = conversation.converse("test_sampling", prompt, &[1], answer("Well."));
        let (method, params) = &conversed.questions[0];
        assert_eq!(method, "sampling/createMessage");
        assert_eq!(params["maxTokens"], 100, "{params}");
        assert_eq!(text_of(&conversed.result), "LLM response: Well.");
    });
}

#[test]
fn roots_are_asked_for() {
    Feature::Roots.run(|conversation| {
        let tool = "test_input_required_result_list_roots";
        let conversed = conversation.converse(tool, json!({}), &[1], answer("home"));
        assert_eq!(conversed.questions[0].0, "roots/list");
        assert_eq!(text_of(&conversed.result), "The client works in file:///home");
    });
}

#[test]
fn several_questions_are_put_at_once_or_in_turn() {
    Feature::SeveralQuestions.run(|conversation| {
        let has_elicitation = conversation.dialect.revision >= Revision("2025-06-18");
        let tool = "test_input_required_result_capabilities";
        let count = if has_elicitation { 3 } else { 2 };
        let conversed = conversation.converse(tool, json!({}), &[count], answer("x"));
        let said = text_of(&conversed.result);
        assert!(said.starts_with(&format!("{count} answers: ")), "{said}");
        let mut methods: Vec<&str> = conversed.questions.iter().map(|(method, _)| &**method).collect();
        methods.sort_unstable();
        let all = ["elicitation/create", "roots/list", "sampling/createMessage"];
        assert_eq!(methods, &all[3 - count..]);
        if has_elicitation {
            let tool = "test_input_required_result_multi_round";
            let conversed = conversation.converse(tool, json!({}), &[1, 1], answer("teal"));
            assert_eq!(text_of(&conversed.result), "teal likes teal.");
        }
    });
}

#[test]
fn two_calls_that_ask_are_not_mixed_up() {
    Feature::TwoCallsThatAsk.run(|conversation| {
        let calls: Vec<(Value, String)> = (0..4)
            .map(|number| {
                let question = format!("question {number}");
                let id = conversation.call("ask", json!({"question": question}));
                (id, question)
            })
            .collect();
        let mut questions: Vec<Value> = calls.iter().map(|_| conversation.message()).collect();
        questions.sort_by_key(|question| question["params"]["message"].as_str().map(str::to_owned));
        // The answers come in another order than the questions, and each reaches the call that asked.
        for ((call, asked), question) in calls.iter().zip(&questions).rev() {
            assert_eq!(question["params"]["message"], asked.as_str(), "{question}");
            let answer = answer(asked)("elicitation/create", &question["params"]);
            conversation.respond(&question["id"], &answer);
            let result = conversation.result(call);
            assert_eq!(text_of(&result), format!("the user said: {asked}"));
        }
    });
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    Feature::TwoCallsThatAsk.run(|conversation| {
        let call = conversation.call("ask", question());
        let asked = conversation.message();
        let evil = answer("evil")("elicitation/create", &asked["params"]);
        for id in [json!("unknown"), json!(0), json!(""), call.clone()] {
            if id != asked["id"] {
                conversation.respond(&id, &evil);
            }
        }
        let good = answer("good")("elicitation/create", &asked["params"]);
        conversation.respond(&asked["id"], &good);
        assert_eq!(text_of(&conversation.result(&call)), "the user said: good");
        conversation.respond(&asked["id"], &evil);
        assert_is_open(conversation);
    });
}

fn assert_is_open(conversation: &mut Conversation) {
    assert_eq!(conversation.text_of("echo", json!({"message": "on"})), "on");
}

#[test]
fn prompts_ask_too() {
    Feature::PromptThatAsks.run(|conversation| {
        let params = json!({"name": "test_input_required_result_prompt"});
        let conversed = conversation.converse_by("prompts/get", params, &[1], answer("seen from afar"));
        assert_eq!(conversed.questions[0].0, "elicitation/create");
        let said = conversed.result.to_string();
        assert!(said.contains("seen from afar"), "{said}");
    });
}
