//! As much of the DNS wire format (RFC 1035, EDNS of RFC 6891) as a list of addresses needs. Every byte that is read
//! is a stranger's. Nothing is allocated for a question, and nothing but the bytes of the answer for a reply.

/// Types of records (RFC 1035, 3.2.2 and later ones).
pub(super) mod kind {
    pub(in super::super) const A: u16 = 1;
    pub(in super::super) const NS: u16 = 2;
    pub(in super::super) const SOA: u16 = 6;
    pub(in super::super) const TXT: u16 = 16;
    pub(super) const OPT: u16 = 41;
    pub(in super::super) const IXFR: u16 = 251;
    pub(in super::super) const AXFR: u16 = 252;
    pub(in super::super) const ANY: u16 = 255;
}

/// The class of the Internet.
pub(super) const IN: u16 = 1;

/// How a question ended (RFC 1035, 4.1.1). What is above 15 takes EDNS to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Code {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

const HEADER: usize = 12;
/// Bytes of type and class.
const TAIL: usize = 4;
/// No name is longer, in bytes.
const LONGEST_NAME: usize = 255;
/// What fits a packet where nobody says more (RFC 1035), and the most that is sent: what no common path cuts (RFC 9715).
const ROOM: u16 = 512;
const MOST_ROOM: u16 = 1232;

/// A question, in the bytes of its packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Question<'p> {
    id: [u8; 2],
    /// The bits that an answer repeats: the operation, and whether recursion is wanted.
    flags: u8,
    /// The name as it was sent, with its root label; letters of any case.
    pub(super) name: &'p [u8],
    /// The name, and behind it type and class.
    whole: &'p [u8],
    pub(super) kind: u16,
    pub(super) class: u16,
    /// Bytes that an answer may have over UDP.
    pub(super) room: u16,
    /// The version of EDNS that the asker speaks, if it does.
    pub(super) edns: Option<u8>,
}

/// Why there is no question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bad {
    /// No reply: it is one itself, or too short for its own head.
    Silent,
    /// Told with the bits that can be repeated.
    Told([u8; 2], u8, Code),
}

/// Reads a packet.
pub(super) fn read(packet: &[u8]) -> Result<Question<'_>, Bad> {
    let Some((head, rest)) = packet.split_at_checked(HEADER) else { return Err(Bad::Silent) };
    let (id, flags) = ([head[0], head[1]], head[2] & 0b0111_1001);
    if head[2] & 0b1000_0000 != 0 {
        return Err(Bad::Silent);
    }
    let told = |code| Bad::Told(id, flags, code);
    if flags & 0b0111_1000 != 0 {
        return Err(told(Code::NotImp));
    }
    let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    if (count(4), count(6), count(8)) != (1, 0, 0) {
        return Err(told(Code::FormErr));
    }
    let bad = || told(Code::FormErr);
    let name = name(rest).ok_or_else(bad)?;
    let whole = rest.get(..name.len() + TAIL).ok_or_else(bad)?;
    let (room, edns) = options(&rest[whole.len()..], count(10)).ok_or_else(bad)?;
    let tail = &whole[name.len()..];
    let (kind, class) = (u16::from_be_bytes([tail[0], tail[1]]), u16::from_be_bytes([tail[2], tail[3]]));
    Ok(Question { id, flags, name, whole, kind, class, room, edns })
}

/// The name at the beginning of `bytes`, its root label included. A question has nothing to point back to, so that a
/// pointer is a fault.
fn name(bytes: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    loop {
        let length = usize::from(*bytes.get(end)?);
        end += 1 + length;
        if length > 63 || end > LONGEST_NAME {
            return None;
        }
        if length == 0 {
            return bytes.get(..end);
        }
    }
}

