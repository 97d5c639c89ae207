//! Compares the environments of a login shell and a plain one, and reports which of the two jobs get.

use std::{collections::BTreeMap, time::Duration};

use ferry_engine::{
    scheduler::starts_by_login,
    transport::{Command, Result},
};

use super::{Bench, Check, shorten};

const STEP: &str = "environment";
/// As long as a submission waits for login files.
const PATIENCE: Duration = Duration::from_secs(15);
/// Begins each line of the answer: login files may print others.
const MARK: &str = "#ferry ";
/// Prints the compared variables. `module` is a function at most sites, which only bash passes on.
const PROBE: &str = r#"printf '#ferry PATH %s\n#ferry MODULEPATH %s\n' "$PATH" "${MODULEPATH:-}"
if command -v module > /dev/null 2>&1; then echo '#ferry module yes'; fi"#;

/// The part of a shell's environment that is compared.
type Found = BTreeMap<String, String>;

/// Compares the two.
pub(super) async fn compare(bench: &Bench) -> Check {
    let jobs_login = starts_by_login(
        bench.computer.login_shell(),
        &bench.scheduler.capabilities(),
        bench.via.capabilities().is_local,
    );
    let plain = ask(
        bench,
        &["sh", "-c", "command -v bash > /dev/null && exec bash -c \"$1\"; eval \"$1\"", "sh", PROBE],
    );
    let plain = match plain.await {
        Ok((_, Some(found))) => found,
        Ok((said, None)) => return Check::failed(STEP, format!("a plain shell answered `{said}`"), PLAIN),
        Err(error) => return Check::failed(STEP, &error, PLAIN),
    };
    let login = match ask(bench, &["bash", "-l", "-c", PROBE]).await {
        Ok((_, Some(found))) => found,
        Ok((said, None)) if said.contains("not found") => return Check::ok(STEP, "there is no bash"),
        Ok((said, None)) => return broken(bench, jobs_login, &format!("`bash -l` ran no command: {said}")),
        Err(error) => return broken(bench, jobs_login, &error.to_string()),
    };
    told(&bench.computer.label, jobs_login, &differences(&plain, &login))
}

const PLAIN: &str = "is there a POSIX shell?";

/// Asks a shell. Returns its output too, in case it is no answer.
async fn ask(bench: &Bench, words: &[&str]) -> Result<(String, Option<Found>)> {
    let command = Command::new(words.iter().copied()).no_login_shell().timeout(PATIENCE);
    let output = bench.via.exec(&command).await?;
    let found = read(&output.text());
    Ok((shorten(&(output.text() + &output.error_text())), found.contains_key("PATH").then_some(found)))
}

fn read(text: &str) -> Found {
    let pairs = text.lines().filter_map(|line| line.strip_prefix(MARK)?.split_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn broken(bench: &Bench, jobs_login: bool, why: &str) -> Check {
    if !jobs_login {
        return Check::ok(STEP, "jobs start without login files").hint(format!("they do not work: {why}"));
    }
    let help = format!(
        "look at /etc/profile, ~/.bash_profile and ~/.profile: jobs would start from them, and start without them \
         now; or: ferry computer configure {} --use-login-shell=false",
        bench.computer.label
    );
    Check::failed(STEP, why, help)
}

/// Tells in words what login files add and take away.
fn differences(plain: &Found, login: &Found) -> Vec<String> {
    let mut told = Vec::new();
    match (plain.contains_key("module"), login.contains_key("module")) {
        (false, true) => told.push("`module` is there only after a login".to_owned()),
        (true, false) => told.push("`module` is there only without a login".to_owned()),
        _ => {}
    }
    for name in ["PATH", "MODULEPATH"] {
        let dirs = |found: &Found| -> Vec<String> {
            let text = found.get(name).map(String::as_str).unwrap_or_default();
            text.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
        };
        let (before, after) = (dirs(plain), dirs(login));
        let lacks = |of: &[String], in_: &[String]| -> String {
            let missing = of.iter().filter(|dir| !in_.contains(dir)).map(String::as_str);
            shorten(&missing.collect::<Vec<_>>().join(":"))
        };
        let (added, gone) = (lacks(&after, &before), lacks(&before, &after));
        told.extend((!added.is_empty()).then(|| format!("a login adds {added} to {name}")));
        told.extend((!gone.is_empty()).then(|| format!("a login takes {gone} out of {name}")));
    }
    told
}

fn told(label: &str, jobs_login: bool, differences: &[String]) -> Check {
    let which = if jobs_login { "jobs start from a login shell" } else { "jobs start without a login shell" };
    if differences.is_empty() {
        return Check::ok(STEP, format!("{which}, which makes no difference to module, PATH and MODULEPATH"));
    }
    let check = Check::ok(STEP, format!("{which}; {}", differences.join("; ")));
    if jobs_login {
        return check;
    }
    check.hint(format!("if jobs need that: ferry computer configure {label} --use-login-shell=true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_changes_is_named() {
        let plain = read("#ferry PATH /usr/bin:/bin:/venv\n#ferry MODULEPATH \n");
        let login = read(
            "Welcome!\n#ferry PATH /apps/bin:/usr/bin:/bin\n#ferry MODULEPATH /apps/m\n#ferry module yes\n",
        );
        assert_eq!(
            differences(&plain, &login),
            [
                "`module` is there only after a login",
                "a login adds /apps/bin to PATH",
                "a login takes /venv out of PATH",
                "a login adds /apps/m to MODULEPATH",
            ]
        );
        assert!(differences(&login, &login).is_empty());
        let check = told("x", false, &differences(&plain, &login));
        assert!(check.ok && check.help.unwrap().contains("configure x --use-login-shell=true"));
        assert_eq!(told("x", true, &[]).help, None);
    }
}
