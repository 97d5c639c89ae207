//! A question to the person at the terminal; the answer is not shown.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Asks on the controlling terminal, even if the standard streams are redirected. `None`: there is no terminal, or
/// no answer. Fits [`register_with_prompt`](crate::register_with_prompt).
pub fn ask_on_terminal(question: &str) -> Option<String> {
    ask(question).ok().filter(|answer| !answer.is_empty())
}

fn ask(question: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let _shown_again = Hidden::new(terminal.try_clone()?)?;
    terminal.write_all(question.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&terminal).read_line(&mut answer)?;
    terminal.write_all(b"\n")?;
    answer.truncate(answer.trim_end_matches(['\r', '\n']).len());
    Ok(answer)
}

/// A terminal that does not show what is typed. Dropping it restores the terminal.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Hidden { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // An error is ignored: a terminal that is gone shows nothing either.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