/// What the additional records say of EDNS; none if they are malformed.
fn options(mut bytes: &[u8], records: u16) -> Option<(u16, Option<u8>)> {
    let (mut room, mut version) = (ROOM, None);
    for _ in 0..records {
        let own = owner(bytes)?;
        let (fixed, rest) = bytes[own..].split_at_checked(10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if u16::from_be_bytes([fixed[0], fixed[1]]) == kind::OPT {
            if own != 1 || version.is_some() {
                return None;
            }
            room = u16::from_be_bytes([fixed[2], fixed[3]]).clamp(ROOM, MOST_ROOM);
            version = Some(fixed[5]);
        }
        bytes = rest.get(length..)?;
    }
    Some((room, version))
}

/// Bytes of the name that begins here and may end in a pointer.
fn owner(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let length = *bytes.get(end)?;
        match length {
            0 => return Some(end + 1),
            192.. => return (end + 2 <= bytes.len()).then_some(end + 2),
            64.. => return None,
            _ => end += 1 + usize::from(length),
        }
    }
}

/// The labels of a name or the beginning of one.
pub(super) fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let (label, behind) = behind.split_at_checked(usize::from(*length)).filter(|_| *length > 0)?;
        rest = behind;
        Some(label)
    })
}

/// A name as its bytes: labels of 1 to 63 letters, digits, `-` and `_`, at most 100 bytes together.
pub(super) fn encode(name: &str) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut bytes = Vec::new();
    for label in name.split('.') {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=63).contains(&label.len()) || !label.bytes().all(is_plain) {
            return None;
        }
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    bytes.push(0);
    (bytes.len() <= 100).then_some(bytes)
}

/// A reply in the making: first answers, then authority.
pub(super) struct Reply<'o> {
    out: &'o mut Vec<u8>,
}

/// Which of the counts a record belongs to.
#[derive(Clone, Copy)]
pub(super) enum Section {
    Answer = 6,
    Authority = 8,
}

impl<'o> Reply<'o> {
    /// The reply to `question`, as the authority for it.
    pub(super) fn new(question: &Question<'_>, code: Code, out: &'o mut Vec<u8>) -> Self {
        let reply = Self::bare(question.id, question.flags | 0b1000_0100, code, out);
        reply.out.extend_from_slice(question.whole);
        reply.out[5] = 1;
        reply
    }

    /// A reply that repeats no question.
    pub(super) fn bare(id: [u8; 2], flags: u8, code: Code, out: &'o mut Vec<u8>) -> Self {
        out.clear();
        out.extend_from_slice(&[id[0], id[1], flags | 0b1000_0000, code as u8 & 15]);
        out.extend_from_slice(&[0; 8]);
        Self { out }
    }

    /// Adds a record whose owner's name begins `at` so many bytes behind the beginning of the question's; `data` writes
    /// what it holds, and is told where the question's name begins.
    pub(super) fn put(
        &mut self,
        section: Section,
        at: usize,
        kind: u16,
        ttl: u32,
        data: impl FnOnce(&mut Vec<u8>),
    ) {
        self.out.extend_from_slice(&pointer(at));
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&IN.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let length = self.out.len();
        self.out.extend_from_slice(&[0; 2]);
        data(self.out);
        let written = (self.out.len() - length - 2) as u16;
        self.out[length..length + 2].copy_from_slice(&written.to_be_bytes());
        // No reply has more than a handful of records.
        self.out[section as usize + 1] += 1;
    }

    /// Ends the reply: cut to its question if it does not fit `room`, and with EDNS for who speaks it.
    pub(super) fn end(self, question: &Question<'_>, code: Code, room: usize) {
        let options = [0, 0, kind::OPT as u8, (MOST_ROOM >> 8) as u8, MOST_ROOM as u8, 0, 0, 0, 0, 0, 0];
        let extra = question.edns.map_or(0, |_| options.len());
        if self.out.len() + extra > room {
            self.out.truncate(HEADER + question.whole.len());
            self.out[2] |= 0b10;
            self.out[6..10].fill(0);
        }
        if question.edns.is_some() {
            self.out.extend_from_slice(&options);
            let at = self.out.len() - 6;
            self.out[at] = (code as u16 >> 4) as u8;
            self.out[11] = 1;
        }
    }
}

/// A name that begins `at` so many bytes behind the beginning of the question's.
pub(super) fn pointer(at: usize) -> [u8; 2] {
    ((0xc000 | (HEADER + at)) as u16).to_be_bytes()
}
