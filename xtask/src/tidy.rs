//! `cargo xtask tidy`: checks that the compiler doesn't make. Dependencies between crates and between
//! the rooms of a crate, manifests that inherit and name nothing unused, files that state their purpose, `unsafe` in
//! its directories, a map that names every room, short sentences, and texts for users that somebody has read.

mod arrows;
mod code;
mod dependencies;
mod docs;
mod literals;
mod manifests;
mod openers;
mod rooms;
mod sentences;
mod sources;
mod texts;

use std::process::ExitCode;

use anyhow::Result;

use crate::flags::TidyFlags;
use crate::workspace::Workspace;

/// The results of the checks.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &TidyFlags) -> Result<ExitCode> {
    let mut findings = Findings::default();
    findings.problems.extend(arrows::check(&workspace.members));
    findings.problems.extend(rooms::check(&workspace.root)?);
    findings.problems.extend(manifests::check(workspace)?);
    findings.problems.extend(dependencies::check(workspace)?);
    findings.problems.extend(docs::check(workspace)?);
    findings.problems.extend(texts::check(workspace, flags.renew_texts)?);
    sources::check(&workspace.root, &mut findings)?;
    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    for problem in &findings.problems {
        println!("error: {problem}");
    }
    println!("tidy: {} problems, {} warnings", findings.problems.len(), findings.warnings.len());
    Ok(if findings.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
