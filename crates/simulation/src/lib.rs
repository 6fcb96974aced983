//! Whole nodes, vendors and endpoints in virtual time: tests only, in `tests/`.
//!
//! A simulated node is the real engine on the real SQLite store; only its clock
//! (`watchbell_domain::port::testing::ManualClock`), its chance and its connections are the test's. Hours of retries pass in
//! milliseconds, and a failing seed is a test that fails again.
