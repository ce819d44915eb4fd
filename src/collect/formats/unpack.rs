//! Taking a file out of gzip or zip, within bounds.
//!
//! One level only: nobody packs a list twice except to hurt. What the archive declares about its
//! sizes is not believed; what comes out is counted.

use super::{Format, ReadError};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Up to here a high ratio proves nothing: a list of neighbours packs extremely well.
const UNSUSPICIOUS: u64 = 16 << 20;
const CHUNK: u64 = 64 << 10;

/// How large an input may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the input, and of what it unpacks to.
    pub size: u64,
    /// How many times its size an input of more than 16 MiB may unpack to.
    pub ratio: u64,
    /// Files in a zip archive.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 512 << 20, ratio: 100, members: 64 }
    }
}

/// A file that is not packed.
pub(super) enum Content<'a> {
    /// Text, or at least nothing known.
    Text(Cow<'a, [u8]>),
    /// A workbook of the given format.
    Workbook(Format, Cow<'a, [u8]>),
}

/// What the first bytes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Gzip,
    Zip,
    Xls,
    Unsupported(&'static str),
    Other,
}

fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Kind::Xls,
        [b'7', b'z', 0xbc, 0xaf, ..] => Kind::Unsupported("a 7-Zip archive"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Kind::Unsupported("an xz archive"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Kind::Unsupported("a bzip2 archive"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Unsupported("a Zstandard archive"),
        [b'R', b'a', b'r', b'!', ..] => Kind::Unsupported("a RAR archive"),
        [b'%', b'P', b'D', b'F', ..] => Kind::Unsupported("a PDF document"),
        _ => Kind::Other,
    }
}

/// Unpacks `input` if it is packed, and tells workbooks from the rest.
pub(super) fn open<'a>(input: &'a [u8], limits: &Limits) -> Result<Content<'a>, ReadError> {
    if input.len() as u64 > limits.size {
        return Err(ReadError::TooLarge { limit: limits.size });
    }
    match kind(input) {
        Kind::Gzip => {
            let mut out = Unpacked::new(limits, input.len());
            out.add(&mut MultiGzDecoder::new(input))?;
            inner(out.bytes)
        }
        Kind::Zip => match archive(input)? {
            book if is_workbook(&book) => Ok(Content::Workbook(Format::Xlsx, input.into())),
            members => inner(concatenated(members, input.len(), limits)?),
        },
        _ => bare(input.into()),
    }
}

/// What was packed: a workbook or text, no archive again.
fn inner(bytes: Vec<u8>) -> Result<Content<'static>, ReadError> {
    match kind(&bytes) {
        Kind::Gzip | Kind::Unsupported(_) => Err(ReadError::Nested),
        Kind::Zip if is_workbook(&archive(&bytes)?) => Ok(Content::Workbook(Format::Xlsx, bytes.into())),
        Kind::Zip => Err(ReadError::Nested),
        _ => bare(bytes.into()),
    }
}

fn bare(bytes: Cow<'_, [u8]>) -> Result<Content<'_>, ReadError> {
    match kind(&bytes) {
        Kind::Xls => Ok(Content::Workbook(Format::Xls, bytes)),
        Kind::Unsupported(what) => Err(ReadError::Unsupported(what)),
        _ => Ok(Content::Text(bytes)),
    }
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn archive(bytes: &[u8]) -> Result<Archive<'_>, ReadError> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|error| ReadError::Archive(error.to_string()))
}

fn is_workbook(archive: &Archive<'_>) -> bool {
    archive.index_for_name("xl/workbook.xml").is_some()
}

/// All files of the archive, one after the other.
fn concatenated(mut archive: Archive<'_>, packed: usize, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    if archive.len() > limits.members {
        return Err(ReadError::TooManyMembers { limit: limits.members });
    }
    let mut out = Unpacked::new(limits, packed);
    let count = archive.len();
    for index in 0..count {
        let mut member = archive.by_index(index).map_err(|error| ReadError::Archive(error.to_string()))?;
        if !member.is_file() {
            continue;
        }
        let start = out.bytes.len();
        out.add(&mut member)?;
        // The first one may be a workbook, which the caller sees.
        if start > 0 && kind(&out.bytes[start..]) != Kind::Other {
            return Err(ReadError::Nested);
        }
        if !out.bytes.ends_with(b"\n") && index + 1 < count {
            out.bytes.push(b'\n');
        }
    }
    Ok(out.bytes)
}

