//! The real program in processes of its own: what it must do from start to stop, and what it must
//! survive. One binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod access;
mod accounts;
mod bad_input;
mod bouncer;
mod collection;
mod command_line;
mod crashes;
mod dnsbl;
mod end_to_end;
#[path = "../fakes/mod.rs"]
mod fakes;
#[path = "../fakes/feed.rs"]
mod feed;
mod floods;
mod frames;
mod full_disk;
mod heads;
mod hostile;
mod house;
mod http;
mod identity;
mod keys;
mod lists;
mod observed;
mod papers;
mod place;
mod proxies;
mod publishing;
mod push;
mod readme;
mod rewritten;
mod rights;
mod several;
mod signals;
mod smuggling;
mod start;
mod taxii;
mod tls;
#[cfg(feature = "otlp")]
mod traces;
mod watchdog;
mod webhooks;
