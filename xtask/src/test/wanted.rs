//! The tests that a filter leaves of each part. The test programs are asked for their tests, so that nothing is started or
//! installed for a part that has none of that name.

use std::collections::BTreeMap;

use super::binaries::{Binary, Listed};
use super::cells::CELLS;
use super::{CONFORMANCE, MATRIX};

/// The package whose integration tests start sshds of their own.
const SSH: &str = "ferry-transport-ssh";

/// The tests that the user wants.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Every one.
    All,
    /// The tests with a name, counted by part.
    Named {
        /// Unit tests, and integration tests of single crates.
        unit: Listed,
        /// True if the SSH transport's are among them.
        starts_sshd: bool,
        /// Conformance suites and cells, by name. What is not here did not tell, and is run.
        parts: BTreeMap<String, Listed>,
    },
}

/// Returns whether a part runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// It does.
    Yes,
    /// It was left out by its name.
    No,
    /// It has so many tests, and none of them was asked for.
    NoneOf(u64),
}

impl Wanted {
    /// Asks all test programs.
    pub(super) fn by_name(binaries: &[Binary], filter: &str, full: bool) -> Wanted {
        let mut unit = Listed::default();
        let (mut starts_sshd, mut parts) = (false, BTreeMap::new());
        for binary in binaries {
            match binary.package.as_str() {
                // The suite on Slurm lists its tests in the child that it starts once it has found a cluster.
                CONFORMANCE if binary.is_integration => {
                    let listed = binary.list(filter, &[("FERRY_CONFORMANCE_SLURM", "1")]);
                    parts.extend(listed.map(|listed| (binary.name.clone(), listed)));
                }
                MATRIX if binary.is_integration => {
                    for cell in CELLS {
                        let name = cell.to_string();
                        let environment = [("FERRY_CELLS", name.as_str()), ("FERRY_FULL", "1")];
                        let listed = binary.list(filter, if full { &environment } else { &environment[..1] });
                        parts.extend(listed.map(|listed| (name, listed)));
                    }
                }
                _ if binary.is_unit() => {
                    // One that does not tell may have a test of that name.
                    let listed = binary.list(filter, &[]).unwrap_or(Listed { wanted: 1, others: 0 });
                    starts_sshd |= binary.package == SSH && binary.is_integration && listed.wanted > 0;
                    unit = unit.plus(listed);
                }
                _ => {}
            }
        }
        Wanted::Named { unit, starts_sshd, parts }
    }

    /// Says whether the unit tests run.
    pub(super) fn unit(&self) -> Take {
        match self {
            Wanted::All => Take::Yes,
            Wanted::Named { unit, .. } => Take::of(*unit),
        }
    }

    /// Says whether a conformance suite runs.
    pub(super) fn suite(&self, name: &str) -> Take {
        match self {
            Wanted::All => Take::Yes,
            Wanted::Named { parts, .. } => parts.get(name).map_or(Take::Yes, |listed| Take::of(*listed)),
        }
    }

    /// Says whether a cell runs.
    pub(super) fn cell(&self, name: &str) -> Take {
        self.suite(name)
    }

    /// Returns true if tests run that start an sshd of their own.
    pub(super) fn starts_sshd(&self) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Named { starts_sshd, .. } => *starts_sshd,
        }
    }
}

impl Take {
    fn of(listed: Listed) -> Take {
        if listed.wanted > 0 { Take::Yes } else { Take::NoneOf(listed.others) }
    }
}

impl Binary {
    /// Returns true if it is no part of its own.
    pub(super) fn is_unit(&self) -> bool {
        ![CONFORMANCE, MATRIX].contains(&self.package.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_a_test_of_that_name_is_left_out() {
        let parts = BTreeMap::from([
            ("store".to_owned(), Listed { wanted: 0, others: 7 }),
            ("local+direct".to_owned(), Listed { wanted: 2, others: 7 }),
        ]);
        let unit = Listed { wanted: 1, others: 0 };
        let wanted = Wanted::Named { unit, starts_sshd: false, parts };
        assert_eq!(wanted.suite("store"), Take::NoneOf(7));
        assert_eq!(wanted.cell("local+direct"), Take::Yes);
        assert_eq!(wanted.cell("did+not+tell"), Take::Yes);
        assert_eq!((wanted.unit(), wanted.starts_sshd()), (Take::Yes, false));
        assert_eq!(Wanted::All.suite("store"), Take::Yes);
    }
}
