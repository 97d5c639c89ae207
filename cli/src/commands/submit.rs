//! `ferry submit`: start a process and print its id at once.

use ferry_engine::runner::{Answered, Request, Response, Supervision};
use serde_json::json;

use super::launch::LaunchArgs;
use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
};

/// Submits.
///
/// # Errors
/// Everything that is wrong with the launch (exit status 2), and what prevents it (1).
pub(crate) async fn run(session: &Session, args: LaunchArgs) -> Result {
    let launch = args.launch(session).await?;
    let (response, answered) = session.call(Request::Launch(Box::new(launch))).await?;
    let Response::Launched(launched) = response else {
        return Err(Failure::new(format!("the owner of the profile answered oddly: {response:?}")));
    };
    match session.format {
        Format::Table => output::line(launched.id.to_string())?,
        Format::Json => output::json(&json!({ "id": launched.id, "uuid": launched.uuid }))?,
    }
    if answered != Answered::ByOwner {
        output::warn(match Supervision::living(session.paths()) {
            Some(_) => "the daemon has died and is started again; it takes up this process then",
            None => "no daemon runs, so nothing happens to this process until `ferry daemon start`",
        });
    }
    Ok(())
}
