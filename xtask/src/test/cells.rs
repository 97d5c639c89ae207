//! The cells of the matrix: which transports and schedulers go together, what each cell needs on this
//! machine, and which of them the user asked for.

use std::fmt;

use crate::services::Kinds;
use crate::shell;

/// One transport with one scheduler.
#[derive(Debug)]
pub(crate) struct Cell {
    transport: &'static str,
    scheduler: &'static str,
}

/// Every cell there is.
pub(crate) const CELLS: &[Cell] = &[
    Cell { transport: "local", scheduler: "direct" },
    Cell { transport: "local", scheduler: "slurm" },
    Cell { transport: "ssh", scheduler: "direct" },
    Cell { transport: "ssh", scheduler: "slurm" },
];

/// The cells that run when the user names none.
const DEFAULT: &[&str] = &["local+direct", "local+slurm", "ssh+direct", "ssh+slurm"];

/// Programs that no cell can do without, each with the Debian package that has it. What the services need is
/// their own affair.
const NEEDS: &[(&str, &str)] = &[("bash", "bash"), ("setsid", "util-linux"), ("ps", "procps")];

/// The user's choice of cells. Empty means all.
#[derive(Debug)]
pub(crate) struct Choice {
    transports: Vec<String>,
    schedulers: Vec<String>,
}

impl Cell {
    /// Returns the services that it needs.
    pub(crate) fn kinds(&self) -> Kinds {
        Kinds { ssh: self.transport == "ssh", slurm: self.scheduler == "slurm", clusters: false }
    }

    /// Returns the Debian packages that this machine lacks for any of them.
    pub(crate) fn missing() -> Vec<String> {
        NEEDS
            .iter()
            .filter(|(program, _)| !shell::has(program))
            .map(|(program, package)| format!("{program} (Debian package {package})"))
            .collect()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.transport, self.scheduler)
    }
}

impl Choice {
    /// Takes the user's words.
    ///
    /// # Errors
    /// Fails with the transports or schedulers that this version does not have.
    pub(crate) fn new(transports: &[String], schedulers: &[String]) -> Result<Choice, String> {
        known("transport", transports, |cell| cell.transport)?;
        known("scheduler", schedulers, |cell| cell.scheduler)?;
        Ok(Choice { transports: transports.to_vec(), schedulers: schedulers.to_vec() })
    }

    /// Returns whether the user wants this cell.
    pub(crate) fn takes(&self, cell: &Cell) -> bool {
        if self.transports.is_empty() && self.schedulers.is_empty() {
            return DEFAULT.contains(&cell.to_string().as_str());
        }
        wants(&self.transports, cell.transport) && wants(&self.schedulers, cell.scheduler)
    }

    /// Returns the services that these conformance suites and the cells together need.
    pub(crate) fn kinds(&self, suites: &[String]) -> Kinds {
        let cells = CELLS.iter().filter(|cell| self.takes(cell)).map(Cell::kinds);
        let suites =
            suites.iter().filter(|suite| !self.leaves_out_suite(suite)).map(|suite| suite_kinds(suite));
        cells.chain(suites).fold(Kinds::default(), Kinds::with)
    }

    /// Returns whether the user left out the implementation that a conformance suite is named after.
    pub(crate) fn leaves_out_suite(&self, suite: &str) -> bool {
        suite.split('_').any(|word| {
            CELLS.iter().any(|cell| {
                (word == cell.transport && !wants(&self.transports, word))
                    || (word == cell.scheduler && !wants(&self.schedulers, word))
            })
        })
    }
}

/// Returns the services of a suite, which is named after what it tests.
pub(crate) fn suite_kinds(suite: &str) -> Kinds {
    let tests = |name| suite.split('_').any(|word| word == name);
    Kinds { ssh: tests("ssh"), slurm: tests("slurm"), clusters: false }
}

fn wants(chosen: &[String], name: &str) -> bool {
    chosen.is_empty() || chosen.iter().any(|word| word == name)
}

fn known(what: &str, chosen: &[String], of: fn(&Cell) -> &'static str) -> Result<(), String> {
    let mut names: Vec<_> = CELLS.iter().map(of).collect();
    names.sort_unstable();
    names.dedup();
    match chosen.iter().find(|word| !names.contains(&word.as_str())) {
        Some(word) => {
            Err(format!("the {what} '{word}' is not in this version of ferry; it has: {}", names.join(", ")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(transport: &[&str], scheduler: &[&str]) -> Result<Choice, String> {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        Choice::new(&own(transport), &own(scheduler))
    }

    fn taken(choice: &Choice) -> Vec<String> {
        CELLS.iter().filter(|cell| choice.takes(cell)).map(Cell::to_string).collect()
    }

    #[test]
    fn what_this_version_lacks_is_refused_by_name() {
        let error = choice(&[], &["direct", "pbs"]).unwrap_err();
        assert_eq!(error, "the scheduler 'pbs' is not in this version of ferry; it has: direct, slurm");
        assert!(choice(&["smoke"], &[]).unwrap_err().contains("transport 'smoke'"));
    }

    #[test]
    fn cells_are_taken_by_name_or_by_default() {
        assert_eq!(taken(&choice(&[], &[]).unwrap()), DEFAULT);
        assert_eq!(taken(&choice(&["local"], &["direct"]).unwrap()), ["local+direct"]);
        assert_eq!(taken(&choice(&[], &["slurm"]).unwrap()), ["local+slurm", "ssh+slurm"]);
    }

    #[test]
    fn a_suite_of_an_implementation_left_out_is_left_out() {
        let other = choice(&["ssh"], &[]).unwrap();
        assert!(other.leaves_out_suite("transport_local"));
        assert!(!other.leaves_out_suite("direct"));
        assert_eq!(taken(&other), ["ssh+direct", "ssh+slurm"]);
    }

    #[test]
    fn services_come_up_for_who_needs_them() {
        let suites = ["direct".to_owned(), "local".to_owned()];
        let direct = choice(&["local"], &["direct"]).unwrap();
        assert_eq!(direct.kinds(&suites), Kinds::default());
        let slurm = choice(&["local"], &[]).unwrap();
        assert_eq!(slurm.kinds(&suites), Kinds { slurm: true, ..Kinds::default() });
        assert_eq!(direct.kinds(&["slurm".to_owned()]), Kinds::default(), "the user left it out");
    }
}
