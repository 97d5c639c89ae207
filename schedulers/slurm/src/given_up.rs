//! Jobs that Slurm itself cancelled before they started. A node may get a job to start, and be unable to confirm
//! it with a controller that has just been killed. Then it cancels the job: "Could not launch job and not able to
//! requeue it, cancelling job" (slurmd, 22.05.8). Such a job is `CANCELLED`, as if its user had requested it.
//!
//! Two cases are told apart from a user's cancellation. In the first, the controller was started between the job's
//! submission and its end, and shortly before or after that end. In the second, the job had its nodes only for a
//! moment: a node that can't start its job (its `slurm.conf` is broken, for instance) cancels it in the same
//! second. Times are requested as seconds since 1970 (`SLURM_TIME_FORMAT`).

use std::collections::BTreeSet;

use ferry_engine_core::{
    scheduler::{JobId, JobRef, Listed},
    transport::{Command, Output},
};

use crate::{client, queue, record, state};

/// Most time between the controller's start and the end of the job, s: nodes report again, and time out, for
/// minutes.
const NEAR: u64 = 600;
const BOOT: &str = "#boot ";

/// Most time for which a job had its nodes, if they were unable to start it, s. No user cancels a job that
/// quickly.
const MOMENT: u64 = 1;

/// Fields of the listing: among them the times of submission and end, and last the time of the start, and the
/// nodes.
const FIELDS: [&str; 8] = ["%A", "%V", "%e", "%Z", "%k", "%j", "%S", "%N"];

pub(crate) fn command(cluster: Option<&str>) -> Command {
    let time = client::READING;
    client::command(&format!(
        "SLURM_TIME_FORMAT=%s; export SLURM_TIME_FORMAT; \
         timeout -k 2 {time} scontrol{} show config | sed -n 's/^BOOT_TIME *= */{BOOT}/p'; {}",
        client::in_cluster(cluster),
        queue::of_user(cluster, "--states=CANCELLED", &FIELDS),
    ))
}

/// Returns those among the jobs. A row that can't be read is left out.
pub(crate) fn read(jobs: &[JobRef], output: &Output) -> BTreeSet<JobRef> {
    let text = output.text();
    let Ok(client::Rows { lines, .. }) = client::rows("given up", output, &text) else {
        return BTreeSet::new();
    };
    let boot = lines.iter().find_map(|line| line.strip_prefix(BOOT)?.trim().parse::<u64>().ok());
    let Some(boot) = boot else { return BTreeSet::new() };
    let records = record::read("given up", &lines, FIELDS.len()).unwrap_or_default();
    let given_up = records.iter().filter_map(|fields| {
        let submitted: u64 = fields[1].parse().ok()?;
        let ended: u64 = fields[2].parse().ok()?;
        let name = fields[5].clone();
        let listed = Listed::named(JobId(fields[0].clone()), name, state::status("CANCELLED", ""));
        let listed = Listed { comment: record::text(&fields[4]), dir: record::dir(&fields[3]), ..listed };
        let begun = fields[6].parse().ok().filter(|_| !fields[7].trim().is_empty());
        let is_dropped = begun.is_some_and(|begun: u64| begun <= ended && ended - begun <= MOMENT);
        (is_dropped || submitted <= boot && ended.abs_diff(boot) <= NEAR).then_some(listed)
    });
    let given_up: Vec<Listed> = given_up.collect();
    let is_among = |job: &&JobRef| {
        given_up.iter().any(|one| {
            one.id.number() == job.id.number() && (one.bears(&job.token) || one.works_in(&job.dir))
        })
    };
    jobs.iter().filter(is_among).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which of jobs 7, 8 and 9 are found in such an answer.
    fn check(text: &str, expect: &[&str]) {
        let job = |id: &str| JobRef { id: JobId(id.into()), token: format!("tok-{id}"), dir: "/w".into() };
        let text: String = text
            .lines()
            .map(|line| match line.split('|').collect::<Vec<_>>().as_slice() {
                [id, name, submitted, ended, rest @ ..] => {
                    let [begun, nodes] =
                        if let [begun, nodes] = rest { [*begun, *nodes] } else { ["N/A", ""] };
                    let fields = [*id, submitted, ended, "/", "", name, begun, nodes, "."];
                    format!("@{}\n", fields.join("\u{1f}"))
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let found = read(&[job("7"), job("8"), job("9")], &Output::ok(&format!("{text}\n#end 0\n")));
        let found: Vec<_> = found.iter().map(|job| job.id.0.as_str()).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn only_an_end_near_a_start_of_the_controller_is_slurm_s_own_doing() {
        // Before and after a start at 1000, and far from it; a job submitted after it was cancelled by a user.
        check("#boot 1000\n7|tok-7|900|1002\n8|tok-8|900|1700\n9|tok-9|1001|1002", &["7"]);
        check("#boot 1000\n7|tok-7|990|995\n8|tok-8|900|950", &["7", "8"]);
        check("#boot 1000\n7|tok-other|900|1002", &[]);
    }

    #[test]
    fn a_node_that_drops_a_job_at_once_is_slurm_s_own_doing() {
        // Cancelled at its start, after ten seconds, and while it waited: then squeue shows a start, but no nodes.
        check("#boot 10\n7|tok-7|900|1000|1000|n1\n8|tok-8|900|1010|1000|n1\n9|tok-9|900|1000|1000|", &["7"]);
    }

    #[test]
    fn what_cant_be_read_is_none() {
        for text in ["", "7|tok-7|900|1002", "#boot Unknown\n7|tok-7|900|1002", "#boot 1000\n7|tok-7|N/A|N/A"]
        {
            check(text, &[]);
        }
    }
}
