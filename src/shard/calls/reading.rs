//! Calls whose functions are over, and whose answers are read from sources: until the first piece of it is there, an
//! answer is its call's.

use super::{Calls, Run};
use crate::pool::{HandlerKey, HeapShare};
use crate::workers::{Job, JobHandle, Refused};

impl Calls {
    /// Has a worker read the first piece of a call's answer, for which `memory` is held. The function is over: what is
    /// still said in its name is heard by nobody.
    ///
    /// # Errors
    /// The workers' queue is full, or they stop.
    pub(in crate::shard) fn begin_reading(
        &mut self,
        handler: HandlerKey,
        job: Job,
        memory: HeapShare,
    ) -> Result<(), Refused> {
        let handle = self.workers.try_submit(job)?;
        let Some(call) = self.at(handler) else {
            return Ok(());
        };
        call.run = Run::Reading(handle, memory);
        if let Some(link) = call.link.take() {
            self.links.put(link);
        }
        Ok(())
    }

    /// The first piece of a call's answer was read, or could not be: the memory that is held for it. `None` if the call
    /// was given up.
    pub(in crate::shard) fn end_reading(&mut self, handler: HandlerKey) -> Option<HeapShare> {
        let call = self.at(handler)?;
        match std::mem::replace(&mut call.run, Run::Polled) {
            Run::Reading(_, memory) => Some(memory),
            other => {
                call.run = other;
                None
            }
        }
    }

    /// Hands the reading of a further piece to the workers: there is at most one for each connection.
    ///
    /// # Errors
    /// They stop.
    pub(in crate::shard) fn submit_step(&self, job: Job) -> Result<JobHandle, Refused> {
        self.workers.submit_step(job)
    }
}
