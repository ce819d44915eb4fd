//! Lists as sources send them, made here; and what the program must make of them, worked out the
//! slow and obvious way: address by address.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A list file and all that it says.
pub(crate) struct List {
    /// The file.
    pub(crate) text: String,
    /// Every IPv4 address in it, one by one.
    pub(crate) v4: BTreeSet<Ipv4Addr>,
    /// Every IPv6 prefix and address in it; none touches another.
    pub(crate) v6: BTreeSet<String>,
    /// Lines that are no addresses.
    pub(crate) bad: usize,
}

/// Lines that are not to be believed, each for another reason.
const BAD: [&str; 6] = ["999.1.2.3", "0.0.0.0/0", "01.02.03.04", "198.18", "20.2.2.9-20.2.2.1", "no address"];

impl List {
    /// Some six thousand lines: addresses in clusters, prefixes, ranges, IPv6, comments, bad lines.
    pub(crate) fn real_looking() -> Self {
        let mut dice = fastrand::Rng::with_seed(20_261_122);
        let mut list = Self {
            text: "# Attackers of the week\r\n#\r\n; generated\n\n".to_owned(),
            v4: BTreeSet::new(),
            v6: BTreeSet::new(),
            bad: BAD.len(),
        };
        for cluster in 0..50 {
            let net = 0x2D00_0000 + (cluster << 16) + (dice.u32(..128) << 9);
            (0..100).for_each(|_| list.range(net + dice.u32(..256), 0, "{first}"));
        }
        for number in 0..300 {
            let size = 1 << dice.u32(2..9);
            let first = 0x5B00_0000 + (number << 12) + dice.u32(..4) * size;
            list.range(first, size - 1, &format!("{{first}}/{}", 32 - size.ilog2()));
        }
        for number in 0..200 {
            let first = 0xB900_0000 + (number << 12) + dice.u32(..900);
            list.range(first, dice.u32(1..700), ["{first}-{last}", "{first} - {last}"][number as usize % 2]);
        }
        for number in 0..100 {
            let (net, host) = (number * 2 + 2, dice.u16(1..));
            list.prefix(format!("2a0b:{net:x}::/48"));
            list.prefix(Ipv6Addr::new(0x2a0c, net, 0, 0, 0, 0, 0, host).to_string());
        }
        list.text += &BAD.join("\n");
        list
    }

    fn range(&mut self, first: u32, more: u32, form: &str) {
        let [first, last] = [first, first + more].map(Ipv4Addr::from);
        let line = form.replace("{first}", &first.to_string()).replace("{last}", &last.to_string());
        let end = ["", " # seen twice", "\r", "  "][first.octets()[3] as usize % 4];
        writeln!(self.text, "{line}{end}").unwrap();
        self.v4.extend((u32::from(first)..=u32::from(last)).map(Ipv4Addr::from));
    }

    fn prefix(&mut self, prefix: String) {
        writeln!(self.text, "{prefix}").unwrap();
        self.v6.insert(prefix);
    }
}

/// What a feed says, taken apart again.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Feed {
    /// Every IPv4 address in it.
    pub(crate) v4: BTreeSet<Ipv4Addr>,
    /// Its IPv6 lines as they are.
    pub(crate) v6: BTreeSet<String>,
}

impl Feed {
    /// Reads the lines; every one must be an address or a prefix, and none may say it again.
    pub(crate) fn of(text: &str) -> Self {
        let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
        for line in text.lines() {
            if line.contains(':') {
                assert!(v6.insert(line.to_owned()), "{line} is there twice");
                continue;
            }
            let (address, length) = line.split_once('/').unwrap_or((line, "32"));
            let first = u32::from(address.parse::<Ipv4Addr>().unwrap());
            for more in 0..1 << (32 - length.parse::<u32>().unwrap()) {
                assert!(v4.insert(Ipv4Addr::from(first + more)), "{line} overlaps");
            }
        }
        Self { v4, v6 }
    }
}
