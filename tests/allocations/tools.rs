//! The registry alone: arguments in, answer out.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use weir::registry::{CallContext, Output, Registry, ShardRegistry, Started, ToolIndex};

use crate::counting::allocations_of;

fn call(
    tools: &ShardRegistry,
    tool: ToolIndex,
    arguments: simd_json::tape::Value<'_, '_>,
    out: &mut Vec<u8>,
) {
    let Ok(Started::Future(call)) = tools.start_tool(tool, Some(arguments), CallContext::new()) else {
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
    weir::demo::register(&mut tools).unwrap();
    let registry = tools.build();
    let shard = registry.for_shard();
    // Escapes, and members that the schema does not know, cost nothing more.
    let mut bytes = br#"{"message":"hello \"world\"\n","x":[1,{"y":null}],"z":2.5}"#.to_vec();
    let tape = simd_json::to_tape(&mut bytes).unwrap();
    let mut out = Vec::with_capacity(1_024);
    let mut round = || {
        out.clear();
        let echo = registry.find("echo").unwrap();
        call(&shard, echo, tape.as_value(), &mut out);
    };
    // Cold: at least the slot and the tape.
    assert!(allocations_of(&mut round) > 1);
    for _ in 0..100 {
        assert_eq!(allocations_of(&mut round), 1);
    }
    assert_eq!(out, br#"[{"type":"text","text":"hello \"world\"\n"}]"#);
}
