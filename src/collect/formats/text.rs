//! Bytes to text: byte order marks, the encodings lists come in, and what is no text at all.

use super::ReadError;
use encoding_rs::{EUC_KR, Encoding};
use std::borrow::Cow;

/// How much of a file is looked at to tell text from binary data.
const SAMPLE: usize = 8192;

/// The text of a file that is not packed.
///
/// UTF-8, or what the byte order mark says, or EUC-KR, which Korean portals and Excel still write.
/// Failing all, bytes that are no UTF-8 are replaced: they cost their line at most.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ReadError> {
    let text = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => encoding.decode_without_bom_handling(&bytes[mark..]).0,
        None if is_binary(&bytes[..bytes.len().min(SAMPLE)]) => return Err(ReadError::Binary),
        None => without_mark(bytes),
    };
    match text.trim_start().as_bytes() {
        [] => Err(ReadError::Empty),
        [b'<', ..] => Err(ReadError::Html),
        _ => Ok(text),
    }
}

/// The text of some whole lines of a file that is known to be text.
pub(super) fn without_mark(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let korean = EUC_KR.decode_without_bom_handling_and_without_replacement(bytes);
    korean.unwrap_or_else(|| String::from_utf8_lossy(bytes))
}

/// Zero bytes, or more than a tenth of control characters.
fn is_binary(sample: &[u8]) -> bool {
    let control = |b: &&u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    sample.contains(&0) || sample.iter().filter(control).count() * 10 > sample.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn korean_text_is_read_in_each_encoding_it_comes_in() {
        let text = "1.2.3.4,스캔 탐지\n";
        let (korean, _, _) = EUC_KR.encode(text);
        assert_eq!(decode(&korean).unwrap(), text);
        assert_eq!(decode(format!("\u{feff}{text}").as_bytes()).unwrap(), text);
        let wide: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide).unwrap(), text);
    }

    #[test]
    fn what_is_no_text_has_a_name() {
        let code = |bytes: &[u8]| decode(bytes).map_err(|e| e.code()).map(Cow::into_owned);
        assert_eq!(code(b""), Err("empty_file"));
        assert_eq!(code(b" \r\n\t\n"), Err("empty_file"));
        assert_eq!(code(b"\n\n<!DOCTYPE html><p>1.2.3.4"), Err("html_page"));
        assert_eq!(code(b"\x7fELF\0\0\0"), Err("binary_file"));
        assert_eq!(code(b"1.2.3.4\n\xff\xff\n").as_deref(), Ok("1.2.3.4\n\u{fffd}\u{fffd}\n"));
    }
}
