//! Numbers and texts as bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes are not what a [`Writer`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packed data is damaged: {0}")]
pub struct Damaged(pub &'static str);

/// Appends packed values to a buffer.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// The bytes so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// An unsigned number, 1 to 19 bytes.
    pub fn number(&mut self, number: impl Into<u128>) {
        let mut rest: u128 = number.into();
        // Nearly every number is below 2^64, where shifting costs a third.
        if let Ok(mut small) = u64::try_from(rest) {
            while small >= 0x80 {
                self.0.push(small as u8 | 0x80);
                small >>= 7;
            }
            return self.0.push(small as u8);
        }
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// A signed number; small ones of either sign are short.
    pub fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    /// A count of things that follow.
    pub fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// Bytes as they are, without their length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes after their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// A small value as JSON, after its length.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        self.bytes(&serde_json::to_vec(value)?);
        Ok(())
    }
}

/// Takes packed values off the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged("it ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    /// An unsigned number of up to 128 bits.
    pub fn wide(&mut self) -> Result<u128, Damaged> {
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if shift == 126 && part > 3 {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damaged("a number is too long"))
    }

    /// An unsigned number of up to 64 bits.
    pub fn number(&mut self) -> Result<u64, Damaged> {
        // The common case is one byte.
        if let Some((&first @ 0..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(u64::from(first));
        }
        self.wide()?.try_into().map_err(|_| Damaged("a number is too large"))
    }

    /// A number that must fit `T`.
    pub fn fitting<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.number()?).map_err(|_| Damaged("a number is too large"))
    }

    /// A signed number.
    pub fn signed(&mut self) -> Result<i64, Damaged> {
        let folded = self.number()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// A count of things that follow, each at least one byte: never more than bytes are left, so
    /// that damage cannot ask for memory.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.fitting::<usize>()?;
        if count <= self.0.len() { Ok(count) } else { Err(Damaged("a count is larger than the data")) }
    }

    /// The next `len` bytes.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.raw(N)?.try_into().map_err(|_| Damaged("it ends early"))
    }

    /// Bytes after their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.count()?;
        self.raw(len)
    }

    /// A text after its length.
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged("a text is not UTF-8"))
    }

    /// A small value from JSON after its length.
    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, Damaged> {
        serde_json::from_slice(self.bytes()?).map_err(|_| Damaged("it holds bad JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(wide: u128, signed: i64, text: String) {
            let mut writer = Writer::default();
            writer.number(wide);
            writer.signed(signed);
            writer.bytes(text.as_bytes());
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.wide(), Ok(wide));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_end_in_a_value_or_in_damage(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.wide().is_ok() {}
            let mut reader = Reader::new(&bytes);
            while reader.bytes().is_ok_and(|b| !b.is_empty()) {}
        }
    }
}
