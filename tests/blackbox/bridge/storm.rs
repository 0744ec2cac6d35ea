//! All children of a pool killed at once while calls run. `scripts/deaths.py` does it to five hundred.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::front::Front;
use super::sinner::act;
use crate::harness::eventually;

const CHILDREN: usize = 12;
const CLIENTS: usize = 16;
const CALLS_EACH: usize = 40;
/// For calls that children had; they would take a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// State and parent of every process.
fn processes() -> HashMap<u32, (char, u32)> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let told = pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        Some((pid, (state, fields.next()?.parse().ok()?)))
    });
    told.collect()
}

/// Processes below another one that have ended and are still there.
fn zombies_below(root: u32) -> usize {
    let all = processes();
    let is_below = |pid: u32| {
        let mut at = pid;
        while let Some((_, parent)) = all.get(&at) {
            if *parent == root {
                return true;
            }
            at = *parent;
        }
        false
    };
    all.iter()
        .filter(|(pid, (state, _))| *state == 'Z' && is_below(**pid))
        .count()
}

#[test]
fn every_call_is_answered_once_when_all_children_are_killed() {
    let pool = format!("max={CHILDREN},min_idle={CHILDREN},max_in_flight=8");
    let mut front = Front::with(&["mcp"], &pool, &["--shards", "2"]);
    eventually("all children run", || front.processes().len() == CHILDREN);
    let open = front.weir().descriptors();
    let mut waiting: Vec<_> = (0..CLIENTS).map(|_| front.modern()).collect();
    let held = act([json!(["sleep", 60_000])]);
    let ids: Vec<_> = waiting
        .iter_mut()
        .map(|client| client.call("act", held.clone()))
        .collect();
    thread::scope(|scope| {
        let calling: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = front.modern();
                scope.spawn(move || {
                    let mut refused = 0;
                    for call in 0..CALLS_EACH {
                        let words = format!("{number}-{call}");
                        let id = client.call("echo", json!({"message": words}));
                        let answer = client.answer(&id);
                        match answer.get("error") {
                            Some(_) => refused += 1,
                            None => assert_eq!(answer["result"]["content"][0]["text"], words),
                        }
                    }
                    refused
                })
            })
            .collect();
        for pid in front.processes() {
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            // It may have been seen twice.
            let _ = kill_process(pid, Signal::KILL);
        }
        let killed = Instant::now();
        for (client, id) in waiting.iter_mut().zip(&ids) {
            let answer = client.answer(id);
            assert!(answer.get("error").is_some(), "{answer}");
        }
        assert!(killed.elapsed() < TOLD_WITHIN);
        // Some calls meet the deaths; none is without an answer, though the next child is tried after a minute only.
        let _refused: usize = calling.into_iter().map(|calls| calls.join().unwrap()).sum();
        assert!(killed.elapsed() < TOLD_WITHIN);
    });
    let weir = front.weir().pid();
    eventually("nobody is left unreaped", || zombies_below(weir) == 0);
    // The connections of those who waited are open.
    eventually("their pipes are closed", || {
        let gone = CHILDREN - front.processes().len();
        front.weir().descriptors() + gone * 3 <= open + CLIENTS
    });
    for client in &mut waiting {
        client.assert_quiet();
    }
    front.weir().assert_well();
}
