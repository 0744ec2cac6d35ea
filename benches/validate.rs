//! From parsed arguments to a call that is ready to run, beside the naive way through a serde_json tree.
//!
//! `parse` is the part before `start`; their sum compares with `naive`, which parses for itself. `refuse` names
//! violations. `cargo test --benches` runs it once as a test.

mod order;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::{Bencher, black_box};
use schemars::JsonSchema;
use serde::Deserialize;
use weir::internals::jsonrpc::Value;
use weir::internals::registry::{ShardRegistry, Started};
use weir::{CallContext, Registry, Tool, ToolIndex};

use order::{Order, arguments};

fn main() {
    divan::main();
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    message: String,
}

const ECHO: &str = r#"{"message":"hello, world"}"#;
const ITEM_COUNTS: [usize; 3] = [1, 100, 10_000];

fn shard() -> (ShardRegistry, ToolIndex, ToolIndex) {
    let mut tools = Registry::builder();
    let echo = Tool::new("echo").run(|_: CallContext, args: Echo| async move { Ok(args.message) });
    tools
        .add(echo)
        .and_then(|tools| tools.add(order::tool("order")))
        .expect("sound tools");
    let registry = tools.build();
    let find = |name| registry.find(name).expect("registered");
    (ShardRegistry::new(registry.clone()), find("echo"), find("order"))
}

fn run(tools: &ShardRegistry, tool: ToolIndex, arguments: Value<'_, '_>) {
    let Ok(Started::Future(call)) = tools.start_tool(tool, Some(arguments), CallContext::new()) else {
        panic!("did not start");
    };
    let outcome = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(black_box(outcome), Poll::Ready(Ok(_))));
}

fn bench_start(bencher: Bencher<'_, '_>, text: &str, pick: fn((ToolIndex, ToolIndex)) -> ToolIndex) {
    let (tools, echo, order) = shard();
    let tool = pick((echo, order));
    let mut bytes = text.as_bytes().to_vec();
    let tape = simd_json::to_tape(&mut bytes).expect("JSON");
    bencher.bench_local(|| run(&tools, tool, Value::of_tape(&tape)));
}

fn bench_parse(bencher: Bencher<'_, '_>, text: &str) {
    let mut buffers = simd_json::Buffers::new(text.len());
    bencher
        .with_inputs(|| text.as_bytes().to_vec())
        .bench_local_refs(|bytes| {
            let tape = simd_json::to_tape_with_buffers(bytes, &mut buffers).expect("JSON");
            black_box(tape.0.len())
        });
}

fn bench_naive<T: JsonSchema + serde::de::DeserializeOwned>(bencher: Bencher<'_, '_>, text: &str) {
    let schema = schemars::schema_for!(T).to_value();
    let validator = jsonschema::options().offline().build(&schema).expect("a schema");
    bencher.bench_local(|| {
        let tree: serde_json::Value = serde_json::from_slice(black_box(text.as_bytes())).expect("JSON");
        assert!(validator.is_valid(&tree));
        black_box(serde_json::from_value::<T>(tree).is_ok())
    });
}

#[divan::bench]
fn echo_parse(bencher: Bencher<'_, '_>) {
    bench_parse(bencher, ECHO);
}

#[divan::bench]
fn echo_start(bencher: Bencher<'_, '_>) {
    bench_start(bencher, ECHO, |(echo, _)| echo);
}

#[divan::bench]
fn echo_naive(bencher: Bencher<'_, '_>) {
    bench_naive::<Echo>(bencher, ECHO);
}

#[divan::bench(args = ITEM_COUNTS)]
fn order_parse(bencher: Bencher<'_, '_>, items: usize) {
    bench_parse(bencher, &arguments(items));
}

#[divan::bench(args = ITEM_COUNTS)]
fn order_start(bencher: Bencher<'_, '_>, items: usize) {
    bench_start(bencher, &arguments(items), |(_, order)| order);
}

#[divan::bench(args = ITEM_COUNTS)]
fn order_naive(bencher: Bencher<'_, '_>, items: usize) {
    bench_naive::<Order>(bencher, &arguments(items));
}

/// As many members as fit 1 MiB, none of which the schema knows: names are compared and the call refused.
#[divan::bench(args = [16, 1_000, 100_000])]
fn members_refuse(bencher: Bencher<'_, '_>, members: usize) {
    let (tools, _, order) = shard();
    let members: Vec<String> = (0..members).map(|at| format!("\"{at:06}\":0")).collect();
    let mut bytes = format!("{{{}}}", members.join(",")).into_bytes();
    let tape = simd_json::to_tape(&mut bytes).expect("JSON");
    bencher.bench_local(|| {
        let started = tools.start_tool(order, Some(black_box(Value::of_tape(&tape))), CallContext::new());
        assert!(started.is_err());
    });
}
