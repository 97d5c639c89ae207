//! Two Slurm clusters that share accounting: jobs that a script's own line, or the login's environment, sends from
//! one to the other. They are brought up by the first case that runs, in ten seconds, so a run of all tests has one
//! case of them and `--full` the others.

mod cases;
mod ground;
mod trial;

use crate::{
    cell::{Cell, CellCase},
    is_full,
};

const SMOKE: &[CellCase] =
    &[("a_job_sent_to_the_other_cluster_comes_home", cases::a_job_sent_to_the_other_cluster_comes_home)];

const FULL: &[CellCase] = &[
    ("a_busy_cluster_holds_one_job", cases::a_busy_cluster_holds_one_job),
    ("the_login_s_environment_names_the_cluster", cases::the_login_s_environment_names_the_cluster),
    ("a_kill_reaches_the_other_cluster", cases::a_kill_reaches_the_other_cluster),
    ("a_renamed_job_there_is_still_ours", cases::a_renamed_job_there_is_still_ours),
    ("dead_accounting_ends_no_job", cases::dead_accounting_ends_no_job),
    (
        "a_dead_controller_holds_back_its_own_jobs_alone",
        cases::a_dead_controller_holds_back_its_own_jobs_alone,
    ),
    (
        "kills_of_controllers_and_accounting_repeat_nothing",
        trial::kills_of_controllers_and_accounting_repeat_nothing,
    ),
];

/// Returns the cases that run in a cell with a queue. That queue has no part in them.
pub(crate) fn cases(cell: &Cell) -> impl Iterator<Item = CellCase> {
    let (smoke, rest) = match (cell.has_queue(), is_full()) {
        (true, true) => (SMOKE, FULL),
        (true, false) if !cell.has_link() => (SMOKE, &[][..]),
        _ => (&[][..], &[][..]),
    };
    smoke.iter().chain(rest).copied()
}
