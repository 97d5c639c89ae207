//! A transport as a third party writes one: it reaches a computer by a command that runs programs there, such as
//! `docker exec -i NAME`, `kubectl exec -i POD --` or `sudo -n -u NAME`.
//!
//! ```text
//! transport: example.through
//! through: docker exec -i lab
//! ```

use std::{io, os::unix::process::ExitStatusExt, process::Stdio, sync::Arc};

use async_trait::async_trait;
use ferry_engine_core::{
    computer::Computer,
    transport::{
        Error, ErrorKind, Factory, Result, Setting, Transport,
        shell::{Session, Shell, ShellTransport},
    },
};
use tokio::process::Command;

/// Returns the factory, for `App::builder().transport(..)`.
pub fn register() -> Arc<dyn Factory> {
    Arc::new(Through)
}

#[derive(Debug)]
struct Through;

#[async_trait]
impl Factory for Through {
    fn name(&self) -> &'static str {
        "example.through"
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting {
            key: "through",
            help: "the command that runs programs there, such as `docker exec -i NAME`",
        }]
    }

    fn check(&self, computer: &Computer) -> Result<()> {
        words(computer).map(drop)
    }

    async fn open(&self, computer: &Computer) -> Result<Arc<dyn Transport>> {
        let shell = Words(words(computer)?);
        Ok(Arc::new(ShellTransport::new(shell, computer.connection_flag("use_login_shell"))))
    }
}

/// Returns the words of the setting, which are separated by blanks.
fn words(computer: &Computer) -> Result<Vec<String>> {
    let text = computer.connection.get("through").and_then(|value| value.as_str()).unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        let missing = Error::new(ErrorKind::Config, "computer").message("`through` is no command");
        return Err(missing.with("computer", &computer.label).help("set it, as to `docker exec -i NAME`"));
    }
    Ok(words)
}

/// The words in front of each program.
#[derive(Debug)]
struct Words(Vec<String>);

#[async_trait]
impl Shell for Words {
    async fn start(&self, program: &[&str]) -> Result<Session> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Unreachable, "start").with("program", &self.0[0]).source(error).later()
        };
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).args(program).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(failed(io::Error::other("a stream is missing")));
        };
        let status = Box::pin(async move {
            let status = child.wait().await.ok()?;
            status.code().or(status.signal().map(|signal| 128 + signal))
        });
        Ok(Session { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), status })
    }
}
