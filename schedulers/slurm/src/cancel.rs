//! `scancel`: ends many jobs by one call, after a look at the queue, since an id may by now be another job's.

use ferry_engine::{
    scheduler::{JobRef, Result},
    transport::{Command, Output},
};

use crate::{client, queue};

/// Lines of `ID|TOKEN` come by standard input, where no limit on arguments applies. `scancel` is given those
/// that the queue shows under both. One that has ended is no error for it.
pub(crate) fn command(jobs: &[JobRef]) -> Command {
    let wanted: String = jobs.iter().map(|job| format!("{}|{}\n", job.id, job.token)).collect();
    let script = format!(
        r#"queue=$({}) && {{ cat; echo '#'; printf '%s\n' "$queue"; }} |
awk -F'|' '/^#$/ {{ listed = 1; next }} !listed {{ wanted[$1 "|" $2]; next }} ($1 "|" $3) in wanted {{ print $1 }}' |
sort -u | xargs -r timeout -k 2 {} scancel"#,
        queue::squeue("--states=all"),
        client::READING,
    );
    client::command(&script).stdin(wanted)
}

/// One result for each job, in order.
pub(crate) fn read(jobs: &[JobRef], output: &Output) -> Vec<Result<()>> {
    let text = output.text();
    jobs.iter().map(|job| one(job, output, &text)).collect()
}

fn one(job: &JobRef, output: &Output, text: &str) -> Result<()> {
    let Err(error) = client::lines("cancel", output, text) else { return Ok(()) };
    // Errors about single jobs name them: "Kill job error on job id 5: Access/permission denied".
    let complaint = output.error_text();
    let blames = |line: &&str| line.contains("error on job id ");
    let mine = format!("error on job id {}:", job.id);
    match complaint.lines().filter(blames).collect::<Vec<_>>().as_slice() {
        [] => Err(error),
        lines => match lines.iter().find(|line| line.contains(&mine)) {
            Some(line) => Err(client::trouble("cancel", 1, line)),
            None => Ok(()),
        },
    }
}
