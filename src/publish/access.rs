//! Who may read which feed: pure, and asked on every pull. A key is compared by its digest, so that neither the time
//! nor the length says anything about it.

use crate::addr::IpSet;
use crate::disk::{Digest, digest};
use crate::model::{Device, OutputName};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// What a reader shows for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim<'a> {
    /// Nothing.
    Nothing,
    /// A token, as in the path `/f/{token}/{feed}`.
    Token(&'a str),
    /// The name and the password of HTTP's Basic scheme, with a colon between (RFC 7617).
    Basic(&'a [u8]),
    /// The SHA-256 of the certificate that its connection showed.
    Certificate(&'a [u8; 32]),
}

/// The digest under which a claim is known; none of no claim.
pub fn digest_of(claim: Claim<'_>) -> Option<Digest> {
    match claim {
        Claim::Nothing => None,
        Claim::Token(token) => Some(digest(&[b"token\0", token.as_bytes()])),
        Claim::Basic(pair) => Some(digest(&[b"basic\0", pair])),
        Claim::Certificate(print) => Some(digest(&[b"certificate\0", print])),
    }
}

/// Who reads.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reader {
    /// A device, known by its key or by where it asks from.
    Device(OutputName),
    /// Somebody at an address from which everybody may read.
    Address(IpAddr),
    /// Whoever may open the socket in the data folder, or has the administrator's key.
    Administrator,
}

impl Reader {
    /// The reader that shows itself so; none for what is no reader's name.
    pub(super) fn named(text: &str) -> Option<Self> {
        match text.strip_prefix("address ") {
            Some(address) => address.parse().ok().map(Self::Address),
            None => text.parse().ok().map(Self::Device),
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) => write!(f, "{name}"),
            Self::Address(address) => write!(f, "address {address}"),
            Self::Administrator => f.write_str("administrator"),
        }
    }
}

/// Why a reader gets nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// It shows a key that is wrong.
    WrongKey,
    /// It shows no key, and asks from where one is needed.
    NoKey,
}

/// The keys and networks of all devices.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// From where everybody may read.
    open: IpSet,
    networks: Vec<(IpSet, OutputName)>,
    keys: BTreeMap<Digest, OutputName>,
    /// The feeds of each device; none: all.
    feeds: BTreeMap<OutputName, Vec<OutputName>>,
}

