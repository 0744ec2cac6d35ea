//! Tools: what is registered, with compiled schemas.
