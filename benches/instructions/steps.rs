//! Steps of a request's way, one at a time: decode, route, validate, encode.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group};
use weir::internals::jsonrpc::Value;
use weir::internals::mcp::Ticket;
use weir::internals::registry::{Outcome, ShardRegistry, Started};
use weir::internals::transport::http::Head;
use weir::{CallContext, Registry, ToolIndex};

use crate::ROUNDS;
use crate::order;
use crate::pieces::{Server, legacy, modern, new_session};

fn server(request: Vec<u8>) -> (Server, Vec<u8>) {
    let mut server = Server::new();
    server.serve(&request);
    (server, request)
}

fn session() -> (Server, Vec<u8>) {
    let mut server = Server::new();
    let request = legacy(&new_session(&mut server));
    server.serve(&request);
    (server, request)
}

// Decodes head, admission, JSON, envelope, era, method.
#[library_benchmark]
#[bench::modern(server(modern("hello")))]
#[bench::modern_10_kb(server(modern(&"m".repeat(10_000))))]
#[bench::legacy(server(legacy("")))]
#[bench::session(session())]
fn decode((mut server, request): (Server, Vec<u8>)) -> Server {
    for _ in 0..ROUNDS {
        let mut head = Head::default();
        let taken = server.take(black_box(&request), &mut head);
        assert!(server.decode(&taken, |decoded| decoded.is_work()));
    }
    server
}

const TOOLS: usize = 100;

fn registry() -> (Registry, Vec<String>) {
    let names: Vec<String> = (0..TOOLS).map(|at| format!("tool_number_{at}")).collect();
    let mut tools = Registry::builder();
    for name in &names {
        tools.add(order::tool(name)).unwrap();
    }
    (tools.build(), names)
}

// From a name to a tool, once for each of a hundred tools.
#[library_benchmark]
#[bench::a_hundred_tools(registry())]
fn route((registry, names): (Registry, Vec<String>)) -> Registry {
    for name in &names {
        assert!(registry.find(black_box(name)).is_some());
    }
    registry
}

pub(crate) struct Arguments {
    tools: ShardRegistry,
    tool: ToolIndex,
    text: Vec<u8>,
}

impl Arguments {
    fn of(tool: &str, text: &str) -> Self {
        let mut tools = Registry::builder();
        tools.add(weir::demo::Demo).unwrap();
        tools.add(order::tool("order")).unwrap();
        let registry = tools.build();
        let mut arguments = Self {
            tools: ShardRegistry::new(registry.clone()),
            tool: registry.find(tool).unwrap(),
            text: text.as_bytes().to_vec(),
        };
        arguments.start(1);
        arguments
    }

    fn order(items: usize) -> Self {
        Self::of("order", &order::arguments(items))
    }

    fn start(&mut self, rounds: usize) {
        let mut text = self.text.clone();
        let tape = simd_json::to_tape(&mut text).unwrap();
        for _ in 0..rounds {
            let arguments = Some(black_box(Value::of_tape(&tape)));
            let started = self.tools.start_tool(self.tool, arguments, CallContext::new());
            assert!(matches!(started, Ok(Started::Future(_))));
        }
    }
}

// Checks parsed arguments against a tool's schema, and converts them into its Rust type.
#[library_benchmark]
#[bench::echo(Arguments::of("echo", r#"{"message":"hello, world"}"#))]
#[bench::an_order_of_ten(Arguments::order(10))]
fn validate(mut arguments: Arguments) -> Arguments {
    arguments.start(ROUNDS);
    arguments
}

fn outcome(request: Vec<u8>) -> (Server, Ticket, Outcome) {
    let (mut server, request) = server(request);
    let (ticket, outcome) = server.execute(&request);
    server.encode(&ticket, &outcome);
    (server, ticket, outcome)
}

// Encodes a tool's result: the answer's bytes, head and body.
#[library_benchmark]
#[bench::modern(outcome(modern("hello")))]
#[bench::modern_10_kb(outcome(modern(&"m".repeat(10_000))))]
#[bench::legacy(outcome(legacy("")))]
fn encode((mut server, ticket, outcome): (Server, Ticket, Outcome)) -> Server {
    for _ in 0..ROUNDS {
        black_box(server.encode(black_box(&ticket), black_box(&outcome)));
    }
    server
}

library_benchmark_group!(
    name = alone;
    benchmarks = decode, route, validate, encode
);
