//! JSON-RPC 2.0 messages on a parsed tape.
