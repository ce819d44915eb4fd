//! A list of addresses as a DNS zone (RFC 5782): an address turned round, under the zone's name, has an A record if it is
//! listed, and a TXT record that says why. Pure: bytes in, bytes out. It knows no sockets.
//!
//! Without a list every question about the zone fails: "no such name" would open the door that the list shuts.

mod list;
mod wire;

pub use list::List;

use crate::addr::IpSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::{Bad, Code, IN, Question, Reply, Section, encode, kind, labels, pointer, read};

/// The A record of everything that is listed.
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The zone, and who may ask about it.
#[derive(Clone, Debug)]
pub struct Zone {
    /// In lower case, with its root label.
    name: Vec<u8>,
    /// The name server that the zone names.
    server: Vec<u8>,
    /// How long an answer may be kept, also one that there is nothing, in seconds.
    ttl: u32,
    networks: IpSet,
}

/// Over what a question came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Datagrams, which bound an answer's length.
    Udp,
    /// A connection, which does not.
    Tcp,
}

/// How a question was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With what is listed.
    Listed,
    /// That there is nothing, or with what the zone says of itself.
    Clear,
    /// Not: whoever asks, or what for, is not ours.
    Refused,
    /// Not: there is no list.
    Failed,
    /// Not: it is no question.
    Malformed,
}

/// What a name in the zone stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Zone,
    Address(IpAddr),
    /// An IPv4 address that also is the beginning of IPv6 ones.
    Either(IpAddr),
    /// The beginning of addresses: there may be names below it, so that "no such name" would deny them too (RFC 8020).
    Between,
    Nothing,
}

impl Zone {
    /// The zone of that name for askers in `networks`; none if a name is not one of letters, digits, `-` and `_`, or
    /// too long.
    pub fn new(name: &str, server: &str, ttl: u32, networks: IpSet) -> Option<Self> {
        Some(Self { name: encode(name)?, server: encode(server)?, ttl, networks })
    }

    /// Writes the answer to `packet` into `out`, which is empty where there is to be none. `why` tells of an address
    /// that is listed.
    pub fn answer(
        &self,
        packet: &[u8],
        from: (IpAddr, Channel),
        list: Option<&List>,
        why: impl FnOnce(IpAddr) -> String,
        out: &mut Vec<u8>,
    ) -> Outcome {
        out.clear();
        let question = match read(packet) {
            Ok(question) => question,
            Err(Bad::Silent) => return Outcome::Malformed,
            Err(Bad::Told(id, flags, code)) => {
                Reply::bare(id, flags, code, out);
                return Outcome::Malformed;
            }
        };
        let (asker, channel) = from;
        let room = if channel == Channel::Tcp { usize::from(u16::MAX) } else { question.room.into() };
        if question.edns.is_some_and(|version| version > 0) {
            Reply::new(&question, Code::BadVers, out).end(&question, Code::BadVers, room);
            return Outcome::Malformed;
        }
        let (outcome, code) =
            match self.place(&question).filter(|_| self.networks.contains(asker.to_canonical())) {
                None => (Outcome::Refused, Code::Refused),
                Some(at) => match list {
                    None => (Outcome::Failed, Code::ServFail),
                    Some(list) => return self.tell(&question, at, list, why, room, out),
                },
            };
        Reply::new(&question, code, out).end(&question, code, room);
        outcome
    }

    /// Where in the question's name that of the zone begins; none where the question is not ours to answer.
    fn place(&self, question: &Question<'_>) -> Option<usize> {
        if question.class != IN || matches!(question.kind, kind::AXFR | kind::IXFR) {
            return None;
        }
        let at = question.name.len().checked_sub(self.name.len())?;
        // Lengths are below 64, and so no letters.
        let is_end = question.name[at..].eq_ignore_ascii_case(&self.name);
        let mut end = 0;
        while is_end && end < at {
            end += 1 + usize::from(question.name[end]);
        }
        (is_end && end == at).then_some(at)
    }

