//! Starting and stopping shards.
