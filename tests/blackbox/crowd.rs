//! Many clients at once: a batch of instant calls is not overload, however few handlers and buffers there are.

use rustix::process::Signal;

use crate::harness::{Client, Server, case, echo};

const CLIENTS: u64 = 300;
const ROUNDS: u64 = 3;

#[test]
fn calls_that_take_no_time_are_never_refused_however_many_come_at_once() {
    for flags in [&[][..], &["--ring-buffers", "8"], &["--linger", "50ms"]] {
        let _case = case(format!("{flags:?}"));
        let few = ["--shards", "1", "--pool-size", "1", "--queue-depth", "0"];
        let server = Server::start(&[&few, flags].concat());
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
        for round in 0..ROUNDS {
            // The test goes on when all of them are there.
            server.signal(Signal::STOP);
            for (id, client) in clients.iter_mut().enumerate() {
                client.send(&echo(id as u64, "together"));
            }
            server.signal(Signal::CONT);
            for (id, client) in clients.iter_mut().enumerate() {
                let _case = case(format!("round {round}, client {id}"));
                client.receive().assert_echo(id as u64, "together");
            }
        }
        assert_eq!(server.metric("weir_queued_total", &[]), 0, "{flags:?}");
        assert_eq!(server.metric("weir_pool_high_water", &[]), 1, "{flags:?}");
    }
}