    fn tell(
        &self,
        question: &Question<'_>,
        at: usize,
        list: &List,
        why: impl FnOnce(IpAddr) -> String,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let asked = asked(&question.name[..at]);
        let wants = |kind: u16| question.kind == kind || question.kind == kind::ANY;
        let listed = match asked {
            Asked::Address(address) | Asked::Either(address) if list.holds(address) => Some(address),
            _ => None,
        };
        let is_no_name = listed.is_none() && matches!(asked, Asked::Address(_) | Asked::Nothing);
        let code = if is_no_name { Code::NxDomain } else { Code::NoError };
        let mut reply = Reply::new(question, code, out);
        let mut is_told = true;
        match (asked, listed) {
            (_, Some(_)) if wants(kind::A) => {
                reply.put(Section::Answer, 0, kind::A, self.ttl, |out| out.extend(LISTED.octets()));
            }
            (_, Some(address)) if wants(kind::TXT) => {
                reply.put(Section::Answer, 0, kind::TXT, self.ttl, |out| strings(out, &why(address)));
            }
            (Asked::Zone, _) if wants(kind::SOA) => {
                self.soa(&mut reply, Section::Answer, at, list);
            }
            (Asked::Zone, _) if wants(kind::NS) => {
                reply.put(Section::Answer, at, kind::NS, self.ttl, |out| out.extend(&self.server));
            }
            _ => is_told = false,
        }
        if !is_told {
            self.soa(&mut reply, Section::Authority, at, list);
        }
        reply.end(question, code, room);
        if listed.is_some() { Outcome::Listed } else { Outcome::Clear }
    }

    /// The zone's own record, which also says how long nothing stays nothing (RFC 2308).
    fn soa(&self, reply: &mut Reply<'_>, section: Section, at: usize, list: &List) {
        reply.put(section, at, kind::SOA, self.ttl, |out| {
            out.extend(&self.server);
            out.extend(b"\x0ahostmaster");
            out.extend(pointer(at));
            for number in [list.serial(), 300, 60, 604_800, self.ttl] {
                out.extend(number.to_be_bytes());
            }
        });
    }
}

/// Text in strings of 255 bytes, a thousand in all.
fn strings(out: &mut Vec<u8>, text: &str) {
    for piece in text.as_bytes()[..text.len().min(1000)].chunks(255) {
        out.push(piece.len() as u8);
        out.extend_from_slice(piece);
    }
}

/// What the labels before the zone's name say.
fn asked(before: &[u8]) -> Asked {
    let mut turned = [0_u8; 32];
    let (mut count, mut octets, mut nibbles) = (0, true, true);
    for label in labels(before) {
        let Some(place) = turned.get_mut(count) else { return Asked::Nothing };
        let (octet, nibble) = (octet(label), nibble(label));
        octets &= octet.is_some() && count < 4;
        nibbles &= nibble.is_some();
        *place = if octets { octet.unwrap_or(0) } else { nibble.unwrap_or(0) };
        count += 1;
        if !octets && !nibbles {
            return Asked::Nothing;
        }
    }
    match count {
        0 => Asked::Zone,
        4 if octets => {
            let [d, c, b, a, ..] = turned;
            let address = Ipv4Addr::new(a, b, c, d).into();
            if nibbles { Asked::Either(address) } else { Asked::Address(address) }
        }
        32 => {
            let bits = turned.iter().rev().fold(0_u128, |bits, nibble| bits << 4 | u128::from(*nibble));
            Asked::Address(Ipv6Addr::from_bits(bits).to_canonical())
        }
        _ => Asked::Between,
    }
}

/// A number to 255 without a zero before it.
fn octet(label: &[u8]) -> Option<u8> {
    let is_plain = label.len() == 1 || label.first() != Some(&b'0');
    if !is_plain || label.len() > 3 {
        return None;
    }
    label.iter().try_fold(0_u8, |octet, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        octet.checked_mul(10)?.checked_add(digit)
    })
}

fn nibble(label: &[u8]) -> Option<u8> {
    match label {
        [digit] => char::from(*digit).to_digit(16).map(|nibble| nibble as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
