//! `ferry process pause` and `play`: durable requests, which hold also while no daemon runs.

use ferry_engine::rpc::Request;

use super::Chosen;
use crate::{error::Result, output, session::Session, view};

/// Pauses processes, or lets them continue.
pub(super) async fn set(session: &Session, chosen: &Chosen, paused: bool) -> Result {
    let reader = session.reader().await?;
    let (ended, live): (Vec<_>, Vec<_>) =
        chosen.find(&reader)?.into_iter().partition(|process| process.state.is_terminal());
    for process in &ended {
        output::note(format!("{} has ended already: {}", view::title(process), view::state(process)));
    }
    let processes: Vec<i64> = live.iter().map(|process| process.id.0).collect();
    if !processes.is_empty() {
        session.call(Request::Pause { processes, paused }).await?;
    }
    for process in &live {
        let what = if paused { "stands still after its present step" } else { "goes on" };
        output::note(format!("{} {what}", view::title(process)));
    }
    Ok(())
}

/// Takes up excepted processes again.
pub(super) async fn resume(session: &Session, names: &[String]) -> Result {
    let chosen = super::find_all(&session.reader().await?, names)?;
    session.call(Request::Resume(chosen.iter().map(|process| process.id.0).collect())).await?;
    for process in &chosen {
        output::note(format!("{} goes on from its last checkpoint", view::title(process)));
    }
    Ok(())
}
