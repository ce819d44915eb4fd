//! `ironlist feed`: the bytes of a feed, whole or not at all.

use super::ExitCode;
use super::args::FeedArgs;
use super::console::Console;
use super::door::{Door, encode};
use crate::web::{Body, Response};
use anyhow::Context;
use http::Method;
use http_body_util::BodyExt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Writes the feed to standard output or, in one step, to a file.
pub(super) async fn run(args: &FeedArgs, door: &Door, console: Console<'_>) -> anyhow::Result<ExitCode> {
    let path = format!("/feeds/{}", encode(&args.name));
    let response = door.ask(Method::GET, &path, "text/plain", Body::empty()).await?;
    match &args.output {
        None => copy(response, console.out).await?,
        Some(path) => replace(response, path).await.with_context(|| path.display().to_string())?,
    }
    Ok(ExitCode::Done)
}

async fn copy(response: Response, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the feed broke off: {error}"))?;
        if let Ok(data) = frame.into_data() {
            out.write_all(&data)?;
        }
    }
    Ok(())
}

/// Whoever reads the file sees the feed of before or all of this one.
async fn replace(response: Response, path: &Path) -> anyhow::Result<()> {
    let mut name = path.file_name().context("is no name for a file")?.to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = write(response, &part).await.and_then(|()| Ok(fs::rename(&part, path)?));
    if written.is_err() {
        // Of no use to anyone; failing to remove it changes nothing.
        let _ = fs::remove_file(&part);
    }
    written
}

async fn write(response: Response, path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    copy(response, &mut file).await?;
    Ok(file.sync_all()?)
}
