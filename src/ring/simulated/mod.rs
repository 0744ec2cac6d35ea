//! A data ring without a kernel: seeded, with peers a test plays and faults it orders.
