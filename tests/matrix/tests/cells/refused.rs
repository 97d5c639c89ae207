//! Refusals of a scheduler: final ones, temporary ones, and unknown ones. With an `sbatch` that refuses at
//! will.

use std::{fs, thread, time::Duration, time::Instant};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::Value;

use crate::{
    Case,
    hosts::{Fakes, HONEST},
};

/// Cases that run on a profile of their own each.
pub(crate) const CASES: &[Case] = &[
    ("unknown_words_pause_after_a_few_tries", unknown_words_pause_after_a_few_tries),
    ("unknown_words_of_a_job_that_is_in_are_no_refusal", unknown_words_of_a_job_that_is_in_are_no_refusal),
    ("a_site_names_its_own_words", a_site_names_its_own_words),
    ("a_drained_partition_is_waited_for", a_drained_partition_is_waited_for),
    ("a_full_controller_is_looked_up_and_waited_for", a_full_controller_is_looked_up_and_waited_for),
];

const LIMIT: Duration = Duration::from_secs(240);

/// Recorded of Slurm 22.05.8 with a `job_submit.lua`.
const FILTER: &str = "echo 'sbatch: error: your project has no budget left until 1 January' >&2
echo 'sbatch: error: Batch job submission failed: Unspecified error' >&2
exit 1";
const DRAINED: &str = "echo 'sbatch: error: Batch job submission failed: Required partition not available (inactive \
                       or drain)' >&2; exit 1";
/// `sbatch` tries by itself again and is ended; here at once.
const FULL: &str =
    "echo 'sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying' >&2; exit 124";

/// Starts a daemon with a computer whose listings are reliable, and that is queried often.
fn proven(ferry: &Profile) -> Result<Fakes> {
    let fakes = Fakes::new(ferry)?;
    fakes.put("sbatch", HONEST)?;
    let soon = ["--retry-initial", "0.1", "--retry-attempts", "3"];
    ferry.ok(&[&["computer", "configure", "fake", "-n"], &soon[..]].concat())?;
    let path = format!("{}:{}", text(&fakes.bin), std::env::var("PATH").unwrap_or_default());
    let tested = ferry.command(&["computer", "test", "fake", "--job"]).env("PATH", path).output();
    let tested = tested.map_err(|error| error.to_string())?;
    check(tested.status.success(), || String::from_utf8_lossy(&tested.stdout).into_owned())?;
    Ok(fakes)
}

/// Refuses so, and counts how often.
fn refuse(fakes: &Fakes, script: &str) -> Result {
    fakes.put("sbatch", &format!("echo x >> \"$(dirname \"$0\")/calls\"\n{script}"))
}

fn calls(fakes: &Fakes) -> usize {
    fs::read_to_string(fakes.bin.join("calls")).unwrap_or_default().lines().count()
}

fn submit(ferry: &Profile) -> Result<String> {
    ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "--computer", "fake"])
}

/// Waits until a process is shown so.
pub(crate) fn until(ferry: &Profile, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let shown = ferry.json(&["process", "show", id])?;
        if is_so(&shown) {
            return Ok(shown);
        }
        check(begun.elapsed() < LIMIT, || format!("it never was {what}: {shown:#}"))?;
        thread::sleep(Duration::from_millis(200));
    }
}

fn waits_for(shown: &Value, words: &str) -> bool {
    shown["waiting_for"].as_str().is_some_and(|text| text.contains(words))
}

fn ends_well(ferry: &Profile, id: &str) -> Result {
    let shown = ferry.ended(id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))
}

fn unknown_words_pause_after_a_few_tries() -> Result {
    let ferry = Profile::new()?;
    let fakes = proven(&ferry)?;
    refuse(&fakes, FILTER)?;
    fakes.start_daemon(&ferry)?;
    let id = submit(&ferry)?;
    let shown = until(&ferry, &id, "paused", |shown| shown["paused"] == true)?;
    check(waits_for(&shown, "no budget left until 1 January") && waits_for(&shown, "`refusals`"), || {
        format!("{shown:#}")
    })?;
    check(calls(&fakes) == 3, || format!("{} tries", calls(&fakes)))?;
    ferry.ok(&["process", "play", &id])?;
    until(&ferry, &id, "paused again", |shown| shown["paused"] == true && calls(&fakes) == 6)?;
    fakes.put("sbatch", HONEST)?;
    ferry.ok(&["process", "play", &id])?;
    ends_well(&ferry, &id)
}

fn unknown_words_of_a_job_that_is_in_are_no_refusal() -> Result {
    let ferry = Profile::new()?;
    let fakes = proven(&ferry)?;
    let taken = HONEST.lines().map(|line| if line == "echo 77" { "" } else { line });
    refuse(&fakes, &format!("{}\n{FILTER}", taken.collect::<Vec<_>>().join("\n")))?;
    fakes.start_daemon(&ferry)?;
    let id = submit(&ferry)?;
    ends_well(&ferry, &id)?;
    check(calls(&fakes) == 1, || format!("{} submissions", calls(&fakes)))
}

fn a_site_names_its_own_words() -> Result {
    let ferry = Profile::new()?;
    let fakes = proven(&ferry)?;
    let wrong = ["computer", "configure", "fake", "-n", "--refusals", "busy: ['*']"];
    ferry.ferry(&wrong)?.expect(2)?.says(&["refusals.busy", "fewer than 4 letters"])?;
    let busy = "busy: no budget left until *";
    ferry.ok(&["computer", "configure", "fake", "-n", "--refusals", busy])?;
    let shown = ferry.json(&["computer", "show", "fake"])?;
    check(shown["refusals"]["busy"][0] == "no budget left until *", || format!("{shown:#}"))?;
    refuse(&fakes, FILTER)?;
    fakes.start_daemon(&ferry)?;
    let id = submit(&ferry)?;
    let shown = until(&ferry, &id, "waiting", |_| calls(&fakes) >= 4)?;
    check(shown["paused"] == false, || format!("{shown:#}"))?;
    fakes.put("sbatch", HONEST)?;
    ends_well(&ferry, &id)?;
    ferry.ok(&["computer", "configure", "fake", "-n", "--refusals", "final: [no budget left]"])?;
    refuse(&fakes, FILTER)?;
    let refused = submit(&ferry)?;
    let shown = ferry.ended(&refused, LIMIT)?;
    check(shown["exit_code"] == 130, || format!("{shown:#}"))
}

fn a_drained_partition_is_waited_for() -> Result {
    let ferry = Profile::new()?;
    let fakes = proven(&ferry)?;
    refuse(&fakes, DRAINED)?;
    fakes.start_daemon(&ferry)?;
    let id = submit(&ferry)?;
    until(&ferry, &id, "refused twice", |_| calls(&fakes) >= 2)?;
    fakes.put("sbatch", HONEST)?;
    ends_well(&ferry, &id)
}

fn a_full_controller_is_looked_up_and_waited_for() -> Result {
    let ferry = Profile::new()?;
    let fakes = proven(&ferry)?;
    refuse(&fakes, FULL)?;
    fakes.start_daemon(&ferry)?;
    let id = submit(&ferry)?;
    let shown = until(&ferry, &id, "refused twice", |_| calls(&fakes) >= 2)?;
    check(shown["paused"] == false && shown["attempt"] == 0, || format!("{shown:#}"))?;
    let report = ferry.ok(&["process", "report", &id])?;
    check(report.contains("accepts no more jobs now"), || report)?;
    fakes.put("sbatch", HONEST)?;
    ends_well(&ferry, &id)
}
