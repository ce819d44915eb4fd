//! Single values: from text to TOML, and from TOML to what the program works with.

use crate::addr::{IpRange, IpSet};
use crate::fetch::{self, Exception, HostPattern};
use crate::gateway::{BadRate, Balance, Rate};
use crate::model::{Lines, OutputName};
use crate::web::Role;
use crate::web::log::Format;
use chrono_tz::Tz;
use http::Uri;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use toml::Value;
use tracing_subscriber::EnvFilter;

/// How the environment says that a list is empty.
const NOTHING: &str = "none";

/// Gives a text of the environment or the command line the type that `like` has.
pub(super) fn typed(text: &str, like: &Value) -> Result<Value, String> {
    match like {
        Value::Boolean(_) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Value::Boolean(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Boolean(false)),
            _ => Err("true or false is meant".to_owned()),
        },
        Value::Integer(_) => {
            text.trim().parse().map(Value::Integer).map_err(|_| "a whole number is meant".to_owned())
        }
        Value::Float(_) => text.trim().parse().map(Value::Float).map_err(|_| "a number is meant".to_owned()),
        Value::Array(_) => {
            let text = text.trim();
            let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            if text.trim() == NOTHING {
                return Ok(Value::Array(Vec::new()));
            }
            let items =
                text.split(',').map(|item| item.trim().trim_matches('"')).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// What can be read from a TOML value; the error says what is meant instead.
pub(super) trait FromValue: Sized {
    fn from_value(value: &Value) -> Result<Self, String>;
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "a text in quotes is meant".to_owned())
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "true or false is meant".to_owned())
    }
}

impl FromValue for usize {
    fn from_value(value: &Value) -> Result<Self, String> {
        let number = value.as_integer().and_then(|number| Self::try_from(number).ok());
        number.filter(|number| *number > 0).ok_or_else(|| "a whole number above 0 is meant".to_owned())
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "" => Err("a path is meant".to_owned()),
            path => Ok(path.into()),
        }
    }
}

impl FromValue for SocketAddr {
    fn from_value(value: &Value) -> Result<Self, String> {
        let address = text(value)?.replacen("localhost:", "127.0.0.1:", 1);
        address.parse().map_err(|_| "an address and a port are meant, as in \"127.0.0.1:8080\"".to_owned())
    }
}

impl FromValue for Option<SocketAddr> {
    fn from_value(value: &Value) -> Result<Self, String> {
        if text(value)?.is_empty() { Ok(None) } else { SocketAddr::from_value(value).map(Some) }
    }
}

impl FromValue for IpSet {
    fn from_value(value: &Value) -> Result<Self, String> {
        let networks = || "a list of networks in brackets is meant, as in [\"127.0.0.0/8\"]".to_owned();
        let ranges: Vec<IpRange> = parsed(value).map_err(|_| networks())?;
        Ok(ranges.into_iter().collect())
    }
}

impl FromValue for Tz {
    fn from_value(value: &Value) -> Result<Self, String> {
        text(value)?.parse().map_err(|_| "a time zone is meant, as in \"Asia/Seoul\"".to_owned())
    }
}

impl FromValue for Option<Format> {
    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "auto" => Ok(None),
            "text" => Ok(Some(Format::Text)),
            "json" => Ok(Some(Format::Json)),
            _ => Err("\"auto\", \"text\" or \"json\" is meant".to_owned()),
        }
    }
}

impl FromValue for Option<PathBuf> {
    fn from_value(value: &Value) -> Result<Self, String> {
        Ok(Some(text(value)?).filter(|path| !path.is_empty()).map(PathBuf::from))
    }
}

impl FromValue for OutputName {
    fn from_value(value: &Value) -> Result<Self, String> {
        text(value)?.parse().map_err(|_| "the name of a feed is meant".to_owned())
    }
}

/// A text, or none.
#[derive(Clone, Debug)]
pub(super) struct Words(pub(super) Option<String>);

impl FromValue for Words {
    fn from_value(value: &Value) -> Result<Self, String> {
        Ok(Self(Some(text(value)?.trim()).filter(|text| !text.is_empty()).map(str::to_owned)))
    }
}

impl FromValue for Vec<u16> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let wrong = || "a list of ports in brackets is meant, as in [80, 443]".to_owned();
        // The environment has nothing but texts.
        let port = |item: &Value| match item {
            Value::String(text) => text.parse().map_err(|_| wrong()),
            other => other.as_integer().and_then(|number| u16::try_from(number).ok()).ok_or_else(wrong),
        };
        value.as_array().ok_or_else(wrong)?.iter().map(port).collect()
    }
}

impl FromValue for Vec<Exception> {
    fn from_value(value: &Value) -> Result<Self, String> {
        parsed(value)
    }
}

impl FromValue for Vec<IpRange> {
    fn from_value(value: &Value) -> Result<Self, String> {
        parsed(value)
    }
}

impl FromValue for Vec<HostPattern> {
    fn from_value(value: &Value) -> Result<Self, String> {
        parsed(value)
    }
}

fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<Vec<T>, String> {
    let items = value.as_array().ok_or("a list in brackets is meant")?;
    items.iter().map(|item| text(item)?.parse().map_err(|error: T::Err| error.to_string())).collect()
}

impl FromValue for Option<fetch::Url> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let url = text(value)?;
        let wrong = |_| "http://host:port is meant".to_owned();
        if url.is_empty() { Ok(None) } else { url.parse().map(Some).map_err(wrong) }
    }
}

