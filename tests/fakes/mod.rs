//! Portals and servers that behave as the real ones do, and misbehave when told to: real HTTP
//! servers in the test's own process, on ports of their own.
//!
//! For any integration test: `#[path = "../fakes/mod.rs"] mod fakes;`.

#![allow(dead_code, reason = "each test binary uses a part of them")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

pub(crate) mod books;
pub(crate) mod cable;
pub(crate) mod collector;
pub(crate) mod data;
pub(crate) mod fortigate;
pub(crate) mod receiver;
pub(crate) mod regtech;
pub(crate) mod regtech_pages;
pub(crate) mod secudium;
pub(crate) mod server;
