//! Asking before something is done that can't be taken back.

use std::io::{BufRead, IsTerminal};

use crate::{error::Result, output, session::Session};

/// Whether somebody agrees; `None` where there is nobody to be asked.
///
/// # Errors
/// Those of reading the answer.
pub(crate) fn agreed(session: &Session, question: &str) -> Result<Option<bool>> {
    if session.non_interactive || !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    output::note(format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
