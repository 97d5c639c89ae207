//! Many tasks at once on one transport.

use std::{sync::Arc, time::Duration};

use ferry_engine_core::transport::{Command, ErrorKind, QUIET, Tree};
use tokio::{task::JoinSet, time::Instant};

use super::{
    case::{Case, Outcome, cases},
    site::Site,
};

const MANY: usize = 100;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = cases![
        a_hundred_commands,
        a_hundred_commands_with_long_output,
        a_hundred_commands_with_children_left_behind,
        a_hundred_files,
        a_hundred_readers_of_one_file,
        twenty_trees,
        of_many_mkdir_one_succeeds,
        many_mkdirs_all_succeed,
        writers_of_one_file_leave_one_whole,
        slow_commands_run_side_by_side,
        a_slow_command_holds_nobody_up,
    ];
    let racing = Case::new("of_many_renames_one_succeeds", of_many_renames_one_succeeds);
    cases.push(
        racing.needs(|can| can.atomic_no_replace, "it can't refuse a target atomically, by its own account"),
    );
    cases
}

async fn a_hundred_commands(site: Site) -> Outcome {
    all(&site, MANY, |site, i| async move {
        assert_eq!(site.sh(&format!("echo {i}")).await?.text(), format!("{i}\n"));
        Ok(())
    })
    .await
}

async fn a_hundred_commands_with_long_output(site: Site) -> Outcome {
    all(&site, MANY, |site, _| async move {
        let output = site.sh("head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2").await?;
        assert_eq!((output.stdout.len(), output.stderr.len()), (500_000, 500_000));
        Ok(())
    })
    .await
}

/// A command's output is complete also while its child keeps the pipe open and the machine is busy.
async fn a_hundred_commands_with_children_left_behind(site: Site) -> Outcome {
    all(&site, MANY, |site, _| async move {
        let output = site.sh("sleep 2 & printf '%50000d' 1; printf '%50000d' 1 >&2").await?;
        assert_eq!((output.stdout.len(), output.stderr.len()), (50_000, 50_000));
        Ok(())
    })
    .await
}

async fn a_hundred_files(site: Site) -> Outcome {
    all(&site, MANY, |site, i| async move {
        let dir = site.make_dir(&format!("d{i}")).await?;
        let file = site.make_file(&format!("d{i}/file"), vec![b'x'; i * 1000]).await?;
        assert_eq!(site.bytes(&file).await?.len(), i * 1000);
        site.rename(&file, &dir.join("renamed")).await?;
        assert_eq!(site.names(&dir).await?, ["renamed"]);
        site.remove_tree(&dir).await?;
        Ok(())
    })
    .await?;
    assert_eq!(site.names(site.dir()).await?, [""; 0]);
    Ok(())
}

async fn a_hundred_readers_of_one_file(site: Site) -> Outcome {
    let path = site.make_file("file", vec![b'x'; 1_000_000]).await?;
    let path = Arc::new(path);
    all(&site, MANY, move |site, i| {
        let path = path.clone();
        async move {
            assert_eq!(site.bytes_from(&path, i as u64).await?.len(), 1_000_000 - i);
            Ok(())
        }
    })
    .await
}

async fn twenty_trees(site: Site) -> Outcome {
    let tree =
        (0..50).fold(Tree::default(), |tree, i| tree.bytes(format!("{}/{i}", i % 5), vec![b'x'; i * 100]));
    let tree = Arc::new(tree);
    all(&site, 20, move |site, i| {
        let tree = tree.clone();
        async move { Ok(site.put_tree(&tree, &site.path(format!("tree-{i}")), QUIET).await?) }
    })
    .await?;
    assert_eq!(site.sh("find . -type f | wc -l").await?.text().trim(), "1000");
    Ok(())
}

async fn of_many_mkdir_one_succeeds(site: Site) -> Outcome {
    let results = each(&site, 50, |site, _| async move { site.mkdir(&site.path("dir")).await }).await;
    one_won(&results);
    Ok(())
}

async fn of_many_renames_one_succeeds(site: Site) -> Outcome {
    for i in 0..50 {
        site.make_dir(&format!("from-{i}")).await?;
    }
    let rename =
        |site: Site, i| async move { site.rename(&site.path(format!("from-{i}")), &site.path("to")).await };
    one_won(&each(&site, 50, rename).await);
    assert_eq!(site.names(&site.path("to")).await?, [""; 0], "none was moved into another");
    assert_eq!(site.names(site.dir()).await?.len(), 50);
    Ok(())
}

async fn many_mkdirs_all_succeed(site: Site) -> Outcome {
    all(&site, 50, |site, i| async move {
        site.make_dir(&format!("a/b/c/d/{}", i % 3)).await?;
        Ok(())
    })
    .await
}

async fn writers_of_one_file_leave_one_whole(site: Site) -> Outcome {
    all(&site, 20, |site, i| async move {
        site.make_file("file", vec![b'a' + i as u8; 600_000]).await?;
        Ok(())
    })
    .await?;
    let bytes = site.bytes(&site.path("file")).await?;
    assert!(bytes.len() == 600_000 && bytes.iter().all(|byte| *byte == bytes[0]));
    assert_eq!(site.names(site.dir()).await?, ["file"]);
    Ok(())
}

async fn slow_commands_run_side_by_side(site: Site) -> Outcome {
    let start = Instant::now();
    all(&site, 20, |site, _| async move {
        site.exec(&Command::new(["sleep", "2"])).await?;
        Ok(())
    })
    .await?;
    assert!(start.elapsed() < Duration::from_secs(20), "one after another: {:?}", start.elapsed());
    Ok(())
}

async fn a_slow_command_holds_nobody_up(site: Site) -> Outcome {
    let slow = tokio::spawn({
        let site = site.clone();
        async move { site.sh("echo > began; sleep 30").await }
    });
    site.await_file("began").await;
    let start = Instant::now();
    site.stat(site.dir()).await?;
    site.sh("true").await?;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    slow.abort();
    Ok(())
}

/// Runs something this many times at once; all must succeed.
async fn all<F>(site: &Site, times: usize, run: impl Fn(Site, usize) -> F) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    each(site, times, run).await.into_iter().collect()
}

async fn each<F>(site: &Site, times: usize, run: impl Fn(Site, usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let tasks: JoinSet<_> = (0..times).map(|i| run(site.clone(), i)).collect();
    tasks.join_all().await
}

fn one_won(results: &[ferry_engine_core::transport::Result<()>]) {
    let won = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(won, 1, "of {}", results.len());
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(*error.kind(), ErrorKind::AlreadyExists, "{error:?}");
    }
}
