//! Log-ins that ask a person: keyboard-interactive (RFC 4256) and passwords.

use ferry_engine_core::transport::{Asker, Prompt, Question};
use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Reply},
};

use crate::{connection::client::Client, settings::endpoint::Endpoint};

/// Most rounds of questions in one attempt: a server that asks for ever is left.
const ROUNDS: usize = 20;

/// Asks by the method that the server prefers. `None`: the person gave no answer.
///
/// # Errors
/// Those of the connection.
pub(crate) async fn ask(
    handle: &mut Handle<Client>,
    endpoint: &Endpoint,
    methods: &MethodSet,
    asker: &dyn Asker,
) -> Result<Option<AuthResult>, russh::Error> {
    if methods.contains(&MethodKind::KeyboardInteractive) {
        keyboard(handle, endpoint, asker).await
    } else {
        password(handle, endpoint, asker).await
    }
}

/// Returns whether a person can answer by one of these methods.
pub(crate) fn is_possible(methods: &MethodSet) -> bool {
    [MethodKind::KeyboardInteractive, MethodKind::Password].iter().any(|method| methods.contains(method))
}

async fn keyboard(
    handle: &mut Handle<Client>,
    endpoint: &Endpoint,
    asker: &dyn Asker,
) -> Result<Option<AuthResult>, russh::Error> {
    let mut reply = handle.authenticate_keyboard_interactive_start(&endpoint.user, None::<String>).await?;
    for _ in 0..ROUNDS {
        let (name, instructions, prompts) = match reply {
            Reply::Success => return Ok(Some(AuthResult::Success)),
            Reply::Failure { remaining_methods, partial_success } => {
                return Ok(Some(AuthResult::Failure { remaining_methods, partial_success }));
            }
            Reply::InfoRequest { name, instructions, prompts } => (name, instructions, prompts),
        };
        let prompts: Vec<Prompt> =
            prompts.into_iter().map(|prompt| Prompt { text: prompt.prompt, echo: prompt.echo }).collect();
        // A server may only tell something, and wants an empty answer then.
        let is_telling = prompts.is_empty() && name.is_empty() && instructions.is_empty();
        let count = prompts.len();
        let answers = match is_telling {
            true => Some(Vec::new()),
            false => asker.ask(Question { from: from(endpoint), name, instructions, prompts }).await,
        };
        let Some(answers) = answers.filter(|answers| answers.len() == count) else { return Ok(None) };
        let answers = answers.iter().map(|answer| answer.reveal().to_owned()).collect();
        reply = handle.authenticate_keyboard_interactive_respond(answers).await?;
    }
    Ok(None)
}

async fn password(
    handle: &mut Handle<Client>,
    endpoint: &Endpoint,
    asker: &dyn Asker,
) -> Result<Option<AuthResult>, russh::Error> {
    let prompts = vec![Prompt { text: "Password: ".to_owned(), echo: false }];
    let question = Question { from: from(endpoint), prompts, ..Question::default() };
    let Some(answer) = asker.ask(question).await.and_then(|answers| answers.into_iter().next()) else {
        return Ok(None);
    };
    handle.authenticate_password(&endpoint.user, answer.reveal()).await.map(Some)
}

fn from(endpoint: &Endpoint) -> String {
    format!("{}@{}", endpoint.user, endpoint.address())
}
