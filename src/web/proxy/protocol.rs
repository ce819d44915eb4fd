//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): how a proxy that passes bytes on says for whom.
//!
//! Not a byte behind the header is taken from the stream: TLS or HTTP begins there. Own code, because a library reads a
//! buffer and leaves this part, which is most of it, to its caller.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How the second version begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest header of either version has more bytes.
const FIRST: usize = 12;
/// The longest line of the first version, with its end.
const LONGEST_LINE: usize = 107;
/// The most that may follow the addresses of the second one; proxies tell of themselves there.
const LONGEST: usize = 4096;

/// For whom a proxy opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// For itself, as when it looks whether somebody is there.
    Itself,
    /// For a client at that address.
    Somebody(SocketAddr),
    /// For a client, and it does not say which.
    Unknown,
}

/// Reads a header, and nothing behind it.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for anything but a header.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<For> {
    let mut first = [0; FIRST];
    stream.read_exact(&mut first).await?;
    if first == *SIGNATURE {
        return binary(stream).await;
    }
    if !first.starts_with(b"PROXY ") {
        return Err(wrong("no PROXY header came"));
    }
    let mut line = first.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_LINE {
            return Err(wrong("the PROXY line has no end"));
        }
        // A few bytes, once a connection.
        line.push(stream.read_u8().await?);
    }
    let line = str::from_utf8(&line).map_err(|_| wrong("the PROXY line is no text"))?;
    text(line.trim_end_matches("\r\n")).ok_or_else(|| wrong("the PROXY line is wrong"))
}

fn wrong(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn text(line: &str) -> Option<For> {
    if line == "PROXY UNKNOWN" || line.starts_with("PROXY UNKNOWN ") {
        return Some(For::Unknown);
    }
    let words: Vec<&str> = line.split(' ').collect();
    let ["PROXY", family, from, to, port, to_port] = words[..] else { return None };
    let [from, to]: [IpAddr; 2] = [from.parse().ok()?, to.parse().ok()?];
    let fits = match family {
        "TCP4" => from.is_ipv4() && to.is_ipv4(),
        "TCP6" => from.is_ipv6() && to.is_ipv6(),
        _ => false,
    };
    let [port, _] = [number(port)?, number(to_port)?];
    fits.then(|| For::Somebody((from, port).into()))
}

/// A port without sign or leading zeros.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|digit| digit.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

async fn binary<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<For> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST {
        return Err(wrong("the PROXY header is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let cut = || wrong("the PROXY header is cut off");
    match (command, family) {
        (0x20, _) => Ok(For::Itself),
        (0x21, 0x11) => v4(&rest).map(For::Somebody).ok_or_else(cut),
        (0x21, 0x21) => v6(&rest).map(For::Somebody).ok_or_else(cut),
        // Neither TCP over IPv4 nor over IPv6: nobody who has an address here.
        (0x21, _) => Ok(For::Unknown),
        _ => Err(wrong("the PROXY header is of another version")),
    }
}

/// Both addresses, then both ports.
fn v4(rest: &[u8]) -> Option<SocketAddr> {
    let from: [u8; 4] = *rest.first_chunk()?;
    let port: [u8; 2] = *rest.get(8..12)?.first_chunk()?;
    Some((Ipv4Addr::from(from), u16::from_be_bytes(port)).into())
}

fn v6(rest: &[u8]) -> Option<SocketAddr> {
    let from: [u8; 16] = *rest.first_chunk()?;
    let port: [u8; 2] = *rest.get(32..36)?.first_chunk()?;
    Some((Ipv6Addr::from(from), u16::from_be_bytes(port)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a header says, and what is left of the stream.
    async fn told(header: &[u8]) -> Result<(For, usize), io::ErrorKind> {
        let bytes = [header, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let mut stream = &bytes[..];
        let from = read(&mut stream).await.map_err(|error| error.kind())?;
        Ok((from, stream.len()))
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const BEHIND: usize = b"GET / HTTP/1.1\r\n\r\n".len();

    #[tokio::test]
    async fn both_versions_say_who_it_is_and_leave_the_rest() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0xDC, 0x04, 0x01, 0xBB];
        let mut six = [0; 36];
        (six[0], six[1], six[15], six[33]) = (0x20, 0x01, 7, 80);
        let with_more = [&four[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (header, from) in [
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n".to_vec(),
                For::Somebody("192.0.2.7:56324".parse().unwrap()),
            ),
            (b"PROXY TCP6 2001::7 ::1 80 443\r\n".to_vec(), For::Somebody("[2001::7]:80".parse().unwrap())),
            (b"PROXY UNKNOWN\r\n".to_vec(), For::Unknown),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), For::Unknown),
            (second(0x21, 0x11, &four), For::Somebody("192.0.2.7:56324".parse().unwrap())),
            (second(0x21, 0x11, &with_more), For::Somebody("192.0.2.7:56324".parse().unwrap())),
            (second(0x21, 0x21, &six), For::Somebody("[2001::7]:80".parse().unwrap())),
            (second(0x20, 0x00, &[]), For::Itself),
            (second(0x20, 0x11, &four), For::Itself),
            (second(0x21, 0x31, &[0; 216]), For::Unknown),
        ] {
            assert_eq!(told(&header).await, Ok((from, BEHIND)), "{header:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        for header in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 1\r\n",
            b"PROXY TCP4 192.0.2.7  10.0.0.1 56324 443\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.7 192.0.2.7 1 2\r\n",
            b"PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n\r\n",
            b"PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
            b"PROXY UNKNOWNX\r\n",
            b"proxy tcp4 192.0.2.7 10.0.0.1 1 2\r\n",
            &endless,
            &second(0x11, 0x11, &[0; 12]),
            &second(0x22, 0x11, &[0; 12]),
            &second(0x21, 0x11, &[0; 11]),
            &second(0x21, 0x21, &[0; 35]),
            &second(0x21, 0x11, &[0; 5000]),
        ] {
            let told = told(header).await;
            assert_eq!(told, Err(io::ErrorKind::InvalidData), "{}", String::from_utf8_lossy(header));
        }
        assert_eq!(read(&mut &b"PROXY TCP4 1"[..]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
