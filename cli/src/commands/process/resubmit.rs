//! `ferry process resubmit`: the user's decision where it is impossible to find out whether a job was
//! submitted.

use clap::Args;
use ferry_engine::rpc::{Answered, Request};

use crate::{
    ask::agreed,
    error::{Failure, Result},
    output,
    session::Session,
    view,
};

/// Arguments of `process resubmit`.
#[derive(Debug, Args)]
pub(crate) struct ResubmitArgs {
    /// Id, uuid, unique start of a uuid, or label
    #[arg(value_name = "ID")]
    process: String,
    /// Don't ask first
    #[arg(short, long)]
    yes: bool,
}

/// Takes down the decision.
pub(super) async fn run(session: &Session, args: ResubmitArgs) -> Result {
    let process = view::find_process(&session.reader().await?, &args.process)?;
    let question = format!(
        "submit {} anew? A first job may still be in the queue; if the two do not see the same work directory, \
         both run.",
        view::title(&process)
    );
    if !args.yes && agreed(session, &question)? == Some(false) {
        return Err(Failure::new("nothing was resubmitted"));
    }
    let (_, answered) = session.call(Request::Resubmit(process.id.0)).await?;
    let when = match answered {
        Answered::Alone => " when a daemon runs (`ferry daemon start`)",
        _ => "",
    };
    output::note(format!(
        "{} is looked up once more, then submitted anew{when}; should both jobs start, only one of them runs",
        view::title(&process)
    ));
    Ok(())
}
