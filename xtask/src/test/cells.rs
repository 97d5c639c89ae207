//! The cells of the matrix: which transports and schedulers go together, what each cell needs on this
//! machine, and which of them the user asked for.

use std::fmt;

use crate::shell;

/// One transport with one scheduler.
#[derive(Debug)]
pub(super) struct Cell {
    transport: &'static str,
    scheduler: &'static str,
    /// Programs it can't do without, each with the Debian package that has it.
    needs: &'static [(&'static str, &'static str)],
}

/// Every cell of this version.
pub(super) const CELLS: &[Cell] = &[Cell {
    transport: "local",
    scheduler: "direct",
    needs: &[("bash", "bash"), ("setsid", "util-linux"), ("ps", "procps")],
}];

/// What the user asked for. Empty means all.
#[derive(Debug)]
pub(super) struct Choice {
    transports: Vec<String>,
    schedulers: Vec<String>,
}

impl Cell {
    /// The Debian packages that this machine lacks for it.
    pub(super) fn missing(&self) -> Vec<String> {
        self.needs
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
    /// A text that names what this version does not have.
    pub(super) fn new(transports: &[String], schedulers: &[String]) -> Result<Choice, String> {
        known("transport", transports, |cell| cell.transport)?;
        known("scheduler", schedulers, |cell| cell.scheduler)?;
        Ok(Choice { transports: transports.to_vec(), schedulers: schedulers.to_vec() })
    }

    /// Whether the user wants this cell.
    pub(super) fn takes(&self, cell: &Cell) -> bool {
        wants(&self.transports, cell.transport) && wants(&self.schedulers, cell.scheduler)
    }

    /// Whether a conformance suite, named after its implementation, is for one that the user left out.
    pub(super) fn leaves_out_suite(&self, suite: &str) -> bool {
        suite.split('_').any(|word| {
            CELLS.iter().any(|cell| {
                (word == cell.transport && !wants(&self.transports, word))
                    || (word == cell.scheduler && !wants(&self.schedulers, word))
            })
        })
    }
}

fn wants(chosen: &[String], name: &str) -> bool {
    chosen.is_empty() || chosen.iter().any(|word| word == name)
}

fn known(what: &str, chosen: &[String], of: fn(&Cell) -> &'static str) -> Result<(), String> {
    let mut names: Vec<_> = CELLS.iter().map(of).collect();
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

    #[test]
    fn what_this_version_lacks_is_refused_by_name() {
        let error = choice(&[], &["direct", "slurm"]).unwrap_err();
        assert_eq!(error, "the scheduler 'slurm' is not in this version of ferry; it has: direct");
        assert!(choice(&["ssh"], &[]).unwrap_err().contains("transport 'ssh'"));
    }

    #[test]
    fn nothing_asked_is_everything() {
        assert!(choice(&[], &[]).unwrap().takes(&CELLS[0]));
        assert!(choice(&["local"], &["direct"]).unwrap().takes(&CELLS[0]));
    }

    #[test]
    fn a_suite_of_an_implementation_left_out_is_left_out() {
        let other = Choice { transports: vec!["ssh".into()], schedulers: vec![] };
        assert!(other.leaves_out_suite("transport_local"));
        assert!(!other.leaves_out_suite("direct"));
        assert!(!other.takes(&CELLS[0]));
    }
}
