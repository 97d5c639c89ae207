//! `computer login`: relays a server's questions to this terminal, and the answers to the daemon, which keeps the
//! connection.

use std::io::{BufRead, IsTerminal, Write};

use console::Term;
use ferry_engine::{
    rpc::{Connection, LoginState, LoginStep, Request, Response},
    transport::{Prompt, Question, Secret},
};

use crate::{
    error::{Failure, Result},
    output,
    printable::printable,
    session::Session,
};

/// Logs in to a computer.
///
/// # Errors
/// Fails without a terminal or a daemon, and with what the server says.
pub(super) async fn login(session: &Session, label: String) -> Result {
    if session.non_interactive || !std::io::stdin().is_terminal() {
        return Err(Failure::new("a log-in needs a terminal, where the server's questions are answered")
            .help(format!("run `ferry computer login {label}` in one")));
    }
    let mut daemon = Connection::open(session.paths()).await?.ok_or_else(|| {
        Failure::new("no daemon runs, which would keep the connection").help("start it: `ferry daemon start`")
    })?;
    let mut step = LoginStep::Begin { computer: label.clone() };
    loop {
        match daemon.ask(&Request::Login(step)).await? {
            Response::Login(LoginState::Asked { id, question }) => match answers(&question) {
                Ok(answers) => step = LoginStep::Answer { id, answers },
                Err(error) => {
                    daemon.ask(&Request::Login(LoginStep::Cancel { id })).await?;
                    return Err(error);
                }
            },
            Response::Login(LoginState::In) => break,
            Response::Failed { message, help } => return Err(Failure { help, ..Failure::new(message) }),
            other => return Err(Failure::new(format!("the daemon gave an odd answer: {other:?}"))),
        }
    }
    output::note(format!(
        "logged in; the daemon keeps the connection to `{label}`, and what waited for it goes on"
    ));
    Ok(())
}

/// Asks on the terminal.
fn answers(question: &Question) -> Result<Vec<Secret>> {
    output::note(format!("{} asks:", question.from));
    for text in [&question.name, &question.instructions] {
        if !text.trim().is_empty() {
            output::note(text.trim_end());
        }
    }
    question.prompts.iter().map(answer).collect()
}

fn answer(prompt: &Prompt) -> Result<Secret> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{}", printable(&prompt.text))?;
    stderr.flush()?;
    if !prompt.echo {
        return Ok(Secret::new(Term::stderr().read_secure_line()?));
    }
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(Failure::new("no answer was given"));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(Secret::new(line))
}
