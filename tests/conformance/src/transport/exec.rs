//! Commands: words, status, directory, environment.

use std::time::Duration;

use ferry_engine_core::{
    error::Effect,
    transport::{Command, ErrorKind},
};
use tokio::time::Instant;

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

/// Words that a shell would read as something else.
const WORDS: &[&str] = &[
    "",
    " ",
    "two words",
    "it's",
    "\"",
    "$HOME",
    "`id`",
    "$(id)",
    "a;b",
    "a\nb",
    "\n",
    "-n",
    "--",
    "*",
    "~",
    "\\",
    "\\n",
    "#()",
    "{a,b}",
    "!x",
    "&",
    "|",
    "<a>",
    "gr\u{fc}n",
    "%s",
    "a=b",
    "\t",
];

pub(super) fn cases() -> Vec<Case> {
    cases![
        stdout_and_stderr_stay_apart,
        exit_status_is_no_error,
        a_signal_is_128_and_its_number,
        a_missing_program_is_127,
        a_file_that_is_no_program_is_126,
        no_words_at_all_fail,
        words_arrive_as_they_are,
        a_program_is_run_by_its_path,
        cwd_is_where_it_runs,
        cwd_may_be_reached_through_a_link,
        cwd_is_not_kept,
        cwd_that_is_missing_is_not_found,
        cwd_that_is_a_file_is_not_a_directory,
        environment_is_set,
        environment_is_added_to_the_logins,
        environment_values_arrive_as_they_are,
        without_a_login_shell_it_runs_too,
        a_background_child_does_not_hold_it_up,
        a_background_child_lives_on,
        output_before_the_end_is_complete,
        it_leads_a_group_of_its_own,
    ]
}

async fn stdout_and_stderr_stay_apart(site: Site) -> Outcome {
    let output = site.sh("echo out; echo err >&2").await?;
    assert_eq!((output.status, &*output.stdout, &*output.stderr), (0, &b"out\n"[..], &b"err\n"[..]));
    Ok(())
}

async fn exit_status_is_no_error(site: Site) -> Outcome {
    for status in [0, 1, 2, 42, 127, 255] {
        assert_eq!(site.sh(&format!("exit {status}")).await?.status, status);
    }
    Ok(())
}

async fn a_signal_is_128_and_its_number(site: Site) -> Outcome {
    for (name, number) in [("TERM", 15), ("KILL", 9)] {
        assert_eq!(site.sh(&format!("kill -{name} $$")).await?.status, 128 + number, "{name}");
    }
    Ok(())
}

async fn a_missing_program_is_127(site: Site) -> Outcome {
    let output = site.exec(&Command::new(["no-program-has-this-name"])).await?;
    assert_eq!(output.status, 127);
    assert!(output.error_text().contains("no-program-has-this-name"), "{}", output.error_text());
    Ok(())
}

async fn a_file_that_is_no_program_is_126(site: Site) -> Outcome {
    let file = site.make_file("file", "no program").await?;
    let output = site.exec(&Command::new([&file])).await?;
    assert_eq!(output.status, 126, "{}", output.error_text());
    Ok(())
}

async fn no_words_at_all_fail(site: Site) -> Outcome {
    let error = site.exec(&Command::new([""; 0])).await.expect_err("there is nothing to run");
    assert_eq!(error.effect(), Effect::None);
    Ok(())
}

async fn words_arrive_as_they_are(site: Site) -> Outcome {
    let words = ["sh", "-c", "for word; do printf '%s\\0' \"$word\"; done", "sh"];
    let output = site.exec(&Command::new(words.iter().chain(WORDS).copied())).await?;
    let expect: String = WORDS.iter().map(|word| format!("{word}\0")).collect();
    assert_eq!(output.text(), expect);
    Ok(())
}

async fn a_program_is_run_by_its_path(site: Site) -> Outcome {
    let path = site.path("my program;$(x)");
    site.write(&path, &mut &b"#!/bin/sh\necho \"ran $1\"\n"[..], true).await?;
    let output = site.exec(&Command::new([&path.to_string_lossy(), "it's"])).await?;
    assert_eq!(output.text(), "ran it's\n", "{}", output.error_text());
    Ok(())
}

