//! A child of the shard under test: its process is played, and does not count.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir::Registry;
use weir::internals::children::{
    Adoption, ChildLimits, ChildMesh, ChildNews, ChildOrder, ChildProfile, ChildrenParts, LocalLimits,
    MemberKey, PipeSockets, ServerParts, Supervisor,
};
use weir::internals::config::PoolSettings;
use weir::internals::registry::{ForeignFeatures, ForeignItem, ForeignServer, ServerIndex, with_foreign};
use weir::internals::ring::simulated::{SimulatedNetwork, SimulatedPeer, SimulatedSocket};

const SERVER: ServerIndex = ServerIndex(0);

/// Nobody wants to know.
struct Indifferent;

impl Supervisor for Indifferent {
    fn tell(&self, _: ChildNews) {}
}

/// What a shard is given that talks to children.
pub(super) fn parts() -> ChildrenParts {
    ChildrenParts {
        servers: vec![ServerParts {
            name: "played".to_owned(),
            is_attributed: false,
            is_repeating: false,
            limits: LocalLimits {
                queue_depth_max: 4,
                queue_timeout: Duration::from_secs(60),
            },
            clients: None,
        }],
        mesh: ChildMesh::new(1, 1),
        supervisor: Arc::new(Indifferent),
    }
}

/// A registry with nothing but the child's `echo`.
pub(super) fn registry() -> Registry {
    let tool = json!({"name": "echo", "inputSchema": {"type": "object"}}).to_string();
    let server = ForeignServer {
        server: SERVER,
        name: "played".to_owned(),
        server_info: br#"{"name":"played","version":"1"}"#.as_slice().into(),
        instructions: None,
        is_modern: false,
        clients: None,
        features: ForeignFeatures {
            tools: true,
            ..ForeignFeatures::default()
        },
        tools: vec![ForeignItem {
            name: "echo".to_owned(),
            text: tool.into_bytes().into(),
        }],
        prompts: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
    };
    with_foreign(&Registry::builder().build(), vec![Arc::new(server)])
}

/// The process.
pub(super) struct PlayedChild {
    stdin: SimulatedPeer,
    stdout: SimulatedPeer,
    /// Kept open.
    _stderr: SimulatedPeer,
    unread: Vec<u8>,
}

impl PlayedChild {
    /// Starts it; what the shard is told.
    pub(super) fn start(network: &SimulatedNetwork) -> (PlayedChild, ChildOrder<SimulatedSocket>) {
        let (input, stdin) = network.pipe();
        let (output, stdout) = network.pipe();
        let (errors, stderr) = network.pipe();
        let long = Duration::from_secs(3600);
        let adoption = Adoption {
            server: SERVER,
            member: MemberKey(1),
            sockets: PipeSockets {
                input,
                output,
                errors,
            },
            limits: ChildLimits {
                ping_interval: long,
                ..ChildLimits::of(&PoolSettings::default(), long, long)
            },
            profile: Some(ChildProfile::shared()),
            owner: None,
            wants_lists: false,
            warmup: None,
        };
        let child = PlayedChild {
            stdin,
            stdout,
            _stderr: stderr,
            unread: Vec::new(),
        };
        (child, ChildOrder::Adopt(Box::new(adoption)))
    }

    /// Reads, and answers everything.
    pub(super) fn live(&mut self) {
        self.unread.extend(self.stdin.read());
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let message: Value = serde_json::from_slice(&line).unwrap();
            if message["id"].is_null() {
                continue;
            }
            let result = if message["method"] == "initialize" {
                json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "played", "version": "1"}})
            } else {
                let text = &message["params"]["arguments"]["message"];
                json!({"content": [{"type": "text", "text": text}]})
            };
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            self.stdout.write(format!("{answer}\n").as_bytes());
        }
    }
}
