//! The children of this shard, driven: what their pipes bring, what the supervisor orders, and what time does.

use std::io;
use std::time::Instant;

use crate::children::{
    Adoption, Assignment, Child, ChildOrder, ClientKey, LocalChildren, LocalEvent, LocalRefusal, Message,
    PipeKeys,
};
use crate::registry::ServerIndex;
use crate::ring::{ConnectionKey, Received};

use crate::shard::children::{Caller, ChildWord, ForwardedCall, Kept};
use crate::shard::connections::Pipe;
use crate::shard::inbox::ShardEvent;
use crate::shard::{Shard, ShardRing};

/// What children tell as they are driven.
type Tell<'a> = &'a mut dyn FnMut(LocalEvent<'_, Caller>);

impl<R: ShardRing> Shard<R> {
    /// Does something with the children of a server, and acts on what they tell.
    pub(super) fn drive(
        &mut self,
        server: ServerIndex,
        step: impl FnOnce(&mut LocalChildren<Caller, R::Socket>, Instant, Tell<'_>),
    ) {
        let Some(mut children) = self.children.take_out(server) else {
            return;
        };
        let now = self.clock.now();
        step(&mut children, now, &mut |event| {
            self.handle_child_event(server, event)
        });
        self.children.put_back(server, children);
        self.children.touch(server);
        while let Some((server, kept)) = self.children.next_kept() {
            self.do_kept(server, kept);
        }
    }

    /// Does what was asked of children while they were out.
    fn do_kept(&mut self, server: ServerIndex, kept: Kept) {
        match kept {
            Kept::Submit {
                text, caller, due, ..
            } if self.children.is_own(caller) => {
                if let Ok(message) = Message::read_checked(&text) {
                    self.give(caller.call, server, &text, &message, due);
                }
            }
            Kept::Submit {
                text,
                caller,
                due,
                client,
            } => self.take_in_call(ForwardedCall {
                server,
                caller,
                client,
                text,
                due,
            }),
            Kept::Cancel { caller } => self.children.cancel(server, caller, self.clock.now()),
            Kept::Resume(resumption) => self.handle_resumption(resumption),
            Kept::Refuse { name, refusal } => {
                self.children.refuse_question(name, refusal, self.clock.now());
            }
        }
    }

    // Pipes.

    /// A receive on a child's pipe is over, if the key is one's.
    pub(in crate::shard) fn handle_pipe_received(&mut self, key: ConnectionKey, outcome: Received) {
        if let Some(Pipe { server, member }) = self.table.pipe(key) {
            self.drive(server, |children, now, mut tell| {
                children.on_received((member, key), outcome, now, &mut tell);
            });
        }
    }

    /// A write to a child's stdin is over, if the key is one's.
    pub(in crate::shard) fn handle_pipe_sent(
        &mut self,
        key: ConnectionKey,
        buffer: Vec<u8>,
        result: io::Result<usize>,
    ) {
        if let Some(Pipe { server, member }) = self.table.pipe(key) {
            self.drive(server, |children, now, mut tell| {
                children.on_sent(member, (buffer, result), now, &mut tell);
            });
        }
    }

    /// A pipe of a child is closed; whether the key is one's.
    pub(in crate::shard) fn handle_pipe_closed(&mut self, key: ConnectionKey) -> bool {
        let Some(Pipe { server, member }) = self.table.remove_pipe(key) else {
            return false;
        };
        self.children.on_pipe_closed();
        self.drive(server, |children, _, _| children.on_closed(member, key));
        true
    }

    /// Begins what is to be read, written and closed, where something has changed.
    pub(in crate::shard) fn flush_children(&mut self) {
        while let Some(server) = self.children.next_touched() {
            self.flush_children_of(server);
        }
    }

    fn flush_children_of(&mut self, server: ServerIndex) {
        let Some(mut children) = self.children.take_out(server) else {
            return;
        };
        let now = self.clock.now();
        children.advance(now, &mut |event| self.handle_child_event(server, event));
        children.flush(&mut self.ring);
        self.children.put_back(server, children);
        self.children.charge(server, self.writer.heap(), now);
        while let Some((server, kept)) = self.children.next_kept() {
            self.do_kept(server, kept);
        }
        self.move_waiting(server);
        if let Some(shard) = self.children.publish(server) {
            self.admission.post(shard.into(), ShardEvent::ChildRoom(server));
        }
    }

    /// Sends calls that wait here to shards whose children have room.
    pub(in crate::shard) fn move_waiting(&mut self, server: ServerIndex) {
        while let Some((shard, call)) = self.children.take_mover(server) {
            self.send_call(shard, server, call);
        }
    }

    // The supervisor.

    /// Does what the supervisor orders.
    pub(in crate::shard) fn handle_child_order(&mut self, order: ChildOrder<R::Socket>) {
        match order {
            ChildOrder::Adopt(adoption) => self.adopt(*adoption),
            ChildOrder::Exited { server, member } => {
                self.drive(server, |children, now, _| children.on_exited(member, now));
            }
            ChildOrder::Retire { server, member } => {
                self.drive(server, |children, _, _| children.retire(member));
            }
            ChildOrder::Assign(Assignment {
                server,
                member,
                client,
                greeting,
            }) => {
                self.drive(server, |children, now, _| {
                    children.assign(member, client, greeting.as_ref(), now);
                });
            }
            ChildOrder::Placed {
                server,
                client,
                shard,
            } => self.on_placed(server, client, shard),
            ChildOrder::Lost {
                server,
                client,
                is_over,
            } => self.on_lost(server, client, is_over),
            ChildOrder::Subscribe {
                server,
                member,
                uri,
                is_wanted,
            } => {
                self.drive(server, |children, now, _| {
                    children.subscribe(member, &uri, is_wanted, now);
                });
            }
            ChildOrder::Reread { server, member } => {
                self.drive(server, |children, now, _| children.reread_lists(member, now));
            }
            ChildOrder::Refuse { server, refusal } => {
                self.drive(server, |children, _, _| children.refuse(refusal));
            }
        }
    }

    /// The child of a client is on this shard or another: calls go there that waited here for that.
    fn on_placed(&mut self, server: ServerIndex, client: ClientKey, shard: u16) {
        self.children.on_placed(server, client, shard);
        if shard != self.metrics.shard.0 {
            while let Some(call) = self.children.take_waiting_of(server, client) {
                self.send_call(shard, server, call);
            }
        }
    }

    /// A client has lost its child. If it gets no other, calls fail that wait here for one.
    fn on_lost(&mut self, server: ServerIndex, client: ClientKey, is_over: bool) {
        self.children.on_lost(server, client);
        if !is_over {
            return;
        }
        while let Some((_, caller, _)) = self.children.take_waiting_of(server, client) {
            if self.children.is_own(caller) {
                self.refuse_forwarded(caller.call, server, LocalRefusal::SessionOver);
            } else {
                self.say_to(caller, ChildWord::Failed(LocalRefusal::SessionOver.into()));
            }
        }
    }

    fn adopt(&mut self, adoption: Adoption<R::Socket>) {
        let Adoption {
            server,
            member,
            sockets,
            limits,
            profile,
            owner,
            wants_lists,
            warmup,
        } = adoption;
        let pipe = Pipe { server, member };
        let keys = PipeKeys {
            input: self.table.insert_pipe(pipe),
            output: self.table.insert_pipe(pipe),
            errors: self.table.insert_pipe(pipe),
        };
        self.children.on_pipes_opened(3);
        let child = Child::new(limits, profile.as_ref(), wants_lists, self.clock.now());
        let mut child = child.with_warmup(warmup);
        child.heed_terms(|caller: &Caller| caller.terms.call);
        if self.children.is_attributed(server) {
            child.heed_wishes(|caller: &Caller| caller.terms.log);
        }
        let is_aborted = self.drain.is_aborted();
        self.drive(server, |children, now, _| {
            children.adopt(member, child, sockets, keys);
            if let Some(owner) = owner {
                children.assign(member, owner, None, now);
            }
            if is_aborted {
                children.abort(now);
            }
        });
    }

    // Time.

    /// What time brings to children: calls that waited or took too long, children that fail, and steps of their ends.
    pub(in crate::shard) fn tick_children(&mut self) {
        for server in self.children.servers() {
            self.drive(server, |children, now, mut tell| children.on_time(now, &mut tell));
            self.children.tell_load(server);
            self.children.tell_clients(server, self.clock.now());
        }
        self.forget_child_questions();
        self.expire_rounds(self.clock.now());
        self.tick_parked();
    }

    /// Lets children end once no shard has clients any more.
    pub(in crate::shard) fn drain_children(&mut self) {
        let has_left =
            self.acceptor.is_over() && self.calls.is_empty() && self.table.open() == self.children.pipes();
        if has_left && self.children.leave() {
            self.children.begin_drain();
        }
    }
}
