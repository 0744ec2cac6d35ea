//! Deadlines: one wheel on one tick.
