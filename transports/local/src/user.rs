//! The user on this machine, and the user's shell.

use std::path::Path;

use ferry_engine_core::transport::{Command, Result};

use crate::{Config, exec};

/// Returns the user's name, or the number where the user has none. `id` asks the user directory of this machine;
/// reading `/etc/passwd` would not.
pub(crate) async fn whoami() -> Result<String> {
    let output = exec::exec(Config::default(), &Command::new(["id", "-un"]).no_login_shell()).await?;
    let name = output.text().trim().to_owned();
    if output.status == 0 && !name.is_empty() {
        return Ok(name);
    }
    Ok(rustix::process::geteuid().as_raw().to_string())
}

/// Returns the user's own shell in a directory. The directory is an argument, so nothing in it is read as script.
pub(crate) fn shell_command(dir: &Path) -> Vec<String> {
    let script = r#"cd -- "$1" && exec "${SHELL:-sh}" -l"#;
    ["sh", "-c", script, "sh", &dir.to_string_lossy()].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_shell_opens_in_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("it's $(here)");
        std::fs::create_dir(&there).unwrap();
        let mut command = Command::new(shell_command(&there)).stdin("touch opened\n");
        command.env = [("SHELL".to_owned(), "/bin/sh".to_owned())].into();
        command.env.insert("HOME".to_owned(), dir.path().display().to_string());
        exec::exec(Config::default(), &command).await.unwrap();
        assert!(there.join("opened").is_file());
    }
}
