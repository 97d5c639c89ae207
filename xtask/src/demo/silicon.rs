//! A real calculation: the total energy of silicon by Debian's `pw.x`, through ferry and by hand. Both must
//! print the same energy, digit for digit, and the graph must lead from it back to the input files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{PATIENCE, drawn, finished, tell};
use crate::ferry::Ferry;
use crate::interrupt::Interrupt;
use crate::json;
use crate::services::packages;
use crate::shell;

/// Input of `pw.x`. It needs the pseudopotential beside it.
const INPUT: &str = include_str!("si.scf.in");
/// The name that the calculation knows [`INPUT`] by.
const INPUT_NAME: &str = "si.scf.in";
/// The name that [`INPUT`] knows the pseudopotential by.
const PSEUDO_NAME: &str = "Si.pz-vbc.UPF";
/// Threads add up in any order and so change the last digits: one, here and there.
const ONE_THREAD: (&str, &str) = ("OMP_NUM_THREADS", "1");

/// Runs the steps.
pub(super) fn show(ferry: &Ferry, computer: &str, interrupt: &Interrupt, pictures: &Path) -> Result<()> {
    tell("A real calculation: silicon, by Quantum ESPRESSO's pw.x. Its two files become input nodes.");
    let pseudo = pseudopotential()?;
    fs::write(ferry.desk().join("silicon.in"), INPUT).context("could not write silicon.in")?;
    println!("$ cat silicon.in\n{}", INPUT.trim_end());
    let id = submit(ferry, computer, &pseudo)?;
    let process = ferry.wait(&id, PATIENCE)?;
    ferry.show(&["process", "show", &id])?;
    let node = json::number(finished(&process)?, "/outputs/stdout/id")?.to_string();
    origin(ferry, &process, &node, pictures)?;
    tell("The total energy, as the result has it; and by hand, on the same input in a scratch directory:");
    println!("$ ferry node repo cat {node} | grep '^!'");
    let ours = ferry.ask(&["node", "repo", "cat", &node])?;
    println!("{}", energy(&ours)?);
    compare(energy(&ours)?, energy(&by_hand(ferry, &pseudo, interrupt)?)?)
}

fn submit(ferry: &Ferry, computer: &str, pseudo: &Path) -> Result<String> {
    let names = serde_json::json!({"input": INPUT_NAME, "pseudo": PSEUDO_NAME});
    let (variable, value) = ONE_THREAD;
    let id = ferry.show(&[
        "submit",
        "shell.run",
        "command=pw.x",
        "arguments=-in {input}",
        "nodes.input=file:silicon.in",
        &format!("nodes.pseudo=file:{}", pseudo.display()),
        &format!("filenames={names}"),
        "--computer",
        computer,
        "--option",
        &format!("environment_variables.{variable}={value}"),
        "--option",
        "max_wallclock_seconds=300",
    ])?;
    Ok(id.trim().to_owned())
}

/// Draws the graph and looks for the way from the result to both files.
fn origin(ferry: &Ferry, process: &Value, node: &str, pictures: &Path) -> Result<()> {
    tell("The graph that leads from the result back to the input files:");
    fs::create_dir_all(pictures).with_context(|| format!("could not make {}", pictures.display()))?;
    let path = |name: &str| pictures.join(name).to_string_lossy().into_owned();
    let graph = drawn(ferry, node, &path("silicon.dot"))?;
    let id = json::number(process, "/id")?;
    let mut links = vec![format!("\"{id}\" -> \"{node}\"")];
    for input in ["nodes.input", "nodes.pseudo"] {
        let file = json::number(process, &format!("/inputs/{input}/id"))?;
        links.push(format!("\"{file}\" -> \"{id}\""));
    }
    if let Some(link) = links.iter().find(|link| !graph.contains(*link)) {
        bail!("the graph does not have the link {link}: {graph}");
    }
    println!("(checked: {})", links.join(", "));
    if shell::has("dot") {
        drawn(ferry, node, &path("silicon.svg"))?;
    }
    println!("(it stays in {})", pictures.display());
    Ok(())
}

/// Runs `pw.x` without ferry and returns its output.
fn by_hand(ferry: &Ferry, pseudo: &Path, interrupt: &Interrupt) -> Result<String> {
    let dir = ferry.desk().join("by-hand");
    fs::create_dir(&dir)
        .and_then(|()| fs::write(dir.join(INPUT_NAME), INPUT))
        .and_then(|()| fs::copy(pseudo, dir.join(PSEUDO_NAME)))
        .with_context(|| format!("could not fill {}", dir.display()))?;
    let (variable, value) = ONE_THREAD;
    println!("$ cd by-hand; {variable}={value} pw.x -in {INPUT_NAME} | grep '^!'");
    let mut command = Command::new("pw.x");
    command.args(["-in", INPUT_NAME]).env(variable, value).current_dir(&dir).stdin(Stdio::null());
    let output = command.output().context("could not start pw.x")?;
    interrupt.check()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("pw.x, run by hand, failed ({}) {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn compare(ours: &str, theirs: &str) -> Result<()> {
    println!("{theirs}");
    if ours != theirs {
        bail!("the total energies differ: '{ours}' through ferry, '{theirs}' by hand");
    }
    println!("(checked: equal to the last digit)");
    Ok(())
}

/// Returns the line with the converged total energy: `pw.x` marks that one alone.
fn energy(text: &str) -> Result<&str> {
    let line = text.lines().find(|line| line.starts_with('!') && line.contains("total energy"));
    line.with_context(|| format!("pw.x printed no total energy; its last lines: {}", end(text)))
}

fn end(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" / ")
}

/// Returns the path at which Debian installs the pseudopotential.
fn pseudopotential() -> Result<PathBuf> {
    let files = packages::files(packages::ESPRESSO_DATA)?;
    let mut files = files.into_iter().filter(|file| file.file_name().is_some_and(|name| name == PSEUDO_NAME));
    files.next().with_context(|| format!("no {PSEUDO_NAME} in the package {}", packages::ESPRESSO_DATA))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "     total energy              =     -15.84446862 Ry\n\
                           !    total energy              =     -15.84452726 Ry\n";

    #[test]
    fn the_converged_energy_is_the_one() {
        assert_eq!(energy(PRINTED).unwrap(), "!    total energy              =     -15.84452726 Ry");
        let error = energy("Error in routine readpp (1):\n\n  stopping ...\n").unwrap_err().to_string();
        assert!(error.ends_with("Error in routine readpp (1): / stopping ..."), "{error}");
    }

    #[test]
    fn one_digit_is_a_difference() {
        let line = energy(PRINTED).unwrap();
        assert!(compare(line, line).is_ok());
        assert!(compare(line, &line.replace("726", "725")).is_err());
    }
}
