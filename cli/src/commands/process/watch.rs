//! `ferry process watch`: transitions as they happen. Reads the store, so it works beside any owner, and none.

use std::time::{Duration, Instant};

use ferry_engine::store::{Lock, Process, Reader};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;

use super::find_all;
use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
    view,
};

/// The shortest and the longest delay between two looks at the store. It is short at first, for processes
/// that end at once.
const LOOK: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

/// Follows processes until all have ended.
pub(super) async fn watch(session: &Session, names: &[String]) -> Result {
    let reader = session.reader().await?;
    let mut live = find_all(&reader, names)?;
    for process in &live {
        show(&reader, session.format, process)?;
    }
    live.retain(|process| !process.state.is_terminal());
    if !live.is_empty() && Lock::holder(&session.paths().lock()).is_none() {
        output::note("no daemon is running, so nothing changes until `ferry daemon start`");
    }
    let begun = Instant::now();
    while !live.is_empty() {
        sleep((begun.elapsed() / 8).clamp(LOOK[0], LOOK[1])).await;
        output::check_reader();
        for process in &mut live {
            let now = reader.process(process.id)?;
            if facts(&now) != facts(process) {
                show(&reader, session.format, &now)?;
            }
            *process = now;
        }
        live.retain(|process| !process.state.is_terminal());
    }
    Ok(())
}

/// Returns the facts whose change is worth a line.
fn facts(process: &Process) -> (String, Option<&str>, Option<&str>) {
    (view::state(process), view::status(process), process.scheduler_state())
}

/// Returns a change as one line, so that a script can read changes as they come.
pub(super) fn json(process: &Process, status: Option<String>) -> serde_json::Value {
    json!({
        "time": view::time(Timestamp::now()),
        "id": process.id,
        "uuid": process.uuid,
        "state": process.state.as_str(),
        "paused": process.wishes.paused,
        "exit_code": process.end.status,
        "status": status,
        "scheduler_state": process.scheduler_state(),
    })
}

fn show(reader: &Reader, format: Format, process: &Process) -> Result {
    let status = view::Explainer::new(reader)?.status(process);
    if format == Format::Json {
        return output::json_line(&json(process, status));
    }
    let now = view::time(Timestamp::now());
    let status = status.map(|status| format!(": {status}")).unwrap_or_default();
    output::line(format!("{now} [{} {}] {}{status}", process.id, process.process_type, view::state(process)))
}
