//! Addresses: parsing, ranges, set algebra, minimal covers and the look-up tables.
//!
//! The ground floor. Pure functions and plain data: no I/O, no clock, no logging, and nothing of
//! the rest of the crate.
//!
//! Architecture invariant: an address is made canonical here, at the parser, and nowhere else. An
//! IPv4-mapped IPv6 address is IPv4 from then on, host bits are cleared, and nothing asks again.

mod buckets;
mod cover;
mod fault;
mod format;
mod ip_set;
mod parse;
mod range;
mod set;
mod sort;
mod table;
mod word;

pub use buckets::{Buckets, Pieces, Room};
pub use cover::Prefixes;
pub use fault::Fault;
pub use format::{write_address, write_ip_range, write_prefix, write_range, write_span};
pub use ip_set::IpSet;
pub use parse::{
    leading_v4, leading_v4_range, parse_address, parse_between, parse_range, parse_v4, parse_v4_range,
};
pub use range::{IpRange, Range};
pub use set::RangeSet;
pub use table::{Class, Run, Table, Table4, Table6};
pub use word::Word;
