//! Ironlist collects IP threat intelligence, keeps one deduplicated blacklist in which every entry
//! can be explained, and publishes it to firewalls and programs.

pub mod addr;
pub mod analyze;
pub mod cli;
pub mod codec;
pub mod collect;
pub mod disk;
pub mod engine;
pub mod fetch;
pub mod gateway;
pub mod handshake;
pub mod identity;
pub mod journal;
pub mod model;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod publish;
pub mod rights;
pub mod service;
pub mod store;
pub mod vault;
pub mod web;

/// Tests take memory where the program does: some compare times, and the system's allocator was seen to make one of two
/// equal ways 6 % longer.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The lists' server of the tests, which those of the whole program use too.
#[cfg(test)]
#[path = "../tests/fakes/feed.rs"]
mod fake_feed;

/// Portals and firewalls of the tests, likewise.
#[cfg(test)]
#[path = "../tests/fakes/mod.rs"]
mod fakes;
