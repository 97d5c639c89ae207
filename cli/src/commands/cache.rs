//! `ferry cache`: results of earlier calculations that later ones take over.

use clap::Subcommand;
use ferry_engine::{
    caching::{CacheStory, Ingredients, cache_story},
    rpc::Request,
    store::{Process, Reader},
};
use serde_json::json;

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    view,
};

/// The words of `ferry cache`.
///
/// `ferry config set caching.enabled_for 'qe.*'` lets the calculations of these types take over the results of equal
/// ones that have finished; `caching.default_enabled` does so for all, `run --no-cache` never.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Say why a calculation did or did not take over the results of an earlier one
    Explain {
        /// Id, uuid or label
        process: String,
    },
    /// Forbid that the results of calculations are taken over
    Invalidate {
        /// Ids, uuids or labels
        #[arg(required = true)]
        processes: Vec<String>,
    },
    /// Allow again that the results of calculations are taken over
    Validate {
        /// Ids, uuids or labels
        #[arg(required = true)]
        processes: Vec<String>,
    },
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the process is unknown, or is no calculation.
pub(crate) async fn run(session: &Session, command: CacheCommand) -> Result {
    match command {
        CacheCommand::Explain { process } => explain(session, &process).await,
        CacheCommand::Invalidate { processes } => mark(session, &processes, false).await,
        CacheCommand::Validate { processes } => mark(session, &processes, true).await,
    }
}

async fn mark(session: &Session, names: &[String], reusable: bool) -> Result {
    let reader = session.reader().await?;
    let found = names.iter().map(|name| calculation(&reader, name)).collect::<Result<Vec<_>>>()?;
    for process in found {
        session.call(Request::Reusable { process: process.id.0, reusable }).await?;
    }
    Ok(())
}

/// Returns a process that the cache knows.
fn calculation(reader: &Reader, name: &str) -> Result<Process> {
    let process = view::find_process(reader, name)?;
    match reader.cache_entry(process.id)? {
        Some(_) => Ok(process),
        None => Err(Failure::new(format!(
            "process {} is a {}, whose results nobody takes over: only calculations have a place in the cache",
            process.id,
            process.kind.as_str()
        ))),
    }
}

async fn explain(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let process = view::find_process(&reader, name)?;
    let story = cache_story(&reader, &process)?;
    if session.format == Format::Json {
        let story = serde_json::to_value(&story).map_err(|error| Failure::new(error.to_string()))?;
        return output::json(&json!({ "id": process.id, "story": story }));
    }
    for line in told(&reader, &process, &story)? {
        output::line(line)?;
    }
    Ok(())
}

fn told(reader: &Reader, process: &Process, story: &CacheStory) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let verb = if story.asked { "asks" } else { "does not ask" };
    lines.push(match &story.taken_from {
        Some(uuid) => {
            format!("process {} took over the results of {}", process.id, view::origin(reader, uuid))
        }
        None => format!("process {} {verb} for results of others: {}", process.id, story.because),
    });
    let Some(hash) = &story.hash else { return Ok(lines) };
    lines.push(format!("its ingredients (type, computer, options, inputs) have the digest {hash}"));
    for candidate in &story.candidates {
        let why = candidate.obstacle.as_deref().unwrap_or("nothing is against taking over its results");
        lines.push(format!("  process {} has the same: {why}", candidate.process));
    }
    if let Some((nearest, differences)) = &story.nearest {
        lines.push(format!("nobody else has the same; process {nearest} comes closest, and differs in"));
        let other = reader.process(ferry_engine::store::NodeId(*nearest))?;
        let (own, other) = (Ingredients::read(reader, process)?, Ingredients::read(reader, &other)?);
        for name in differences {
            let of = |all: &Option<Ingredients>| {
                all.as_ref().and_then(|all| all.get(name)).unwrap_or("nothing").to_owned()
            };
            lines.push(format!("  {name}: {} there, {} here", of(&other), of(&own)));
        }
    } else if story.candidates.is_empty() {
        lines.push("no other calculation of its type has finished".to_owned());
    }
    Ok(lines)
}
