//! One core's world.
