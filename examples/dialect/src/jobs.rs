//! The jobs of `qstat -x -f`: a block for each, whose long values go on in lines that begin with a tab.

use ferry_engine_core::scheduler::{JobId, JobRef, JobState, JobStatus, Listed, Queue};

/// Reads an answer: blocks, complaints, and `#end STATUS`. Returns `None` for one that is cut or no answer at all.
/// Absence is proved if each of the jobs asked for has a block or is unknown to PBS, or if there was no complaint.
pub(crate) fn read(text: &str, wanted: &[JobRef]) -> Option<Queue> {
    let end = text.lines().last()?.strip_prefix("#end ")?;
    let whole = text.replace("\n\t", "");
    let listed: Vec<Listed> = whole.split("Job Id: ").skip(1).map(job).collect::<Option<_>>()?;
    let unknown = |id: &str| {
        let mut complaints = whole.lines().filter_map(|line| line.strip_prefix("qstat: Unknown Job Id "));
        complaints.any(|known| known.trim() == id)
    };
    let is_said = |job: &JobRef| listed.iter().any(|one| one.id == job.id) || unknown(job.id.number());
    let complaints = whole.lines().filter(|line| line.starts_with("qstat: "));
    let others = complaints.filter(|line| !line.contains("Unknown Job Id")).map(str::to_owned);
    let notices: Vec<String> = others.collect();
    // Without a single job, only a clean end tells an empty queue from a server that does not answer.
    let is_clean = end == "0";
    if listed.is_empty() && !is_clean && (wanted.is_empty() || !wanted.iter().all(is_said)) {
        return None;
    }
    let proves_absence = if wanted.is_empty() { is_clean } else { wanted.iter().all(is_said) };
    Some(Queue { listed, proves_absence, notices })
}

/// Reads one block; returns `None` if it is cut.
fn job(block: &str) -> Option<Listed> {
    let value = |key: &str| {
        block.lines().find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(" = ")).map(str::trim)
    };
    let id = JobId(block.lines().next()?.trim().to_owned());
    let status = status(value("job_state")?, value("comment"), value("Exit_status"));
    let mut variables = value("Variable_List").unwrap_or_default().split(',');
    let dir = variables.find_map(|pair| pair.strip_prefix("PBS_O_WORKDIR="));
    let listed = Listed::named(id, value("Job_Name")?.to_owned(), status);
    Some(Listed { dir: dir.map(Into::into), ..listed })
}

fn status(letter: &str, comment: Option<&str>, exit: Option<&str>) -> JobStatus {
    let state = match letter {
        "Q" | "W" | "T" => JobState::Pending,
        "H" => JobState::Held,
        // It is over when its output is back (`E`).
        "R" | "E" | "B" => JobState::Running,
        "S" | "U" => JobState::Suspended,
        "F" | "X" => JobState::Done,
        _ => JobState::Unknown,
    };
    let reason = comment.filter(|_| matches!(state, JobState::Pending | JobState::Held)).map(str::to_owned);
    let is_completed = state == JobState::Done && exit == Some("0");
    JobStatus { state, raw: letter.to_owned(), reason, is_completed, ..JobStatus::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three jobs as OpenPBS shows them, abridged: one runs, one waits, one has ended.
    const SHOWN: &str = "\
Job Id: 101.pbs01
    Job_Name = fkq3vaetmhd5xw2
    Job_Owner = alice@login1
    job_state = R
    queue = workq
    Variable_List = PBS_O_HOME=/home/alice,PBS_O_LANG=en_US.UTF-8,
\tPBS_O_WORKDIR=/scratch/alice/fe/rr/y,PBS_O_SYSTEM=Linux
    comment = Job run at Mon Nov 30 at 12:00 on (n1:ncpus=4)

Job Id: 102.pbs01
    Job_Name = STDIN
    job_state = Q
    comment = Not Running: Insufficient amount of resource: ncpus

Job Id: 103.pbs01
    Job_Name = fabcdefghijklmn
    job_state = F
    Exit_status = 0

#end 0
";

    fn job(id: &str) -> JobRef {
        JobRef { id: JobId(id.into()), token: "t".into(), dir: "/w".into() }
    }

    #[test]
    fn what_qstat_shows_is_read() {
        let queue = read(SHOWN, &[]).unwrap();
        assert!(queue.proves_absence && queue.notices.is_empty());
        let [running, waiting, ended] = &queue.listed[..] else { panic!("{queue:?}") };
        assert!(running.bears("fkq3vaetmhd5xw2") && running.works_in("/scratch/alice/fe/rr/y".as_ref()));
        assert_eq!((running.id.number(), running.status.state), ("101.pbs01", JobState::Running));
        assert_eq!(running.status.reason, None);
        let reason = Some("Not Running: Insufficient amount of resource: ncpus");
        assert_eq!((waiting.status.state, waiting.status.reason.as_deref()), (JobState::Pending, reason));
        assert!(ended.status.is_completed && ended.status.state == JobState::Done);
    }

    #[test]
    fn only_pbs_s_own_word_makes_a_job_unknown() {
        let asked = |text: &str, ids: &[&str]| {
            let jobs: Vec<JobRef> = ids.iter().map(|id| job(id)).collect();
            read(text, &jobs).map(|queue| (queue.listed.len(), queue.proves_absence))
        };
        let one = SHOWN.split("\n\n").next().unwrap().to_owned() + "\n\n";
        let unknown = "qstat: Unknown Job Id 9.pbs01\n#end 153\n";
        assert_eq!(asked(&format!("{one}{unknown}"), &["101.pbs01", "9.pbs01"]), Some((1, true)));
        assert_eq!(asked(unknown, &["9.pbs01"]), Some((0, true)));
        assert_eq!(asked(&format!("{one}{unknown}"), &["101.pbs01", "8.pbs01"]), Some((1, false)));
        assert_eq!(asked("#end 0\n", &[]), Some((0, true)), "an empty queue");
        assert_eq!(
            asked("qstat: cannot connect to server pbs01 (errno=15010)\n#end 1\n", &["9.pbs01"]),
            None
        );
        assert_eq!(asked(&one, &["101.pbs01"]), None, "an answer without its end");
    }
}
