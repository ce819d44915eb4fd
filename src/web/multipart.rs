//! The one file of a form (`multipart/form-data`, RFC 7578): what a browser sends, or `curl -F`.
//!
//! Pure: it looks at a body that is in memory already, within its limit, and copies nothing of the file. It must
//! not know what files are for.

use super::problem::Problem;
use bytes::Bytes;
use memchr::memmem;

/// A file that somebody sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its name on the sender's machine, where that is told.
    pub name: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

/// Whether a content type is that of a form with files.
pub(super) fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// The one file of a form of that content type.
///
/// # Errors
/// 400 `multipart` for a body that is no such form, 422 `one_file` for one with anything but one file.
pub(super) fn one_file(content_type: &str, body: &Bytes) -> Result<File, Problem> {
    let broken = || Problem::bad_request("multipart", "The body is not the form that its content type says.");
    let boundary = parameter(content_type, "boundary").filter(|text| !text.is_empty()).ok_or_else(broken)?;
    let parts = parts(&boundary, body).ok_or_else(broken)?;
    let other = || Problem::unprocessable("one_file", "Send a form with one file, and nothing else in it.");
    let [part] = &parts[..] else { return Err(other()) };
    let head_end = memmem::find(part, b"\r\n\r\n").ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&part[..head_end]);
    let disposition = head.split("\r\n").find_map(disposition).ok_or_else(broken)?;
    let name = parameter(disposition, "filename").ok_or_else(other)?;
    Ok(File { name: Some(name).filter(|name| !name.is_empty()), bytes: part.slice(head_end + 4..) })
}

/// The parts of a body between its boundaries (RFC 2046, 5.1.1), heads and all; none: it has no end.
fn parts(boundary: &str, body: &Bytes) -> Option<Vec<Bytes>> {
    let delimiter = format!("\r\n--{boundary}");
    let mut parts = Vec::new();
    // The first boundary may be the first line of all, before which there is no line break.
    let first = delimiter.trim_start();
    let mut at = match body.starts_with(first.as_bytes()) {
        true => first.len(),
        false => memmem::find(body, delimiter.as_bytes())? + delimiter.len(),
    };
    while !body[at..].starts_with(b"--") {
        let begin = at + memmem::find(&body[at..], b"\r\n")? + 2;
        // An empty head and an empty part share their line break with the boundary behind them.
        let end = begin - 2 + memmem::find(&body[begin - 2..], delimiter.as_bytes())?;
        parts.push(body.slice(begin.min(end)..end));
        at = end + delimiter.len();
    }
    Some(parts)
}

/// The value of a header line that says what a part is.
fn disposition(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
}

/// A parameter of a header's value, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    loop {
        rest = rest.split_once(';')?.1.trim_start();
        let (found, value) = rest.split_once('=')?;
        let (text, behind) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = behind;
    }
}

/// A quoted text up to its closing quote, and what stands behind it. Browsers write a quote inside as `%22`, and
/// others with a backslash; a backslash before anything else is one, as in names of Windows.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let (mut text, mut escaped) = (String::new(), false);
    for (at, letter) in quoted.char_indices() {
        match letter {
            '"' if !escaped => return Some((text.replace("%22", "\""), &quoted[at + 1..])),
            '"' => {
                text.pop();
                text.push('"');
            }
            other => text.push(other),
        }
        escaped = letter == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: &str = "multipart/form-data; boundary=--x";

    fn file(name: &str, text: &str) -> String {
        let head = format!("content-disposition: form-data; name=\"file\"; filename=\"{name}\"");
        format!("----x\r\n{head}\r\nContent-Type: text/csv\r\n\r\n{text}\r\n")
    }

    fn code(form: &str, body: &str) -> &'static str {
        one_file(form, &Bytes::from(body.to_owned())).unwrap_err().code()
    }

    #[test]
    fn the_file_of_a_form_is_found_with_its_name() {
        for body in [
            format!("{}----x--\r\n", file("a.csv", "20.0.0.1")),
            format!("a preamble\r\n{}----x--and an epilogue", file("a.csv", "20.0.0.1")),
        ] {
            let found = one_file(FORM, &Bytes::from(body)).unwrap();
            assert_eq!((found.name.as_deref(), &found.bytes[..]), (Some("a.csv"), &b"20.0.0.1"[..]));
        }
        let body = Bytes::from(format!("{}----x--", file("", "")));
        let quoted = "Multipart/Form-Data; charset=utf-8; boundary=\"--x\"";
        assert_eq!(one_file(quoted, &body).unwrap(), File { name: None, bytes: Bytes::new() });
    }

    #[test]
    fn names_come_as_browsers_and_others_quote_them() {
        for (written, name) in [
            ("요주의 IP.xlsx", "요주의 IP.xlsx"),
            ("a%22b.csv", "a\"b.csv"),
            ("a\\\"b; c.csv", "a\"b; c.csv"),
            ("C:\\lists\\a.csv", "C:\\lists\\a.csv"),
        ] {
            let body = Bytes::from(format!("{}----x--\r\n", file(written, "x")));
            assert_eq!(one_file(FORM, &body).unwrap().name.as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_no_form_with_one_file_is_refused() {
        let one = file("a.csv", "x");
        let field = "----x\r\nContent-Disposition: form-data; name=\"source\"\r\n\r\nmine\r\n";
        for (body, expected) in [
            (format!("{one}{one}----x--"), "one_file"),
            (format!("{field}----x--"), "one_file"),
            (format!("{field}{one}----x--"), "one_file"),
            ("----x--".to_owned(), "one_file"),
            (one.clone(), "multipart"),
            ("20.0.0.1\n".to_owned(), "multipart"),
            ("----x\r\nno head\r\n----x--".to_owned(), "multipart"),
            (String::new(), "multipart"),
        ] {
            assert_eq!(code(FORM, &body), expected, "{body}");
        }
        assert_eq!(code("multipart/form-data", &format!("{one}----x--")), "multipart");
        assert!(is_form(FORM) && !is_form("text/csv"));
    }

    proptest! {
        /// What a sender puts in comes out, whatever it is, unless it holds the boundary.
        #[test]
        fn any_bytes_come_out_as_they_went_in(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut body = file("a", "").into_bytes();
            body.truncate(body.len() - 2);
            body.extend(&bytes);
            body.extend(b"\r\n----x--\r\n");
            prop_assert_eq!(&one_file(FORM, &Bytes::from(body)).unwrap().bytes[..], &bytes[..]);
        }

        #[test]
        fn no_body_is_more_than_refused(text in "(-|x|\r|\n|:|;|=|\"|a|----x){0,40}") {
            let _ = one_file(FORM, &Bytes::from(text));
        }
    }
}
