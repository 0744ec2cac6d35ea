//! A warm child: calls go there and back, with their progress, and nothing is allocated for them.

use std::io::Write;
use std::time::{Duration, Instant};

use weir::internals::children::{
    Child, ChildEvent, ChildLimits, ChildProfile, LegacyTerms, Message, ModernTerms, write_legacy_answer,
    write_modern_answer,
};
use weir::internals::config::PoolSettings;
use weir::internals::jsonrpc::Id;
use weir::internals::mcp::{Era, Revision};

use crate::counting::allocations_of;

const CALLS: u32 = 64;
const REQUEST: &[u8] = br#"{"jsonrpc":"2.0","id":"theirs","method":"tools/call","params":{"_meta":{"progressToken":"t"},"name":"echo","arguments":{"message":"hello","n":[1.10,{"a":null}]}}}"#;

struct Rig {
    child: Child<u32>,
    now: Instant,
    said: Vec<u8>,
    ids: Vec<u64>,
    out: Vec<u8>,
    answered: u32,
}

impl Rig {
    fn ready() -> Rig {
        let now = Instant::now();
        let half_a_minute = Duration::from_secs(30);
        let limits = ChildLimits::of(&PoolSettings::default(), half_a_minute, half_a_minute);
        let mut rig = Rig {
            child: Child::new(limits, Some(&ChildProfile::shared()), false, now),
            now,
            said: Vec::new(),
            ids: Vec::new(),
            out: Vec::with_capacity(256 << 10),
            answered: 0,
        };
        rig.write();
        let result = r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}"#;
        writeln!(rig.said, "{{\"id\":1,\"result\":{result}}}").unwrap();
        rig.hear();
        rig.write();
        rig
    }

    /// Everything that the child is to read goes out in one write.
    fn write(&mut self) {
        if let Some(write) = self.child.next_write() {
            let bytes = write.range.len();
            self.child
                .on_written(write.buffer, Ok(bytes), self.now, |_| panic!("it failed"));
        }
    }

    fn hear(&mut self) {
        let (out, answered) = (&mut self.out, &mut self.answered);
        self.child.on_output(&self.said, self.now, |event| match event {
            ChildEvent::Answered { answer, .. } => {
                answer.write(out, Id::Text("theirs"));
                let modern = ModernTerms {
                    id: Id::Text("theirs"),
                    meta: br#"{"io.modelcontextprotocol/serverInfo":{"name":"n"}}"#,
                    uri: Some("a:b"),
                };
                write_modern_answer(out, answer.line, &answer.message, &modern);
                let oldest = LegacyTerms {
                    id: Id::Text("theirs"),
                    revision: Revision::V2024_11_05,
                    reads: false,
                    era: Era::Legacy,
                };
                write_legacy_answer(out, answer.line, &answer.message, &oldest);
                *answered += 1;
            }
            ChildEvent::Progress { progress, .. } => progress.write_progress(out, Id::Text("t")),
            ChildEvent::Ready { .. } => {}
            other => panic!("{other:?}"),
        });
        self.said.clear();
    }

    fn round(&mut self) {
        self.out.clear();
        self.ids.clear();
        for caller in 0..CALLS {
            let message = Message::read(REQUEST).unwrap();
            let key = self.child.submit(REQUEST, &message, caller, self.now).unwrap();
            self.ids.push(key.wire_id());
        }
        self.write();
        for id in self.ids.iter().rev() {
            let params = "\"params\":{\"progress\":1,\"progressToken\":";
            writeln!(
                self.said,
                "{{\"method\":\"notifications/progress\",{params}{id}}}}}"
            )
            .unwrap();
            writeln!(
                self.said,
                "{{\"id\":{id},\"result\":{{\"content\":[],\"n\":[1.10,1e400]}}}}"
            )
            .unwrap();
        }
        self.hear();
    }
}

#[test]
fn a_warm_call_of_a_child_allocates_nothing() {
    let mut rig = Rig::ready();
    // Ids get longer with their number, and buffers with them.
    (0..20).for_each(|_| rig.round());
    rig.answered = 0;
    assert_eq!(allocations_of(|| (0..50).for_each(|_| rig.round())), 0);
    assert_eq!(rig.answered, 50 * CALLS);
    let text = String::from_utf8_lossy(&rig.out);
    assert_eq!(text.matches("\"progressToken\":\"t\"").count(), CALLS as usize);
    // Each answer is written as it is, for a modern client and for one of the oldest revision.
    assert_eq!(text.matches("\"n\":[1.10,1e400]").count(), 3 * CALLS as usize);
}
