//! Asking before something is done that can't be taken back.

use std::io::{BufRead, IsTerminal};

use crate::{error::Result, output, session::Session};

/// Asks the question and returns whether the user agrees; `None` without a terminal, or if asking is switched
/// off.
///
/// # Errors
/// Fails if the answer can't be read.
pub(crate) fn agreed(session: &Session, question: &str) -> Result<Option<bool>> {
    if session.non_interactive || !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    output::note(format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
