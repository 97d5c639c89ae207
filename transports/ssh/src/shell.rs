//! An interactive shell on the remote side, by the user's own `ssh`.

use std::path::Path;

use ferry_engine_core::transport::quote_path;

use crate::settings::config::{Config, KeyPolicy};

/// Returns the local command line that opens a login shell in a remote directory, with the computer's settings.
pub(crate) fn command(host: &str, config: &Config, dir: &Path) -> Vec<String> {
    let mut words: Vec<String> = vec!["ssh".into(), "-t".into()];
    words.extend(options(config));
    words.extend(["--".to_owned(), host.to_owned()]);
    words.push(format!("cd {} && exec \"${{SHELL:-sh}}\" -l", quote_path(dir)));
    words
}

/// Returns the options by which `ssh` gets a computer's settings.
pub(crate) fn options(config: &Config) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut option = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    if let Some(file) = &config.config_file {
        option("-F", file.display().to_string());
    }
    if let Some(user) = &config.username {
        option("-l", user.clone());
    }
    if let Some(port) = config.port {
        option("-p", port.to_string());
    }
    for key in &config.keys {
        option("-i", key.display().to_string());
    }
    if !config.allow_agent {
        option("-o", "IdentityAgent=none".to_owned());
    }
    if let Some(jump) = &config.proxy_jump {
        option("-J", jump.clone());
    }
    if let Some(command) = &config.proxy_command {
        option("-o", format!("ProxyCommand={command}"));
    }
    if !config.known_hosts.is_empty() {
        // Quoted for `ssh` itself, which splits the value at blanks.
        let files: Vec<String> =
            config.known_hosts.iter().map(|file| format!("\"{}\"", file.display())).collect();
        option("-o", format!("UserKnownHostsFile={}", files.join(" ")));
    }
    if let Some(policy) = config.key_policy {
        let word = if policy == KeyPolicy::Strict { "yes" } else { "accept-new" };
        option("-o", format!("StrictHostKeyChecking={word}"));
    }
    words
}
