//! The look-up tables: which class of listings an address belongs to.
//!
//! A table maps every address of its family to a [`Class`], the number of an interned pair (source
//! set, exemption). The stretches never overlap, so one look-up answers "listed?", "by whom?" and
//! "exempted by what?" with full union semantics, not only by the longest match.
//!
//! A table is immutable and cheap to clone. [`Table4::next`] and [`Table6::next`] derive the next
//! generation and share with the old one whatever did not change; building from scratch is the
//! same operation on the empty table. This module knows nothing of sources, listings or time.

mod arena;
mod compact;
mod leaf;
mod overlay;
mod runs;
#[cfg(test)]
mod tests;
mod v4;
mod v6;
mod wide;

pub use v4::Table4;
pub use v6::Table6;

use super::Range;
use std::net::IpAddr;

/// The number of an interned pair (source set, exemption); what a look-up returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Class(u32);

impl Class {
    /// Nothing is known about the address. Every table begins with this everywhere.
    pub const CLEAR: Self = Self(0);

    /// The highest class: three bits of a word are the tables' own.
    pub const MAX: Self = Self((1 << 29) - 1);

    /// The class of that number; `None` above [`Class::MAX`].
    #[inline]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// Its number, made to index the array of what the classes stand for.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it is [`Class::CLEAR`].
    #[inline]
    pub const fn is_clear(self) -> bool {
        self.0 == 0
    }
}

/// A stretch of addresses of one class.
pub type Run<W> = (Range<W>, Class);

/// The tables of both families.
#[derive(Clone, Default, Debug)]
pub struct Table {
    /// IPv4.
    pub v4: Table4,
    /// IPv6.
    pub v6: Table6,
}

impl Table {
    /// The class of `address`, which must be canonical: an IPv4-mapped IPv6 address is not looked
    /// up as IPv4. Takes no lock and allocates nothing.
    #[inline]
    pub fn get(&self, address: IpAddr) -> Class {
        match address {
            IpAddr::V4(a) => self.v4.get(a.to_bits()),
            IpAddr::V6(a) => self.v6.get(a.to_bits()),
        }
    }

    /// Bytes held by both tables.
    pub fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}