async fn cwd_is_where_it_runs(site: Site) -> Outcome {
    let dir = site.make_dir("_'s f\"#").await?;
    site.exec(&Command::new(["touch", "here"]).cwd(&dir)).await?;
    assert_eq!(site.names(&dir).await?, ["here"]);
    Ok(())
}

async fn cwd_may_be_reached_through_a_link(site: Site) -> Outcome {
    site.make_dir("dir").await?;
    let link = site.make_link("link", "dir").await?;
    site.exec(&Command::new(["touch", "here"]).cwd(link)).await?;
    assert_eq!(site.names(&site.path("dir")).await?, ["here"]);
    Ok(())
}

async fn cwd_is_not_kept(site: Site) -> Outcome {
    let pwd = Command::new(["pwd"]);
    let before = site.exec(&pwd).await?.text();
    site.sh("cd / && pwd").await?;
    assert_eq!(site.exec(&pwd).await?.text(), before);
    Ok(())
}

async fn cwd_that_is_missing_is_not_found(site: Site) -> Outcome {
    let command = Command::new(["touch", "here"]).cwd(site.path("no"));
    let error = site.exec(&command).await.expect_err("it can't run there");
    assert_eq!((*error.kind(), error.effect()), (ErrorKind::NotFound, Effect::None));
    Ok(())
}

async fn cwd_that_is_a_file_is_not_a_directory(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    refused(site.exec(&Command::new(["true"]).cwd(file)).await, &[ErrorKind::NotADirectory]);
    Ok(())
}

async fn environment_is_set(site: Site) -> Outcome {
    let mut command = Command::sh("echo \"$FERRY_A-$FERRY_B\"");
    command.env = [("FERRY_A", "1"), ("FERRY_B", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(site.exec(&command).await?.text(), "1-2\n");
    Ok(())
}

async fn environment_is_added_to_the_logins(site: Site) -> Outcome {
    let mut command = Command::sh("echo \"${PATH:+set}\"; ls / >/dev/null && echo found");
    command.env = [("FERRY_A".to_owned(), "1".to_owned())].into();
    assert_eq!(site.exec(&command).await?.text(), "set\nfound\n");
    Ok(())
}

async fn environment_values_arrive_as_they_are(site: Site) -> Outcome {
    for value in WORDS {
        let mut command = Command::sh("printf %s \"$FERRY_A\"");
        command.env = [("FERRY_A".to_owned(), (*value).to_owned())].into();
        assert_eq!(site.exec(&command).await?.text(), *value);
    }
    Ok(())
}

async fn without_a_login_shell_it_runs_too(site: Site) -> Outcome {
    let command = Command::new(["echo", "it's"]).no_login_shell().cwd(site.dir());
    assert_eq!(site.exec(&command).await?.text(), "it's\n");
    Ok(())
}

async fn a_background_child_does_not_hold_it_up(site: Site) -> Outcome {
    let start = Instant::now();
    let output = site.sh("sleep 60 & echo $! > child; echo done").await?;
    let took = start.elapsed();
    site.sh("kill $(cat child)").await?;
    assert_eq!(output.text(), "done\n");
    assert!(took < Duration::from_secs(20), "it waited for its child: {took:?}");
    Ok(())
}

async fn a_background_child_lives_on(site: Site) -> Outcome {
    site.sh("(sleep 1; echo later > file) >/dev/null 2>&1 &").await?;
    site.await_file("file").await;
    Ok(())
}

async fn output_before_the_end_is_complete(site: Site) -> Outcome {
    // 40 kB sit in the pipe when the command ends, while a child keeps the pipe open.
    let output = site.sh("sleep 5 & printf '%40000d' 1").await?;
    assert_eq!(output.stdout.len(), 40_000);
    Ok(())
}

async fn it_leads_a_group_of_its_own(site: Site) -> Outcome {
    // A command that signals its whole group must not reach anybody else.
    let output = site.sh("trap : TERM; kill -TERM 0; echo survived").await?;
    assert_eq!(output.text(), "survived\n");
    assert_eq!(site.sh("echo well").await?.text(), "well\n");
    Ok(())
}
