//! Facts, directories, links, permission bits and copies.

use std::time::{Duration, SystemTime};

use ferry_engine_core::transport::{ErrorKind, FileKind};
use libtest_mimic::{Completion, Failed};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = cases![
        stat_gives_size_kind_and_time,
        stat_of_a_directory,
        stat_follows_links_and_lstat_does_not,
        stat_of_a_link_to_nowhere_is_not_found,
        stat_of_nothing_is_not_found,
        stat_below_a_file_fails,
        list_gives_names_kinds_and_sizes,
        list_of_an_empty_directory_is_empty,
        list_of_nothing_is_not_found,
        list_of_a_file_is_not_a_directory,
        list_gives_two_thousand_names,
        mkdir_makes_one,
        mkdir_refuses_what_exists,
        mkdir_needs_a_parent,
        mkdirs_makes_parents,
        mkdirs_twice_is_fine,
        mkdirs_passes_through_links,
        mkdirs_refuses_a_file_in_the_way,
        chmod_reads_back,
        chmod_of_a_directory_to_nothing,
        chmod_follows_links,
        chmod_of_nothing_is_not_found,
        symlink_may_lead_nowhere,
        symlink_refuses_what_exists,
        copy_of_a_file_keeps_bytes_and_mode,
        copy_of_a_tree_keeps_links_as_links,
        copy_of_a_link_is_a_link,
        copy_refuses_what_exists,
        copy_of_nothing_is_not_found,
        copy_needs_a_parent,
        copy_into_itself_fails_and_ends,
        whoami_is_what_the_far_side_says,
    ];
    cases.push(Case::ignorable("shell_command_has_a_program", shell_command_has_a_program));
    cases
}

async fn stat_gives_size_kind_and_time(site: Site) -> Outcome {
    let path = site.make_file("a", "12345").await?;
    let facts = site.stat(&path).await?;
    assert_eq!((facts.kind, facts.size), (FileKind::File, 5));
    let age = SystemTime::now().duration_since(facts.modified).unwrap_or_default();
    assert!(age < Duration::from_secs(3600), "modified {age:?} ago");
    let owner = site.sh("id -u; id -g").await?.text();
    assert_eq!(format!("{}\n{}\n", facts.uid, facts.gid), owner);
    Ok(())
}

async fn stat_of_a_directory(site: Site) -> Outcome {
    assert_eq!(site.stat(site.dir()).await?.kind, FileKind::Dir);
    assert_eq!(site.lstat(site.dir()).await?.kind, FileKind::Dir);
    Ok(())
}

async fn stat_follows_links_and_lstat_does_not(site: Site) -> Outcome {
    site.make_file("file", "12345").await?;
    let link = site.make_link("link", "file").await?;
    assert_eq!(site.stat(&link).await?.kind, FileKind::File);
    assert_eq!(site.stat(&link).await?.size, 5);
    assert_eq!(site.lstat(&link).await?.kind, FileKind::Symlink);
    Ok(())
}

async fn stat_of_a_link_to_nowhere_is_not_found(site: Site) -> Outcome {
    let link = site.make_link("link", "nowhere").await?;
    refused(site.stat(&link).await, &[ErrorKind::NotFound]);
    assert_eq!(site.lstat(&link).await?.kind, FileKind::Symlink);
    Ok(())
}

