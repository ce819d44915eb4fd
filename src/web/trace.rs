//! Where a request belongs in a trace that others began, or that begins here (W3C Trace Context, level 1).
//!
//! It knows no backend: it takes a `traceparent` that is valid, and makes the one that goes further.

use super::request_id::write_hex;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Where a request belongs.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors add; it means nothing without the other.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request's place: its trace, and its own part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Of all that belongs together; not zero.
    pub trace: u128,
    /// Who asked, if anybody said; not zero.
    pub parent: Option<u64>,
    /// What happens here; not zero.
    pub span: u64,
    /// Whether whoever began it wants it kept.
    pub sampled: bool,
}

/// Which of the traces that begin here are kept; whoever began one elsewhere has said so already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    /// Of 2^56 traces, how many are not.
    left_out: u64,
}

impl Sampling {
    /// None of them.
    pub const NONE: Self = Self { left_out: RANDOM };

    /// This share of them, from 0 to 1.
    pub fn share(share: f64) -> Self {
        // A float holds 2^56 exactly, and the product is in the range of the type.
        Self { left_out: RANDOM - (share.clamp(0.0, 1.0) * RANDOM as f64) as u64 }
    }

    /// Judges by the last 56 bits, which are random in whoever's trace (W3C Trace Context, level 2): others that ask the
    /// same share keep the same traces.
    fn keeps(self, trace: u128) -> bool {
        (trace % u128::from(RANDOM)) as u64 >= self.left_out
    }
}

/// One more than the highest value of 56 bits.
const RANDOM: u64 = 1 << 56;

impl Trace {
    /// The place of a request with these headers: in the trace that they name, or else in one of its own. What is not
    /// valid is taken away.
    pub fn enter(headers: &mut HeaderMap, sampling: Sampling) -> Self {
        let trace = match Self::named(headers) {
            Some(trace) => trace,
            None => {
                headers.remove(&TRACESTATE);
                // It is to be another one each time, and no secret: the system need not be asked for it.
                let trace = fastrand::u128(1..);
                Self { trace, parent: None, span: span(), sampled: sampling.keeps(trace) }
            }
        };
        headers.insert(TRACEPARENT, trace.value());
        trace
    }

    /// The same, but only in a trace that others began.
    pub fn named(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(&TRACEPARENT).iter();
        let only = all.next().filter(|_| all.next().is_none())?;
        let (trace, parent, sampled) = parent(only.as_bytes())?;
        Some(Self { trace, parent: Some(parent), span: span(), sampled })
    }

    /// As whoever is asked next gets it.
    fn value(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex((self.trace >> 64) as u64, &mut text[3..19]);
        write_hex(self.trace as u64, &mut text[19..35]);
        write_hex(self.span, &mut text[36..52]);
        write_hex(self.sampled.into(), &mut text[53..]);
        // Hexadecimal digits and hyphens fit a header.
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The name of the trace, in hexadecimal.
    pub fn id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// A part of a trace; none is zero.
fn span() -> u64 {
    fastrand::u64(1..)
}

/// The trace, who asks, and whether it is kept, of a value that is valid. Of versions to come what is known of this one
/// counts, and more may follow.
fn parent(value: &[u8]) -> Option<(u128, u64, bool)> {
    let (known, more) = value.split_at_checked(55)?;
    let text = std::str::from_utf8(known).ok()?;
    let mut parts = text.split('-');
    let mut next = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let is_lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.bytes().all(is_lower).then(|| u128::from_str_radix(part, 16).ok())?
    };
    let (version, trace, parent, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    let ends = more.is_empty() || (version > 0 && more[0] == b'-');
    let parent = u64::try_from(parent).ok()?;
    (version < 255 && ends && trace > 0 && parent > 0).then_some((trace, parent, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn entered(value: &str) -> (Trace, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::try_from(value).unwrap());
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        (Trace::enter(&mut headers, Sampling::share(1.0)), headers)
    }

    #[test]
    fn a_valid_trace_goes_on_with_a_part_of_its_own() {
        let (trace, headers) = entered(VALID);
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((trace.parent, trace.sampled), (Some(0x00f0_67aa_0ba9_02b7), true));
        let next = headers[TRACEPARENT].to_str().unwrap();
        assert!(next.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && next.ends_with("-01"));
        assert_ne!(next, VALID);
        assert!(headers.contains_key(TRACESTATE));
        let (later, _) = entered(&format!("01{}-more", &VALID[2..]));
        assert_eq!(later.trace, trace.trace);
    }

    #[test]
    fn what_is_not_valid_begins_a_trace_of_its_own() {
        for wrong in [
            "",
            "00",
            &VALID.to_uppercase(),
            &VALID.replace("00f067aa0ba902b7", "0000000000000000"),
            &VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &format!("ff{}", &VALID[2..]),
            &format!("{VALID}-more"),
            &VALID.replace('-', "_"),
            &format!("+0{}", &VALID[2..]),
        ] {
            let (trace, headers) = entered(wrong);
            assert_eq!((trace.parent, trace.sampled), (None, true), "{wrong}");
            assert!(trace.trace > 0 && trace.span > 0 && !headers.contains_key(TRACESTATE));
            let text = format!("00-{}-{:016x}-01", trace.id(), trace.span);
            assert_eq!(headers[TRACEPARENT].to_str().unwrap(), text);
        }
    }

    #[test]
    fn of_the_traces_that_begin_here_a_share_is_kept_and_of_others_what_they_say() {
        let kept = |share: f64| {
            let sampling = Sampling::share(share);
            let begin = |_| Trace::enter(&mut HeaderMap::new(), sampling).sampled;
            (0..1000).map(begin).filter(|kept| *kept).count()
        };
        assert_eq!((kept(0.0), kept(1.0)), (0, 1000));
        assert!((150..350).contains(&kept(0.25)));
        let begin = Trace::enter(&mut HeaderMap::new(), Sampling::NONE);
        assert!(!begin.sampled);
        for (flags, said) in [("00", false), ("01", true)] {
            let mut headers = HeaderMap::new();
            let value = format!("{}{flags}", &VALID[..53]);
            headers.insert(TRACEPARENT, HeaderValue::try_from(value).unwrap());
            for share in [0.0, 1.0] {
                assert_eq!(Trace::enter(&mut headers.clone(), Sampling::share(share)).sampled, said);
            }
        }
    }
}