/// What has come out so far, and how much may.
struct Unpacked {
    bytes: Vec<u8>,
    size: u64,
    ratio: u64,
    packed: u64,
}

impl Unpacked {
    fn new(limits: &Limits, packed: usize) -> Self {
        Self { bytes: Vec::new(), size: limits.size, ratio: limits.ratio, packed: packed as u64 }
    }

    fn add(&mut self, source: &mut impl Read) -> Result<(), ReadError> {
        loop {
            let read = source.by_ref().take(CHUNK).read_to_end(&mut self.bytes);
            if read.map_err(|error| ReadError::Archive(error.to_string()))? == 0 {
                return Ok(());
            }
            let size = self.bytes.len() as u64;
            if size > self.size {
                return Err(ReadError::TooLarge { limit: self.size });
            }
            if size > UNSUSPICIOUS && size / self.ratio > self.packed {
                return Err(ReadError::Ratio { ratio: self.ratio });
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    pub(in super::super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    pub(in super::super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut packer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            packer.start_file(*name, SimpleFileOptions::default()).unwrap();
            packer.write_all(bytes).unwrap();
        }
        packer.finish().unwrap().into_inner()
    }

    fn text(input: &[u8]) -> Result<String, &'static str> {
        match open(input, &Limits::default()) {
            Ok(Content::Text(bytes)) => Ok(String::from_utf8(bytes.into_owned()).unwrap()),
            Ok(Content::Workbook(..)) => Err("workbook"),
            Err(error) => Err(error.code()),
        }
    }

    #[test]
    fn packed_lists_come_out_as_they_were() {
        assert_eq!(text(b"1.2.3.4").as_deref(), Ok("1.2.3.4"));
        assert_eq!(text(&gzip(b"1.2.3.4\n")).as_deref(), Ok("1.2.3.4\n"));
        let two = [gzip(b"1.2.3.4\n"), gzip(b"5.6.7.8\n")].concat();
        assert_eq!(text(&two).as_deref(), Ok("1.2.3.4\n5.6.7.8\n"));
        assert_eq!(
            text(&zip(&[("a/b.txt", b"1.2.3.4"), ("c", b"5.6.7.8")])).as_deref(),
            Ok("1.2.3.4\n5.6.7.8")
        );
    }

    #[test]
    fn damaged_nested_and_foreign_archives_are_refused() {
        let packed = gzip(b"1.2.3.4\n1.2.3.5\n1.2.3.6\n");
        assert_eq!(text(&packed[..packed.len() - 9]), Err("broken_archive"));
        assert_eq!(text(&gzip(&packed)), Err("nested_archive"));
        assert_eq!(text(&zip(&[("a", b"1.2.3.4"), ("b.gz", &packed)])), Err("nested_archive"));
        assert_eq!(text(&gzip(&zip(&[("a", b"1.2.3.4")]))), Err("nested_archive"));
        assert_eq!(text(b"PK\x03\x04 and nothing"), Err("broken_archive"));
        assert_eq!(text(b"7z\xbc\xaf\x27\x1c"), Err("unsupported_archive"));
        assert_eq!(text(&gzip(b"\xd0\xcf\x11\xe0...")), Err("workbook"));
    }

    #[test]
    fn bombs_stop_at_the_limits() {
        let zeros = vec![b'0'; 20 << 20];
        assert_eq!(text(&gzip(&zeros)), Err("decompression_bomb"));
        assert_eq!(text(&zip(&[("a", &zeros)])), Err("decompression_bomb"));
        let small = Limits { size: 1000, ..Limits::default() };
        for input in
            [gzip(&zeros[..1001]), zip(&[("a", &zeros[..501]), ("b", &zeros[..501])]), zeros[..1001].to_vec()]
        {
            assert!(matches!(open(&input, &small), Err(ReadError::TooLarge { limit: 1000 })));
        }
        let many: Vec<_> = (0..65).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), &b"1.2.3.4"[..])).collect();
        assert_eq!(text(&zip(&many)), Err("too_many_members"));
    }
}