async fn stat_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.stat(&site.path("no")).await, &[ErrorKind::NotFound]);
    refused(site.lstat(&site.path("no")).await, &[ErrorKind::NotFound]);
    refused(site.lstat(&site.path("no/no")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn stat_below_a_file_fails(site: Site) -> Outcome {
    site.make_file("file", "").await?;
    refused(site.stat(&site.path("file/a")).await, &[ErrorKind::NotFound, ErrorKind::NotADirectory]);
    Ok(())
}

async fn list_gives_names_kinds_and_sizes(site: Site) -> Outcome {
    site.make_file("file", "12345").await?;
    site.make_file(".hidden", "").await?;
    site.make_dir("dir").await?;
    site.make_link("link", "file").await?;
    let mut entries = site.list(site.dir()).await?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> =
        entries.iter().map(|entry| (entry.name.to_str().unwrap_or_default(), entry.metadata.kind)).collect();
    let expect = [
        (".hidden", FileKind::File),
        ("dir", FileKind::Dir),
        ("file", FileKind::File),
        ("link", FileKind::Symlink),
    ];
    assert_eq!(seen, expect);
    assert_eq!(entries[2].metadata.size, 5);
    Ok(())
}

async fn list_of_an_empty_directory_is_empty(site: Site) -> Outcome {
    assert_eq!(site.list(site.dir()).await?, []);
    Ok(())
}

async fn list_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.list(&site.path("no")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn list_of_a_file_is_not_a_directory(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    refused(site.list(&file).await, &[ErrorKind::NotADirectory]);
    Ok(())
}

async fn list_gives_two_thousand_names(site: Site) -> Outcome {
    site.sh("i=0; while [ $i -lt 2000 ]; do : > name-$i; i=$((i+1)); done").await?;
    assert_eq!(site.names(site.dir()).await?.len(), 2000);
    Ok(())
}

async fn mkdir_makes_one(site: Site) -> Outcome {
    site.mkdir(&site.path("a")).await?;
    assert_eq!(site.kind(&site.path("a")).await, Some(FileKind::Dir));
    Ok(())
}

async fn mkdir_refuses_what_exists(site: Site) -> Outcome {
    let paths = [
        site.make_dir("dir").await?,
        site.make_file("file", "").await?,
        site.make_link("link", "nowhere").await?,
    ];
    for path in paths {
        refused(site.mkdir(&path).await, &[ErrorKind::AlreadyExists]);
    }
    Ok(())
}

async fn mkdir_needs_a_parent(site: Site) -> Outcome {
    refused(site.mkdir(&site.path("a/b")).await, &[ErrorKind::NotFound]);
    assert_eq!(site.kind(&site.path("a")).await, None);
    Ok(())
}

async fn mkdirs_makes_parents(site: Site) -> Outcome {
    site.mkdirs(&site.path("a/b/c")).await?;
    assert_eq!(site.kind(&site.path("a/b/c")).await, Some(FileKind::Dir));
    Ok(())
}

async fn mkdirs_twice_is_fine(site: Site) -> Outcome {
    let file = site.make_dir("a/b").await?.join("file");
    site.write(&file, &mut &b"kept"[..], false).await?;
    site.mkdirs(&site.path("a/b")).await?;
    site.mkdirs(&site.path("a")).await?;
    assert_eq!(site.bytes(&file).await?, b"kept");
    Ok(())
}

async fn mkdirs_passes_through_links(site: Site) -> Outcome {
    site.make_dir("dir").await?;
    site.make_link("link", "dir").await?;
    site.mkdirs(&site.path("link")).await?;
    site.mkdirs(&site.path("link/a/b")).await?;
    assert_eq!(site.kind(&site.path("dir/a/b")).await, Some(FileKind::Dir));
    Ok(())
}

async fn mkdirs_refuses_a_file_in_the_way(site: Site) -> Outcome {
    let file = site.make_file("file", "kept").await?;
    let kinds = [ErrorKind::NotADirectory, ErrorKind::AlreadyExists];
    refused(site.mkdirs(&file).await, &kinds);
    refused(site.mkdirs(&file.join("a")).await, &kinds);
    assert_eq!(site.bytes(&file).await?, b"kept");
    Ok(())
}

async fn chmod_reads_back(site: Site) -> Outcome {
    let path = site.make_file("file", "").await?;
    for mode in [0o777, 0o511, 0o600, 0o000, 0o755] {
        site.chmod(&path, mode).await?;
        assert_eq!(site.stat(&path).await?.mode, mode, "{mode:o}");
    }
    Ok(())
}

async fn chmod_of_a_directory_to_nothing(site: Site) -> Outcome {
    let dir = site.make_dir("dir").await?;
    site.chmod(&dir, 0).await?;
    let mode = site.stat(&dir).await?.mode;
    site.chmod(&dir, 0o755).await?;
    assert_eq!(mode, 0);
    Ok(())
}

async fn chmod_follows_links(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    let link = site.make_link("link", "file").await?;
    site.chmod(&link, 0o640).await?;
    assert_eq!(site.lstat(&file).await?.mode, 0o640);
    Ok(())
}

async fn chmod_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.chmod(&site.path("no"), 0o600).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn symlink_may_lead_nowhere(site: Site) -> Outcome {
    let link = site.make_link("link", "later").await?;
    site.make_file("later", "here").await?;
    assert_eq!(site.bytes(&link).await?, b"here");
    Ok(())
}

async fn symlink_refuses_what_exists(site: Site) -> Outcome {
    let paths = [
        site.make_file("file", "kept").await?,
        site.make_dir("dir").await?,
        site.make_link("link", "no").await?,
    ];
    for path in paths {
        refused(site.symlink(&site.path("target"), &path).await, &[ErrorKind::AlreadyExists]);
    }
    assert_eq!(site.names(&site.path("dir")).await?, [""; 0]);
    assert_eq!(site.bytes(&site.path("file")).await?, b"kept");
    Ok(())
}

async fn copy_of_a_file_keeps_bytes_and_mode(site: Site) -> Outcome {
    let from = site.make_file("from", "bytes").await?;
    site.chmod(&from, 0o750).await?;
    site.copy(&from, &site.path("to")).await?;
    assert_eq!(site.bytes(&site.path("to")).await?, b"bytes");
    assert_eq!(site.stat(&site.path("to")).await?.mode, 0o750);
    site.make_file("from", "changed").await?;
    assert_eq!(site.bytes(&site.path("to")).await?, b"bytes");
    Ok(())
}

async fn copy_of_a_tree_keeps_links_as_links(site: Site) -> Outcome {
    site.make_dir("from/sub/empty").await?;
    site.make_file("from/sub/file", "bytes").await?;
    site.make_file("from/.hidden", "").await?;
    site.make_link("from/link", "from/sub").await?;
    site.make_link("from/nowhere", "no").await?;
    site.copy(&site.path("from"), &site.path("to")).await?;
    assert_eq!(site.names(&site.path("to")).await?, [".hidden", "link", "nowhere", "sub"]);
    assert_eq!(site.bytes(&site.path("to/sub/file")).await?, b"bytes");
    assert_eq!(site.kind(&site.path("to/sub/empty")).await, Some(FileKind::Dir));
    for link in ["to/link", "to/nowhere"] {
        assert_eq!(site.kind(&site.path(link)).await, Some(FileKind::Symlink));
    }
    assert_eq!(site.names(site.dir()).await?, ["from", "to"]);
    Ok(())
}

async fn copy_of_a_link_is_a_link(site: Site) -> Outcome {
    site.make_file("file", "bytes").await?;
    let link = site.make_link("link", "file").await?;
    site.copy(&link, &site.path("to")).await?;
    assert_eq!(site.kind(&site.path("to")).await, Some(FileKind::Symlink));
    assert_eq!(site.bytes(&site.path("to")).await?, b"bytes");
    Ok(())
}

async fn copy_refuses_what_exists(site: Site) -> Outcome {
    let file = site.make_file("file", "new").await?;
    let dir = site.make_dir("dir").await?;
    let kept = site.make_file("kept", "kept").await?;
    let empty = site.make_dir("empty").await?;
    let link = site.make_link("link", "no").await?;
    for from in [&file, &dir] {
        for to in [&kept, &empty, &link] {
            refused(site.copy(from, to).await, &[ErrorKind::AlreadyExists]);
        }
    }
    assert_eq!(site.bytes(&kept).await?, b"kept");
    assert_eq!(site.names(&empty).await?, [""; 0]);
    assert_eq!(site.names(site.dir()).await?, ["dir", "empty", "file", "kept", "link"]);
    Ok(())
}

async fn copy_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.copy(&site.path("no"), &site.path("to")).await, &[ErrorKind::NotFound]);
    assert_eq!(site.kind(&site.path("to")).await, None);
    Ok(())
}

async fn copy_needs_a_parent(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    refused(site.copy(&file, &site.path("no/to")).await, &[ErrorKind::NotFound]);
    let dir = site.make_dir("dir").await?;
    refused(site.copy(&dir, &site.path("no/to")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn copy_into_itself_fails_and_ends(site: Site) -> Outcome {
    site.make_dir("dir/sub").await?;
    let copied = site.copy(&site.path("dir"), &site.path("dir/sub/copy")).await;
    assert!(copied.is_err(), "a directory can't be in itself");
    Ok(())
}

async fn whoami_is_what_the_far_side_says(site: Site) -> Outcome {
    assert_eq!(site.whoami().await?, site.sh("id -un").await?.text().trim());
    Ok(())
}

async fn shell_command_has_a_program(site: Site) -> Result<Completion, Failed> {
    let argv = site.shell_command(&site.path("it's here"));
    if argv.is_empty() {
        return Ok(Completion::ignored_with("it opens no shell, by its own account"));
    }
    assert_ne!(argv[0], "", "{argv:?}");
    Ok(Completion::Completed)
}
