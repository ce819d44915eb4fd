//! `ironlist check`: are these addresses listed?

use super::ExitCode;
use super::args::CheckArgs;
use super::console::{Console, outline, plain};
use super::door::{Door, encode, with_query};
use super::upload::Input;
use crate::web::Body;
use anyhow::Context;
use http::Method;
use http_body_util::BodyExt;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::io::{self, Write};

const PATH: &str = "/api/v1/blacklist/check";
const STORY: &str = "/api/v1/blacklist/ips";

/// How many addresses there were, and what was found.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Counts {
    checked: u64,
    listed: u64,
    invalid: u64,
}

impl Counts {
    /// Reads `# checked N listed M invalid K`, which ends an answer that is complete.
    fn of_line(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.trim_end();
        let (checked, rest) = text.strip_prefix("# checked ")?.split_once(" listed ")?;
        let (listed, invalid) = rest.split_once(" invalid ")?;
        Some(Self {
            checked: checked.parse().ok()?,
            listed: listed.parse().ok()?,
            invalid: invalid.parse().ok()?,
        })
    }

    /// What could not be looked up must not pass for clear.
    fn code(self) -> ExitCode {
        match self {
            Self { invalid: 1.., .. } => ExitCode::Failed,
            Self { listed: 1.., .. } => ExitCode::Negative,
            _ => ExitCode::Done,
        }
    }
}

/// Looks the addresses up and tells, line by line, what is known of each.
pub(super) async fn run(args: &CheckArgs, door: &Door, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let Console { out, log } = console;
    let input = args.file.as_deref().map(Input::open).transpose()?;
    let counts = match (args.explain, args.json) {
        (true, _) => explain(&listed_lines(&args.addresses, input)?, args.json, door, out, log).await?,
        (false, true) => documents(&listed_lines(&args.addresses, input)?, door, out).await?,
        (false, false) => lines(&args.addresses, input, door, out).await?,
    };
    if counts.checked > 1 && !args.json {
        let Counts { checked, listed, invalid } = counts;
        writeln!(log, "{checked} checked, {listed} listed, {invalid} invalid")?;
    }
    Ok(counts.code())
}

/// The addresses of the command line and of the file.
fn listed_lines(addresses: &[String], input: Option<Input>) -> anyhow::Result<Vec<String>> {
    let text = input.map(Input::text).transpose()?.unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(addresses.iter().cloned().chain(lines.map(str::to_owned)).collect())
}

/// Any number of addresses, answered while they are sent.
async fn lines(
    addresses: &[String],
    input: Option<Input>,
    door: &Door,
    out: &mut dyn Write,
) -> anyhow::Result<Counts> {
    let before: Vec<u8> = addresses.iter().flat_map(|address| [address.as_bytes(), b"\n"].concat()).collect();
    let body = match input {
        Some(input) => input.into_body(before, ProgressBar::hidden()),
        None => Body::full(before),
    };
    let path = with_query(PATH, &[("all", Some("true"))]);
    let mut answer = door.ask(Method::POST, &path, "text/plain", body).await?.into_body();
    let mut held = Vec::new();
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        if let Ok(data) = frame.into_data() {
            held.extend_from_slice(&data);
            pass_on(&mut held, out)?;
        }
    }
    Counts::of_line(&held).context("the answer broke off")
}

/// Writes all lines but the last one, which may be the counts, or not whole yet.
fn pass_on(held: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
    let before_last = held.len().saturating_sub(1);
    if let Some(end) = memchr::memrchr(b'\n', &held[..before_last]) {
        out.write_all(&held[..=end])?;
        held.drain(..=end);
    }
    Ok(())
}

/// The API's own document about all of them.
async fn documents(addresses: &[String], door: &Door, out: &mut dyn Write) -> anyhow::Result<Counts> {
    let document = door.post(PATH, &json!({ "ips": addresses })).await?;
    writeln!(out, "{document:#}")?;
    let results = document["results"].as_array().context("the answer has no results")?;
    Ok(Counts {
        checked: results.len() as u64,
        listed: results.iter().filter(|result| result["listed"] == true).count() as u64,
        invalid: results.iter().filter(|result| !result["listed"].is_boolean()).count() as u64,
    })
}

/// The whole story of each address.
async fn explain(
    addresses: &[String],
    as_json: bool,
    door: &Door,
    out: &mut dyn Write,
    log: &mut dyn Write,
) -> anyhow::Result<Counts> {
    let mut counts = Counts { checked: addresses.len() as u64, ..Counts::default() };
    for address in addresses {
        match door.get(&format!("{STORY}/{}", encode(address))).await {
            Ok(story) => {
                counts.listed += u64::from(story["listed"] == true);
                if as_json { writeln!(out, "{story}")? } else { tell(&story, out)? }
            }
            Err(error) => {
                counts.invalid += 1;
                writeln!(log, "ironlist: {error:#}")?;
            }
        }
    }
    Ok(counts)
}

fn tell(story: &Value, out: &mut dyn Write) -> io::Result<()> {
    let verdict = match (&story["listed"], &story["exempt"]) {
        (Value::Bool(true), _) => "is listed".to_owned(),
        (_, Value::String(ground)) => format!("is exempt ({ground})"),
        _ => "is not listed".to_owned(),
    };
    writeln!(out, "{} {verdict} (generation {})", plain(&story["ip"]), plain(&story["generation"]))?;
    let mut rest = story.clone();
    if let Value::Object(members) = &mut rest {
        members.retain(|name, _| !matches!(name.as_str(), "ip" | "listed" | "exempt" | "generation"));
    }
    outline(&rest, 2, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invalid_is_an_error_even_beside_what_is_listed() {
        let code = |line: &[u8]| Counts::of_line(line).unwrap().code();
        assert_eq!(code(b"# checked 3 listed 0 invalid 0\n"), ExitCode::Done);
        assert_eq!(code(b"# checked 3 listed 1 invalid 0\n"), ExitCode::Negative);
        assert_eq!(code(b"# checked 3 listed 1 invalid 1\n"), ExitCode::Failed);
        assert_eq!(Counts::of_line(b"192.0.2.1\tclear\t\n"), None);
    }

    #[test]
    fn the_last_line_is_held_back_however_the_answer_is_cut() {
        let answer = b"a\tclear\t\nb\tlisted\tx\n# checked 2 listed 1 invalid 0\n";
        for size in 1..answer.len() {
            let (mut held, mut out) = (Vec::new(), Vec::new());
            for piece in answer.chunks(size) {
                held.extend_from_slice(piece);
                pass_on(&mut held, &mut out).unwrap();
            }
            assert_eq!(out, b"a\tclear\t\nb\tlisted\tx\n", "{size}");
            assert!(Counts::of_line(&held).is_some());
        }
    }
}
