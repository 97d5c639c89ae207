//! The steps of a log-in, as a client asks for them.

use crate::{
    owner::{
        Context,
        logins::{self, Next},
    },
    rpc::{LoginState, LoginStep, Response},
};

/// Carries out a step of a log-in.
pub(super) async fn step(cx: &Context, step: LoginStep) -> Response {
    let id = match step {
        LoginStep::Begin { computer } => logins::begin(cx, &computer),
        LoginStep::Answer { id, answers } => {
            if logins::answer(cx, id, answers) {
                Ok(id)
            } else {
                Err(logins::over())
            }
        }
        LoginStep::Cancel { id } => {
            logins::cancel(cx, id);
            return Response::Done;
        }
    };
    let (id, next) = match id {
        Ok(id) => (id, logins::next(cx, id).await),
        Err(next) => (0, next),
    };
    match next {
        Next::Asked(question) => Response::Login(LoginState::Asked { id, question }),
        Next::In => Response::Login(LoginState::In),
        Next::Failed(message, help) => Response::Failed { message, help },
    }
}
