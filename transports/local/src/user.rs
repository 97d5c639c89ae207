//! The user's shell on this machine.

use std::{ffi::OsString, path::Path};

/// Returns the user's own shell in a directory. The directory is an argument, so nothing in it is read as script.
pub(crate) fn shell_command(dir: &Path) -> Vec<OsString> {
    let script = r#"cd -- "$1" && exec "${SHELL:-sh}" -l"#;
    ["sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), dir.as_os_str()].map(OsString::from).into()
}

#[cfg(test)]
mod tests {
    use ferry_engine_core::transport::Command;

    use super::*;
    use crate::{Config, exec};

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