impl Access {
    /// The access of these devices, with the digests of their keys.
    pub fn new<'a>(
        open: IpSet,
        devices: impl Iterator<Item = &'a Device>,
        keys: impl Iterator<Item = (Digest, OutputName)>,
    ) -> Self {
        let mut access = Self { open, ..Self::default() };
        let mut certificates = Vec::new();
        for device in devices {
            let of_it =
                device.certificates.iter().filter_map(|own| digest_of(Claim::Certificate(own.digest())));
            certificates.extend(of_it.map(|digest| (digest, device.name.clone())));
            let networks: IpSet = device.networks.iter().copied().collect();
            if !networks.is_empty() {
                access.networks.push((networks, device.name.clone()));
            }
            access.feeds.insert(device.name.clone(), device.feeds.clone());
        }
        // The key of a device that is no more opens nothing.
        let keys = keys.filter(|(_, device)| access.feeds.contains_key(device));
        access.keys = keys.chain(certificates).collect();
        access
    }

    /// Whether that is a key of a device.
    pub fn knows(&self, claim: Claim<'_>) -> bool {
        digest_of(claim).is_some_and(|digest| self.keys.contains_key(&digest))
    }

    /// Who asks from `from` with `claim`. A wrong key is refused, wherever it comes from. A certificate that nobody
    /// knows is no key: some readers show theirs to everybody.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit(&self, claim: Claim<'_>, from: IpAddr) -> Result<Reader, Denied> {
        let known = digest_of(claim).and_then(|digest| self.keys.get(&digest));
        let device = match (known, claim) {
            (Some(device), _) => Some(device),
            (None, Claim::Nothing | Claim::Certificate(_)) => {
                self.networks.iter().find(|(networks, _)| networks.contains(from)).map(|(_, device)| device)
            }
            (None, Claim::Token(_) | Claim::Basic(_)) => return Err(Denied::WrongKey),
        };
        match device {
            Some(device) => Ok(Reader::Device(device.clone())),
            None if self.open.contains(from) => Ok(Reader::Address(from)),
            None => Err(Denied::NoKey),
        }
    }

    /// Whether that feed is for this reader: a device may be set up for some only.
    pub fn reads(&self, reader: &Reader, feed: &OutputName) -> bool {
        let Reader::Device(device) = reader else { return true };
        self.feeds.get(device).is_some_and(|feeds| feeds.is_empty() || feeds.contains(feed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fingerprint;

    fn name(text: &str) -> OutputName {
        text.parse().unwrap()
    }

    fn device(text: &str, feeds: &[&str], networks: &[&str]) -> Device {
        Device {
            feeds: feeds.iter().map(|feed| name(feed)).collect(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            ..Device::new(name(text))
        }
    }

    fn access() -> Access {
        let open =
            ["127.0.0.0/8"].iter().map(|range| range.parse::<crate::addr::IpRange>().unwrap()).collect();
        let certified = Device { certificates: vec![Fingerprint::new([7; 32])], ..device("core", &[], &[]) };
        let devices = [device("edge", &["a"], &["10.0.0.0/24"]), certified];
        let key = |claim, device| (digest_of(claim).unwrap(), name(device));
        let keys = [
            key(Claim::Token("secret"), "core"),
            key(Claim::Basic(b"edge:word"), "edge"),
            key(Claim::Token("old"), "gone"),
        ];
        Access::new(open, devices.iter(), keys.into_iter())
    }

    fn admit(claim: Claim<'_>, from: &str) -> Result<String, Denied> {
        access().admit(claim, from.parse().unwrap()).map(|reader| reader.to_string())
    }

    #[test]
    fn a_device_is_known_by_its_key_or_by_where_it_asks_from() {
        assert_eq!(admit(Claim::Token("secret"), "9.9.9.9").unwrap(), "core");
        assert_eq!(admit(Claim::Basic(b"edge:word"), "9.9.9.9").unwrap(), "edge");
        assert_eq!(admit(Claim::Nothing, "10.0.0.7").unwrap(), "edge");
        assert_eq!(admit(Claim::Nothing, "127.0.0.1").unwrap(), "address 127.0.0.1");
    }

    #[test]
    fn nobody_else_reads_and_a_wrong_key_is_refused_from_everywhere() {
        assert_eq!(admit(Claim::Nothing, "9.9.9.9"), Err(Denied::NoKey));
        for from in ["127.0.0.1", "10.0.0.7", "9.9.9.9"] {
            for claim in [
                Claim::Token("Secret"),
                Claim::Token("old"),
                Claim::Basic(b"edge:wor"),
                Claim::Token("edge:word"),
            ] {
                assert_eq!(admit(claim, from), Err(Denied::WrongKey));
            }
        }
    }

    #[test]
    fn a_certificate_of_a_device_is_a_key_and_another_one_is_nothing() {
        assert_eq!(admit(Claim::Certificate(&[7; 32]), "9.9.9.9").unwrap(), "core");
        assert_eq!(
            admit(Claim::Certificate(&[7; 32]), "10.0.0.7").unwrap(),
            "core",
            "it says more than a network"
        );
        assert_eq!(admit(Claim::Certificate(&[8; 32]), "9.9.9.9"), Err(Denied::NoKey));
        assert_eq!(admit(Claim::Certificate(&[8; 32]), "10.0.0.7").unwrap(), "edge");
    }

    #[test]
    fn a_device_reads_its_own_feeds_only() {
        let reads = |reader: Reader| ["a", "b"].map(|feed| access().reads(&reader, &name(feed)));
        assert_eq!(reads(Reader::Device(name("edge"))), [true, false]);
        assert_eq!(reads(Reader::Device(name("core"))), [true, true], "it names none");
        assert_eq!(reads(Reader::Device(name("gone"))), [false, false]);
        assert_eq!(reads(Reader::Address("127.0.0.1".parse().unwrap())), [true, true]);
    }
}
