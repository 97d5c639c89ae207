//! The settings of this transport.

use ferry_engine_core::{
    computer::Computer,
    transport::{Error, ErrorKind, Result, Setting},
};

const USE_LOGIN_SHELL: &str = "use_login_shell";

/// The settings that a computer file may have.
pub(crate) const SETTINGS: &[Setting] = &[Setting {
    key: USE_LOGIN_SHELL,
    help: "run commands through `bash -l`, so that they see what your login files set (default: only what submits to a queue)",
}];

/// The settings, read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Config {
    /// True to run commands through `bash -l`, unless a command says otherwise.
    pub use_login_shell: bool,
}

impl Config {
    /// Reads the connection settings of a computer. Keys of others are ignored.
    ///
    /// # Errors
    /// `Config`, naming the key.
    pub fn read(computer: &Computer) -> Result<Self> {
        let use_login_shell = match computer.connection.get(USE_LOGIN_SHELL) {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| {
                Error::new(ErrorKind::Config, "computer")
                    .message(format!("`{USE_LOGIN_SHELL}` is {value}"))
                    .with("computer", &computer.label)
                    .help("set it to true or false")
            })?,
        };
        Ok(Config { use_login_shell })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Option<&str>, expect: Result<bool, &str>) {
        let mut computer = Computer { label: "here".into(), ..Computer::default() };
        computer.connection.extend(value.map(|text| (USE_LOGIN_SHELL.into(), text.parse().unwrap())));
        let read = Config::read(&computer).map(|config| config.use_login_shell).map_err(|e| e.to_string());
        assert_eq!(read, expect.map_err(str::to_owned));
    }

    #[test]
    fn only_true_and_false_are_understood() {
        check(None, Ok(false));
        check(Some("true"), Ok(true));
        check(Some("\"yes\""), Err("`use_login_shell` is \"yes\", computer: here"));
    }
}
