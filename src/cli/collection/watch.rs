//! A run as it goes on: a bar on a terminal, a line a step elsewhere.

use super::super::console::plain;
use super::super::door::Door;
use crate::web::Body;
use anyhow::{Context, bail};
use http::header::ACCEPT;
use http_body_util::BodyExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Follows the events of a run; gives the run when it is over.
pub(super) async fn until_over(
    path: &str,
    id: &str,
    door: &Door,
    log: &mut dyn Write,
) -> anyhow::Result<Value> {
    let request = http::Request::builder().uri(path).header(ACCEPT, "text/event-stream");
    let response = door.send(request.body(Body::empty())?).await?;
    if !response.status().is_success() {
        return door.get(path).await;
    }
    let mut body = response.into_body();
    let (mut bytes, mut view) = (Vec::new(), View::new(id));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!(error)).context("the run is not told any more")?;
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = bytes.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = bytes.drain(..end + 2).collect();
            let Some((name, data)) = parse(&event) else { continue };
            if name == "run" {
                view.end();
                return Ok(data);
            }
            view.show(&data, log)?;
        }
    }
    bail!("the service ended before the run did; it goes on after the next start")
}

/// An event's name and document; none for comments that keep the connection alive.
fn parse(event: &[u8]) -> Option<(String, Value)> {
    let text = std::str::from_utf8(event).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("event:")?.to_owned(), serde_json::from_str(field("data:")?).ok()?))
}

struct View {
    bar: Option<ProgressBar>,
    last: String,
    id: String,
}

impl View {
    fn new(id: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, last: String::new(), id: id.to_owned() }
    }

    fn show(&mut self, progress: &Value, log: &mut dyn Write) -> anyhow::Result<()> {
        let awaits = progress["state"] == "awaiting_otp";
        let step = match progress["step"].as_str().unwrap_or_default() {
            "" => plain(&progress["state"]),
            _ if awaits => format!("a one-time code is waited for: ironlist run otp {}", self.id),
            _ => plain(&progress["step"]),
        };
        match &self.bar {
            Some(bar) => draw(bar, &step, progress),
            None if step != self.last => writeln!(log, "{step}")?,
            None => {}
        }
        self.last = step;
        Ok(())
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, step: &str, progress: &Value) {
    let template = match progress["total"].as_u64() {
        Some(total) => {
            bar.set_length(total);
            "{bar:30} {pos}/{len} {msg}"
        }
        None => "{spinner} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_position(progress["done"].as_u64().unwrap_or(0));
    bar.set_message(step.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_comments() {
        let (name, data) = parse(b"event: progress\ndata: {\"done\": 3}\n\n").unwrap();
        assert_eq!((name.as_str(), &data["done"]), ("progress", &Value::from(3)));
        assert!(parse(b":\n\n").is_none());
    }
}
