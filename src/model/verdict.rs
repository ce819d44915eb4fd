//! What exempts an address.

/// One ground for never publishing an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exemption {
    /// A person's allowlist.
    Allowlist,
    /// The built-in guard list.
    Guard,
    /// A device asks from there: a firewall must not block itself.
    Device,
}

impl Exemption {
    /// The name that answers carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowlist => "allowlist",
            Self::Guard => "guard",
            Self::Device => "device",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Allowlist => 1,
            Self::Guard => 2,
            Self::Device => 4,
        }
    }
}

/// The set of grounds that hold for an address: an allow may lie inside a guarded block, and
/// taking one away must leave the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Exemptions(u8);

impl Exemptions {
    /// No ground.
    pub const NONE: Self = Self(0);

    /// These and `ground`.
    pub const fn with(self, ground: Exemption) -> Self {
        Self(self.0 | ground.bit())
    }

    /// These but `ground`.
    pub const fn without(self, ground: Exemption) -> Self {
        Self(self.0 & !ground.bit())
    }

    /// The ground to name: the guard list first, because nobody can lift it.
    pub const fn named(self) -> Option<Exemption> {
        match self {
            _ if self.has(Exemption::Guard) => Some(Exemption::Guard),
            _ if self.has(Exemption::Allowlist) => Some(Exemption::Allowlist),
            _ if self.has(Exemption::Device) => Some(Exemption::Device),
            _ => None,
        }
    }

    const fn has(self, ground: Exemption) -> bool {
        self.0 & ground.bit() != 0
    }

    /// As a byte for storage.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From a stored byte; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 7)
    }
}
