//! `KnownHostsCommand`: a program whose output is read as one more file of known hosts. See ssh_config(5), OpenSSH 9.2.

use std::{process::Stdio, time::Duration};

use data_encoding::BASE64;
use ferry_engine_core::transport::{Error, ErrorKind, Result};
use russh::keys::PublicKey;
use tokio::{process::Command, time::timeout};

use crate::{
    settings::tokens::Tokens,
    trust::{
        host_key::fingerprint,
        known_hosts::{self, Line},
    },
};

/// The reason for a run, which the command may be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason<'a> {
    /// To know which types of key to ask for.
    Order,
    /// To check this key.
    Check(&'a PublicKey),
}

/// Runs the command, without a shell, and returns the lines that it prints about the host `name`.
///
/// # Errors
/// `Config` if it can't be started or fails: it may be what revokes a key.
pub(super) async fn lines(
    command: &str,
    tokens: &Tokens,
    name: &str,
    reason: Reason<'_>,
    patience: Duration,
) -> Result<Vec<Line>> {
    let failed = |message: String| {
        Error::new(ErrorKind::Config, "known hosts command")
            .message(message)
            .with("command", command)
            .help("run it by hand; it is `KnownHostsCommand` of your SSH configuration")
    };
    let tokens = tokens.with(meanings(name, reason));
    let words = shlex::split(command).ok_or_else(|| failed("its quotes do not match".into()))?;
    let mut words = words.iter().map(|word| tokens.fill(word, "CHIKLdfhijklnprtu"));
    let program = words.next().filter(|program| program.starts_with('/'));
    let program = program.ok_or_else(|| failed("its program is not an absolute path".into()))?;
    let mut child = Command::new(program);
    child.args(words).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(patience, child.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            Ok(known_hosts::parse(&String::from_utf8_lossy(&output.stdout), "KnownHostsCommand"))
        }
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(failed(format!("it ended with {}: {said}", output.status)))
        }
        Ok(Err(error)) => Err(failed("it can't be run".into()).source(error)),
        Err(_) => Err(failed(format!("it did not end within {patience:?}")).later()),
    }
}

fn meanings(name: &str, reason: Reason<'_>) -> Vec<(char, String)> {
    let mut meanings = vec![('H', name.to_owned())];
    match reason {
        Reason::Order => {
            meanings.extend(['K', 't', 'f'].map(|token| (token, "NONE".to_owned())));
            meanings.push(('I', "ORDER".into()));
        }
        Reason::Check(key) => {
            meanings.push(('I', "HOSTNAME".into()));
            meanings.push(('t', key.algorithm().as_str().to_owned()));
            meanings.push(('f', fingerprint(key)));
            meanings.push(('K', key.to_bytes().map(|bytes| BASE64.encode(&bytes)).unwrap_or_default()));
        }
    }
    meanings
}
