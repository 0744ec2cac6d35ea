//! The shard's own io_uring for sockets, behind one narrow trait.
