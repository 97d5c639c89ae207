//! Time-outs and dropped futures: nothing is left running, and nothing half written.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ferry_engine_core::{
    error::Effect,
    transport::{Command, ErrorKind, QUIET, Tree},
};
use libtest_mimic::Failed;
use tokio::{
    io::AsyncWriteExt,
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, eventually},
};

/// Bytes in each file of a tree.
const SIZE: u64 = 100_000;
/// A leader and a child of it that both write down their pids and then stay.
const FAMILY: &str = "sh -c 'echo $$ > child; exec sleep 300' & echo $$ > leader; wait";
/// The same, deaf to TERM.
const DEAF: &str = "trap '' TERM; sh -c 'echo $$ > child; while :; do sleep 1; done' &
    echo $$ > leader; while :; do sleep 1; done";

pub(super) fn cases() -> Vec<Case> {
    cases![
        timeout_says_that_the_outcome_is_unknown,
        timeout_ends_the_whole_group,
        timeout_ends_those_who_ignore_term,
        timeout_lets_the_group_clean_up,
        timeout_counts_for_silent_commands_too,
        timeout_spares_quick_commands,
        dropped_exec_leaves_no_child,
        dropped_exec_before_its_first_poll_runs_nothing,
        dropped_write_leaves_the_old_file,
        dropped_put_tree_leaves_whole_files,
        dropped_put_tree_ends_soon,
        dropped_get_files_leaves_whole_files,
        dropped_reader_harms_nobody,
    ]
}

async fn timeout_says_that_the_outcome_is_unknown(site: Site) -> Outcome {
    let start = Instant::now();
    let command = Command::new(["sleep", "60"]).timeout(Duration::from_millis(500));
    let error = site.exec(&command).await.expect_err("it takes too long");
    assert_eq!((*error.kind(), error.effect()), (ErrorKind::TimedOut, Effect::Unknown));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    Ok(())
}

async fn timeout_ends_the_whole_group(site: Site) -> Outcome {
    time_out(&site, FAMILY).await;
    site.await_end("leader").await;
    site.await_end("child").await;
    Ok(())
}

async fn timeout_ends_those_who_ignore_term(site: Site) -> Outcome {
    time_out(&site, DEAF).await;
    site.await_end("leader").await;
    site.await_end("child").await;
    Ok(())
}

async fn timeout_lets_the_group_clean_up(site: Site) -> Outcome {
    time_out(&site, "trap 'echo bye > cleaned; exit' TERM; while :; do sleep 0.1; done").await;
    site.await_file("cleaned").await;
    Ok(())
}

async fn timeout_counts_for_silent_commands_too(site: Site) -> Outcome {
    time_out(&site, "exec >&- 2>&-; exec sleep 60").await;
    Ok(())
}

async fn timeout_spares_quick_commands(site: Site) -> Outcome {
    let command = Command::sh("echo out").timeout(Duration::MAX);
    assert_eq!(site.exec(&command).await?.text(), "out\n");
    Ok(())
}

async fn dropped_exec_leaves_no_child(site: Site) -> Outcome {
    let running = tokio::spawn({
        let site = site.clone();
        async move { site.sh(DEAF).await }
    });
    site.await_file("leader").await;
    site.await_file("child").await;
    assert!(!site.has_ended("child").await?, "the child is there before");
    running.abort();
    site.await_end("leader").await;
    site.await_end("child").await;
    Ok(())
}

async fn dropped_exec_before_its_first_poll_runs_nothing(site: Site) -> Outcome {
    drop(site.sh("echo > ran"));
    assert_eq!(site.sh("ls").await?.text(), "");
    Ok(())
}

async fn dropped_write_leaves_the_old_file(site: Site) -> Outcome {
    let path = site.make_file("file", "old").await?;
    let (mut sender, mut stuck) = tokio::io::duplex(1 << 20);
    sender.write_all(&[b'x'; 700_000]).await?;
    let written = timeout(Duration::from_millis(500), site.write(&path, &mut stuck, false)).await;
    assert!(written.is_err(), "the rest of the stream never comes");
    assert_eq!(site.bytes(&path).await?, b"old");
    only_names_left(&site, &["file"]).await;
    Ok(())
}

async fn dropped_put_tree_leaves_whole_files(site: Site) -> Outcome {
    let to = drop_put_tree(&site, 400).await?;
    eventually("whole files alone", async || {
        let entries = site.list(&to).await.expect("can be listed");
        let is_whole = |name: &str, size| name.parse::<u32>().is_ok() && size == SIZE;
        entries.iter().all(|entry| is_whole(&entry.name.to_string_lossy(), entry.metadata.size))
    })
    .await;
    Ok(())
}

async fn dropped_put_tree_ends_soon(site: Site) -> Outcome {
    let to = drop_put_tree(&site, 2000).await?;
    let mut count = site.list(&to).await?.len();
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = site.list(&to).await?.len();
        if now == count {
            break;
        }
        count = now;
    }
    assert!(count < 2000, "it went on to the end with nobody waiting");
    Ok(())
}

async fn dropped_get_files_leaves_whole_files(site: Site) -> Outcome {
    let far = site.make_file("far", vec![b'x'; 3_000_000]).await?;
    let local = tempfile::tempdir()?;
    let pairs: Vec<_> = (0..100).map(|i| (far.clone(), local.path().join(format!("{i}")))).collect();
    let _ = timeout(Duration::from_millis(20), site.get_files(&pairs, QUIET)).await;
    eventually("whole files alone", async || {
        let entries = local.path().read_dir().into_iter().flatten().flatten();
        let is_whole = |name: &str, size| name.parse::<u32>().is_ok() && size == 3_000_000;
        let size = |entry: &std::fs::DirEntry| entry.metadata().map_or(0, |metadata| metadata.len());
        entries.into_iter().all(|entry| is_whole(&entry.file_name().to_string_lossy(), size(&entry)))
    })
    .await;
    Ok(())
}

async fn dropped_reader_harms_nobody(site: Site) -> Outcome {
    let path = site.make_file("file", vec![b'x'; 3_000_000]).await?;
    for _ in 0..200 {
        drop(site.read(&path, 0).await?);
    }
    assert_eq!(site.bytes(&path).await?.len(), 3_000_000);
    Ok(())
}

/// Begins to put this many files, and drops the future after the first of them.
async fn drop_put_tree(site: &Site, files: usize) -> Result<PathBuf, Failed> {
    let bytes: Arc<[u8]> = vec![b'x'; SIZE as usize].into();
    let tree = (0..files).fold(Tree::default(), |tree, i| tree.bytes(i.to_string(), bytes.clone()));
    let to = site.make_dir("tree").await?;
    let begun = Notify::new();
    let progress = |_| begun.notify_one();
    tokio::select! {
        put = site.put_tree(&tree, &to, &progress) => put?,
        () = begun.notified() => {}
    }
    Ok(to)
}

async fn time_out(site: &Site, script: &str) {
    let command = Command::sh(script).cwd(site.dir()).timeout(Duration::from_secs(1));
    let error = site.exec(&command).await.expect_err("it takes too long");
    assert_eq!(*error.kind(), ErrorKind::TimedOut, "{error:?}");
}

async fn only_names_left(site: &Site, names: &[&str]) {
    eventually("the temporary name's end", async || {
        site.names(site.dir()).await.expect("can be listed") == names
    })
    .await;
}
