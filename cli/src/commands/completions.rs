//! `ferry completions`: a script that lets a shell complete ferry's words.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Cli, error::Result, output};

/// Prints the script for a shell.
pub(crate) fn print(shell: Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ferry", &mut script);
    output::bytes(&script)
}
