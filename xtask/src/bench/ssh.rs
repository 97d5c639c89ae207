//! ferry's SSH beside OpenSSH, on one private sshd: a command on an open connection, and small files each way.
//! The transport's own example measures; here it is run and its lines are read.

use anyhow::{Result, bail};

use super::table::Table;
use crate::interrupt::Interrupt;
use crate::services::{Kinds, packages};
use crate::shell;
use crate::workspace::Workspace;

const PACKAGE: &str = "ferry-transport-ssh";
const EXAMPLE: &str = "beside_openssh";

/// Runs the example and adds its figures.
pub(super) fn report(workspace: &Workspace, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    println!("\nSSH beside OpenSSH");
    packages::ensure(Kinds { ssh: true, ..Kinds::default() })?;
    let mut command = workspace.cargo(&["run", "--release", "--package", PACKAGE, "--example", EXAMPLE]);
    let finished = shell::watch(&mut command)?;
    interrupt.check()?;
    let figures: Vec<Figure<'_>> = finished.lines.iter().filter_map(|line| figure(line)).collect();
    if !finished.status.success() || figures.is_empty() {
        bail!("the example {EXAMPLE} of {PACKAGE} failed ({}) or told no figures", finished.status);
    }
    for Figure { what, ours, theirs } in figures {
        table.note(what, ours, " ms", &format!("OpenSSH {theirs:.2} ms"));
    }
    Ok(())
}

/// One line of the example, times in ms.
#[derive(Debug, PartialEq)]
struct Figure<'a> {
    what: &'a str,
    ours: f64,
    theirs: f64,
}

/// Reads `500 small files up   ferry  34.50 ms, OpenSSH  120.00 ms, ratio 0.29`.
fn figure(line: &str) -> Option<Figure<'_>> {
    let (left, right) = line.split_once(" ms, OpenSSH ")?;
    let (what, ours) = left.rsplit_once(" ferry ")?;
    let (theirs, _) = right.split_once(" ms")?;
    Some(Figure { what: what.trim(), ours: ours.trim().parse().ok()?, theirs: theirs.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_figures_are_told_from_others() {
        let line = "500 small files up             ferry    34.50 ms, OpenSSH   120.00 ms, ratio 0.29";
        assert_eq!(figure(line), Some(Figure { what: "500 small files up", ours: 34.5, theirs: 120.0 }));
        assert_eq!(figure("   Compiling ferry-transport-ssh v0.1.0"), None);
    }
}
