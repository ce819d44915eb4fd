//! Addresses: parsing, ranges, set algebra, minimal covers and the look-up tables.
//!
//! The ground floor. Pure functions and plain data: no I/O, no clock, no logging, and nothing of
//! the rest of the crate.
//!
//! Architecture invariant: an address is made canonical here, at the parser, and nowhere else. An
//! IPv4-mapped IPv6 address is IPv4 from then on, host bits are cleared, and nothing asks again.

mod range;
pub mod table;
mod word;

pub use range::{IpRange, Range};
pub use word::Word;
