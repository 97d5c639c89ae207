//! `ferry process report`: what happened, line by line.

use clap::Args;
use ferry_engine::store::{Level, LogLine, Process, Reader};
use serde_json::json;

use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
    view,
    words::suggestion,
};

const LEVELS: [Level; 3] = [Level::Report, Level::Warning, Level::Error];

/// Whose report, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Id, uuid, unique start of a uuid, or label
    #[arg(value_name = "ID")]
    process: String,
    /// Only lines that are at least so serious: report, warning or error
    #[arg(short, long, value_name = "LEVEL", value_parser = parse_level, default_value = "report")]
    level: Level,
}

fn parse_level(word: &str) -> Result<Level, String> {
    let level = LEVELS.into_iter().find(|level| level.as_str() == word.to_lowercase());
    level.ok_or_else(|| suggestion(word, LEVELS.map(Level::as_str)))
}

fn rank(level: Level) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(0)
}

/// Shows the report.
pub(super) async fn report(session: &Session, args: ReportArgs) -> Result {
    let reader = session.reader().await?;
    let process = view::find_process(&reader, &args.process)?;
    let mut lines = Vec::new();
    gather(&reader, process.clone(), &mut lines)?;
    lines.retain(|(_, line)| rank(line.level) >= rank(args.level));
    lines.sort_by_key(|(_, line)| line.time);
    if session.format == Format::Json {
        let lines = lines.iter().map(|(process, line)| {
            json!({
                "process": process.id,
                "time": view::time(line.time),
                "level": line.level.as_str(),
                "message": line.message,
            })
        });
        return output::json(&lines.collect());
    }
    if lines.is_empty() {
        output::note(format!(
            "{} has nothing to report; it is {}",
            view::title(&process),
            view::state(&process)
        ));
    }
    lines.iter().try_for_each(|(process, line)| show(process, line))?;
    now(&reader, &process)
}

/// Prints the present state of an unfinished process.
fn now(reader: &Reader, process: &Process) -> Result {
    let Some(told) = view::Explainer::new(reader)?.explain(process) else { return Ok(()) };
    let since = told.since.map(|since| format!(" since {}", view::time(since))).unwrap_or_default();
    let what = told.waiting_for.unwrap_or_else(|| "its turn".to_owned());
    output::line(format!("now: {}{since}: {what}", view::state(process)))?;
    if told.attempt > 0 {
        let error = told.last_error.unwrap_or_default();
        output::line(format!("tried: {} of {} attempts failed: {error}", told.attempt, told.max_attempts))?;
    }
    let when = told.next_try.map(|next| format!("{}: ", view::time(next))).unwrap_or_default();
    output::line(format!("next: {when}{}", told.next))
}

fn gather(reader: &Reader, process: Process, lines: &mut Vec<(Process, LogLine)>) -> Result {
    lines.extend(reader.logs(process.id)?.into_iter().map(|line| (process.clone(), line)));
    view::children(reader, process.id)?.into_iter().try_for_each(|child| gather(reader, child, lines))
}

fn show(process: &Process, line: &LogLine) -> Result {
    let level =
        if line.level == Level::Report { String::new() } else { format!(" {}:", line.level.as_str()) };
    let message = line.message.replace('\n', "\n    ");
    output::line(format!(
        "{} [{} {}]{level} {message}",
        view::time(line.time),
        process.id,
        process.process_type
    ))
}
