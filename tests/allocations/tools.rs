//! The registry alone: arguments in, answer out.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use weir::internals::jsonrpc::Value;
use weir::internals::registry::{
    CallLink, ClientFacts, LinkListener, Output, ShardRegistry, Started, linked_context,
};
use weir::{
    CallContext, Registry, RegistryBuilder, RegistryError, ServerHandle, Tool, ToolError, ToolIndex, Toolset,
};

use crate::counting::allocations_of;

fn call(
    tools: &ShardRegistry,
    tool: ToolIndex,
    arguments: Value<'_, '_>,
    context: CallContext,
    out: &mut Vec<u8>,
) {
    let Ok(Started::Future(call)) = tools.start_tool(tool, Some(arguments), context) else {
        panic!("did not start");
    };
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(Output::Tool(output))) => output.write_content(out),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_warm_echo_allocates_its_own_string_and_nothing_else() {
    let mut tools = Registry::builder();
    tools.add(weir::demo::Demo).unwrap();
    let registry = tools.build();
    let shard = ShardRegistry::new(registry.clone());
    // Escapes, and members that the schema does not know, cost nothing more.
    let mut bytes = br#"{"message":"hello \"world\"\n","x":[1,{"y":null}],"z":2.5}"#.to_vec();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let mut out = Vec::with_capacity(1_024);
    let mut round = || {
        out.clear();
        let echo = registry.find("echo").unwrap();
        call(&shard, echo, Value::of_tape(&tape), CallContext::new(), &mut out);
    };
    // A cold call allocates at least the slot and the tape.
    assert!(allocations_of(&mut round) > 1);
    for _ in 0..100 {
        assert_eq!(allocations_of(&mut round), 1);
    }
    assert_eq!(out, br#"[{"type":"text","text":"hello \"world\"\n"}]"#);
}

/// A listener that ignores messages.
struct NullListener;

impl LinkListener for NullListener {
    fn on_emission(&self, _: u64) {}
}

#[test]
fn a_warm_link_to_the_client_costs_no_allocation() {
    let mut tools = Registry::builder();
    tools.add(weir::demo::Demo).unwrap();
    let registry = tools.build();
    let shard = ShardRegistry::new(registry.clone());
    let echo = registry.find("echo").unwrap();
    let mut bytes = br#"{"message":"hello"}"#.to_vec();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let mut link = CallLink::new(Arc::new(NullListener), ServerHandle::default());
    let mut out = Vec::with_capacity(1_024);
    let mut round = || {
        out.clear();
        let facts = ClientFacts {
            wants_progress: true,
            ..ClientFacts::default()
        };
        Arc::get_mut(&mut link).unwrap().begin(facts);
        link.bind(1);
        link.begin_poll();
        call(
            &shard,
            echo,
            Value::of_tape(&tape),
            linked_context(link.clone()),
            &mut out,
        );
        assert!(!link.end_poll());
        link.close();
    };
    // A cold call allocates at least the slot and the tape.
    assert!(allocations_of(&mut round) > 1);
    for _ in 0..100 {
        assert_eq!(allocations_of(&mut round), 1);
    }
}

/// A state to borrow.
struct Prefix(&'static str);

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Said {
    message: String,
}

impl Prefix {
    async fn say(&self, _: CallContext, said: Said) -> Result<String, ToolError> {
        Ok(format!("{} {}", self.0, said.message))
    }
}

impl Toolset for Prefix {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        registry.add(Tool::new("say").run(Prefix::say)).map(drop)
    }
}

/// A call allocates the arguments' string, and the two that `format!` makes of it; neither the state nor the place of
/// the toolset adds to that.
#[test]
fn borrowing_a_state_costs_no_allocation() {
    let mut tools = Registry::builder();
    tools.add(Prefix("well,")).unwrap();
    tools.mount("mounted", Prefix("well,")).unwrap();
    let registry = tools.build();
    let shard = ShardRegistry::new(registry.clone());
    let mut bytes = br#"{"message":"hello"}"#.to_vec();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let mut out = Vec::with_capacity(1_024);
    for name in ["say", "mounted__say"] {
        let tool = registry.find(name).unwrap();
        let mut round = || {
            out.clear();
            call(&shard, tool, Value::of_tape(&tape), CallContext::new(), &mut out);
        };
        let own = allocations_of(|| {
            let said = Said {
                message: String::from("hello"),
            };
            std::hint::black_box(format!("{} {}", std::hint::black_box("well,"), said.message));
        });
        assert!(allocations_of(&mut round) > own);
        for _ in 0..100 {
            assert_eq!(allocations_of(&mut round), own, "{name}");
        }
        assert_eq!(out, br#"[{"type":"text","text":"well, hello"}]"#);
    }
}
