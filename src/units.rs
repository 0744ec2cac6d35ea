//! Durations and sizes with units.
