//! Commands on the computer: a quiet shell, a quick login, the user, the tools, the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ferry_engine::transport::{Command, Result, is_nameless};

use super::{Bench, Check, shorten};

/// Maximum time of a small command.
const SOON: Duration = Duration::from_secs(20);
/// A login shell that takes longer slows every command down.
const SLOW: Duration = Duration::from_millis(100);
/// A command that takes longer than this to do nothing makes every step slow.
const TOO_SLOW: Duration = Duration::from_secs(3);
/// Clocks may differ by so much, s.
const CLOCK: f64 = 5.0;
/// Programs that job submission needs there.
const TOOLS: &str = "setsid timeout ln mv mkdir rm date stat grep";

const BE_QUIET: &str = "make the login files (~/.bashrc, ~/.profile) print only for people: \
                        `case $- in *i*) ... ;; esac` around what prints";

/// Runs a command the way ferry does, and wants nothing in its output but its own.
pub(super) async fn quiet(bench: &Bench) -> Check {
    const STEP: &str = "quiet shell";
    let command = Command::new(["echo", "ferry"]).timeout(SOON);
    let output = match bench.via.exec(&command).await {
        Ok(output) => output,
        Err(error) => {
            return Check::failed(STEP, &error, error.help_text().unwrap_or("can you log in there by hand?"));
        }
    };
    if output.status != 0 {
        let detail = format!("`echo` ended with {}: {}", output.status, shorten(&output.error_text()));
        return Check::failed(
            STEP,
            detail,
            "is there a POSIX shell, and do the login files end without an error?",
        );
    }
    let extra = output.text().replacen("ferry\n", "", 1) + &output.error_text();
    if extra.is_empty() {
        return Check::ok(STEP, "a command prints only its own output");
    }
    let help = if bench.computer.connection_flag("use_login_shell") {
        format!("{BE_QUIET}; or: ferry computer configure {} --use-login-shell=false", bench.computer.label)
    } else {
        BE_QUIET.to_owned()
    };
    Check::failed(STEP, format!("extra output: {}", shorten(&extra)), help)
}

/// Times a login shell beside a plain command.
pub(super) async fn login_time(bench: &Bench) -> Check {
    const STEP: &str = "login shell";
    let (plain, login) = match times(bench).await {
        Ok(times) => times,
        Err(error) => {
            return Check::failed(STEP, &error, "the login files hang or end the shell: look at ~/.bashrc");
        }
    };
    if plain > TOO_SLOW {
        let detail = format!("a command that does nothing takes {:.1} s", plain.as_secs_f64());
        return Check::failed(
            STEP,
            detail,
            "bash reads ~/.bashrc for commands too: look for what is slow there; or the host is overloaded",
        );
    }
    let Some(login) = login else { return Check::ok(STEP, "there is no bash") };
    let extra = login.saturating_sub(plain);
    let check = Check::ok(STEP, format!("takes {} ms", extra.as_millis()));
    if extra > SLOW {
        return check.hint(
            "over 100 ms: look for what is slow in ~/.bashrc and ~/.profile (conda, module load, ...)",
        );
    }
    check
}

async fn times(bench: &Bench) -> Result<(Duration, Option<Duration>)> {
    let run = async |words: &[&str]| {
        let begin = Instant::now();
        let command = Command::new(words.iter().copied()).no_login_shell().timeout(SOON);
        let output = bench.via.exec(&command).await?;
        Result::Ok((output.status, begin.elapsed()))
    };
    let (_, plain) = run(&["true"]).await?;
    let (status, login) = run(&["bash", "-lc", ":"]).await?;
    Ok((plain, (status != 127).then_some(login)))
}

/// Checks the user's name on the computer.
pub(super) async fn user(bench: &Bench) -> Check {
    match bench.via.whoami().await {
        Ok(number) if is_nameless(&number) => Check::ok("user", format!("{number}, which has no name there"))
            .hint("numbers do for jobs and files; if it should have one, are the users' directory and its cache up?"),
        Ok(name) => Check::ok("user", name),
        Err(error) => Check::failed("user", &error, "`id` must work there"),
    }
}

/// Checks the programs that submission uses.
pub(super) async fn tools(bench: &Bench) -> Check {
    const STEP: &str = "tools";
    let script = format!("for t in {TOOLS}; do command -v $t > /dev/null || echo $t; done");
    match bench.via.exec(&Command::sh(script).timeout(SOON)).await {
        Ok(output) => {
            let text = output.text();
            // A login shell that prints adds words of its own.
            let is_tool = |word: &&str| TOOLS.split(' ').any(|tool| tool == *word);
            let missing: Vec<_> = text.split_whitespace().filter(is_tool).collect();
            if missing.is_empty() {
                return Check::ok(STEP, "all there");
            }
            let help = "install them (packages coreutils, util-linux, grep), or set PATH in the login files";
            Check::failed(STEP, format!("missing: {}", missing.join(", ")), help)
        }
        Err(error) => Check::failed(STEP, &error, "can you run `sh` there by hand?"),
    }
}

/// Compares the clock there with ours.
pub(super) async fn clocks(bench: &Bench) -> Check {
    const STEP: &str = "clocks";
    const HELP: &str = "set the clocks by NTP; times of files and of the queue are compared with ours";
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let before = now();
    let output = match bench.via.exec(&Command::new(["date", "+%s"]).no_login_shell().timeout(SOON)).await {
        Ok(output) => output,
        Err(error) => return Check::failed(STEP, &error, "`date +%s` must work there"),
    };
    let after = now();
    match output.text().trim().parse::<f64>() {
        // Whole seconds: the moment lies anywhere in the second that follows.
        Ok(there) => {
            let difference = (before - there - 1.0).max(there - after).max(0.0);
            let check = Check::ok(STEP, format!("{difference:.0} s apart"));
            if difference > CLOCK { check.hint(HELP) } else { check }
        }
        Err(_) => Check::failed(STEP, format!("`date +%s` printed `{}`", shorten(&output.text())), HELP),
    }
}
