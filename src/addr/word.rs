//! The two address widths, so that ranges, sets and covers are written once.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as a number in host order: `u32` for IPv4, `u128` for IPv6.
pub trait Word: Copy + Ord + Hash + Debug + Default + Send + Sync + 'static {
    /// Bits of an address: 32 or 128.
    const BITS: u8;
    /// The lowest address, `0.0.0.0` or `::`.
    const MIN: Self;
    /// The highest address.
    const MAX: Self;

    /// The next address, or `None` after the highest.
    fn next(self) -> Option<Self>;
    /// The address before, or `None` before the lowest.
    fn prev(self) -> Option<Self>;
    /// The last address of the prefix of `len` bits that begins at `self`; `len` above
    /// [`Word::BITS`] counts as [`Word::BITS`].
    fn last_of(self, len: u8) -> Self;
    /// `self` with all bits after the first `len` cleared.
    fn first_of(self, len: u8) -> Self;
    /// How many leading bits two addresses share: 0 to [`Word::BITS`].
    fn common_bits(self, other: Self) -> u8;
    /// How many low bits are zero: 0 to [`Word::BITS`]. A prefix may begin at `self` if its
    /// length is at least [`Word::BITS`] minus this.
    fn zero_bits(self) -> u8;
    /// The eight bits that begin `shift` bits above the lowest, for sorting by digits.
    fn digit(self, shift: u8) -> usize;
    /// How many addresses lie from `self` to `last`, both included, at most `u128::MAX`.
    fn span_to(self, last: Self) -> u128;
    /// The address in the standard library's form.
    fn ip(self) -> IpAddr;
    /// The number, widened.
    fn widen(self) -> u128;
    /// The number from its widened form, whose higher bits are dropped.
    fn narrow(wide: u128) -> Self;
}

macro_rules! word {
    ($int:ty, $ip:ty) => {
        // `as u8` below narrows bit counts of at most 128; `as u128` widens; `narrow` says what it drops.
        #[allow(clippy::cast_lossless, reason = "one body for both widths")]
        impl Word for $int {
            const BITS: u8 = <$int>::BITS as u8;
            const MIN: Self = <$int>::MIN;
            const MAX: Self = <$int>::MAX;

            #[inline]
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            #[inline]
            fn prev(self) -> Option<Self> {
                self.checked_sub(1)
            }
            #[inline]
            fn last_of(self, len: u8) -> Self {
                self | <$int>::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }
            #[inline]
            fn first_of(self, len: u8) -> Self {
                self & !<$int>::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }
            #[inline]
            fn common_bits(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            #[inline]
            fn zero_bits(self) -> u8 {
                self.trailing_zeros() as u8
            }
            #[inline]
            fn digit(self, shift: u8) -> usize {
                usize::from((self >> shift) as u8)
            }
            #[inline]
            fn span_to(self, last: Self) -> u128 {
                ((last - self) as u128).saturating_add(1)
            }
            #[inline]
            fn ip(self) -> IpAddr {
                <$ip>::from_bits(self).into()
            }
            #[inline]
            fn widen(self) -> u128 {
                self as u128
            }
            #[inline]
            fn narrow(wide: u128) -> Self {
                wide as Self
            }
        }
    };
}

word!(u32, Ipv4Addr);
word!(u128, Ipv6Addr);