impl FromValue for Lines {
    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "cidrs" => Ok(Self::Cidrs),
            "ranges" => Ok(Self::Ranges),
            "addresses" => Ok(Self::Addresses),
            _ => Err("\"cidrs\", \"ranges\" or \"addresses\" is meant".to_owned()),
        }
    }
}

impl FromValue for Vec<Role> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let names = value.as_array().ok_or("a list in brackets is meant")?;
        let mut roles = names.iter().map(role).collect::<Result<Self, String>>()?;
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() { Err("at least one role is needed".to_owned()) } else { Ok(roles) }
    }
}

fn role(name: &Value) -> Result<Role, String> {
    let name = text(name)?;
    let known = Role::ALL.into_iter().find(|role| role.name() == name);
    known.ok_or_else(|| format!("{name:?} is none of {}", Role::ALL.map(Role::name).join(", ")))
}

/// A filter for the log.
#[derive(Clone, Debug)]
pub(super) struct Filter(pub(super) String);

impl FromValue for Filter {
    fn from_value(value: &Value) -> Result<Self, String> {
        let filter = text(value)?.to_ascii_lowercase();
        let wrong = |_| "a level is meant: error, warn, info, debug or trace".to_owned();
        EnvFilter::try_new(&filter).map_err(wrong)?;
        Ok(Self(filter))
    }
}

/// The URLs of a role elsewhere: none, one, or several.
#[derive(Clone, Debug)]
pub(super) struct Urls(pub(super) Vec<String>);

impl FromValue for Urls {
    fn from_value(value: &Value) -> Result<Self, String> {
        let texts: Vec<&str> = match value.as_array() {
            Some(items) => items.iter().map(text).collect::<Result<_, _>>()?,
            None => text(value)?.split(',').collect(),
        };
        let given = texts.iter().map(|url| url.trim()).filter(|url| !url.is_empty());
        given.map(role_url).collect::<Result<_, _>>().map(Self)
    }
}

fn role_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let uri: Option<Uri> = url.parse().ok();
    let is_plain =
        |uri: Uri| matches!(uri.scheme_str(), Some("http" | "https")) && matches!(uri.path(), "" | "/");
    if uri.is_some_and(is_plain) {
        Ok(url.to_owned())
    } else {
        Err("http://host:port or https://host:port is meant".to_owned())
    }
}

impl FromValue for Option<Rate> {
    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "off" => Ok(None),
            rate => rate.parse().map(Some).map_err(|error: BadRate| error.to_string()),
        }
    }
}

impl FromValue for Balance {
    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "round_robin" => Ok(Self::RoundRobin),
            "least_loaded" => Ok(Self::LeastLoaded),
            _ => Err("\"round_robin\" or \"least_loaded\" is meant".to_owned()),
        }
    }
}

/// A share of a whole, from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(pub(super) f64);

impl FromValue for Share {
    fn from_value(value: &Value) -> Result<Self, String> {
        let whole = |number| u8::try_from(number).ok().map(f64::from);
        let number = value.as_float().or_else(|| value.as_integer().and_then(whole));
        let share = number.filter(|number| (0.0..=1.0).contains(number));
        share.map(Self).ok_or_else(|| "a number from 0 to 1 is meant".to_owned())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl FromValue for Size {
    fn from_value(value: &Value) -> Result<Self, String> {
        let wrong = || "a size is meant, as in \"64 MiB\"".to_owned();
        if let Some(bytes) = value.as_integer() {
            return u64::try_from(bytes).map(Self).map_err(|_| wrong());
        }
        let text = text(value)?.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        let size = |text: &str| Size::from_value(&Value::String(text.to_owned()));
        assert_eq!(size("64 MiB"), Ok(Size(64 << 20)));
        assert_eq!(size("1g"), Ok(Size(1 << 30)));
        assert_eq!(size("512"), Ok(Size(512)));
        assert_eq!(Size::from_value(&Value::Integer(7)), Ok(Size(7)));
        for wrong in ["", "MiB", "-1", "1 TB", "99999999999 GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_no_more_than_the_whole() {
        let share = |value: Value| Share::from_value(&value).map(|share| share.0);
        assert_eq!(share(typed("0.25", &Value::Float(0.0)).unwrap()), Ok(0.25));
        assert_eq!([share(Value::Integer(0)), share(Value::Integer(1))], [Ok(0.0), Ok(1.0)]);
        for wrong in [Value::Float(1.1), Value::Float(-0.1), Value::Float(f64::NAN), Value::Integer(7)] {
            assert!(share(wrong).is_err());
        }
    }

    #[test]
    fn urls_are_plain_or_none() {
        let url = |text: &str| Urls::from_value(&Value::String(text.to_owned())).map(|urls| urls.0);
        assert_eq!(url("http://blacklist:8001/"), Ok(vec!["http://blacklist:8001".to_owned()]));
        assert_eq!(url(""), Ok(vec![]));
        let two = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        assert_eq!(url("http://a:1/, http://b:1").as_deref(), Ok(&two[..]));
        assert_eq!(Urls::from_value(&two.to_vec().into()).map(|urls| urls.0).as_deref(), Ok(&two[..]));
        for wrong in ["blacklist:8001", "https://a/path", "http://a/path", "ftp://a"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
