//! `scancel`: cancels many jobs of a cluster by one call. The owners of their ids were just checked.

use ferry_engine_core::{
    scheduler::{JobRef, Result},
    transport::{Command, Output},
};

use crate::client;

/// Returns the command. Ids are passed on standard input, where no limit on arguments applies. A job that has
/// ended is no error for `scancel`.
pub(crate) fn command(cluster: Option<&str>, jobs: &[JobRef]) -> Command {
    let numbers = jobs.iter().map(|job| job.id.number());
    let ids = numbers.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    let ids: String = ids.map(|id| format!("{id}\n")).collect();
    let (time, cluster) = (client::READING, client::in_cluster(cluster));
    client::command(&format!("xargs -r timeout -k 2 {time} scancel{cluster}")).stdin(ids)
}

/// Returns one result for each job, in order.
pub(crate) fn read(jobs: &[JobRef], output: &Output) -> Vec<Result<()>> {
    let text = output.text();
    jobs.iter().map(|job| one(job, output, &text)).collect()
}

fn one(job: &JobRef, output: &Output, text: &str) -> Result<()> {
    let Err(error) = client::lines("cancel", output, text) else { return Ok(()) };
    // Errors about single jobs name them: "Kill job error on job id 5: Access/permission denied".
    let complaint = output.error_text();
    let blames = |line: &&str| line.contains("error on job id ");
    let mine = format!("error on job id {}:", job.id.number());
    match complaint.lines().filter(blames).collect::<Vec<_>>().as_slice() {
        // The end of the job is checked afterwards.
        [] if client::ended_well(text) && !client::is_unloaded(&complaint) => Ok(()),
        [] => Err(error),
        lines => match lines.iter().find(|line| line.contains(&mine)) {
            Some(line) => Err(client::trouble("cancel", 1, line)),
            None => Ok(()),
        },
    }
}
