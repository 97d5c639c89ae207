//! Whole trees: written as they are described, and never outside of their directory.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ferry_engine_core::{
    error::Effect,
    transport::{ErrorKind, FileKind, QUIET, Tree, TreeEntry},
};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        files_directories_links_and_programs,
        from_local_files,
        an_empty_tree_makes_its_directory,
        the_target_and_its_parents_are_made,
        the_target_may_be_reached_through_a_link,
        what_is_there_stays,
        files_and_links_are_replaced,
        twice_is_fine,
        a_link_in_place_of_a_file_is_replaced,
        a_planted_link_is_not_followed,
        a_planted_link_deep_down_is_not_followed,
        a_file_in_place_of_a_directory_is_refused,
        a_directory_in_place_of_a_file_is_refused,
        names_that_leave_are_refused,
        names_below_files_and_links_are_refused,
        relative_targets_and_sources_are_refused,
        a_missing_local_file_is_not_found,
        a_local_directory_is_refused,
        no_other_name_is_left,
        progress_adds_up,
        two_thousand_files,
        a_hundred_levels,
        jumping_between_directories,
    ]
}

async fn files_directories_links_and_programs(site: Site) -> Outcome {
    let to = site.path("to");
    let tree = Tree::default()
        .bytes("a/b/file", *b"bytes")
        .bytes("a/zero", *b"")
        .bytes(".hidden", *b"h")
        .program("run.sh", *b"#!/bin/sh\necho ran\n")
        .dir("empty/below")
        .symlink("a/link", to.join("run.sh"))
        .symlink("nowhere", "/no/where");
    site.put_tree(&tree, &to, QUIET).await?;
    assert_eq!(site.names(&to).await?, [".hidden", "a", "empty", "nowhere", "run.sh"]);
    assert_eq!(site.names(&to.join("a")).await?, ["b", "link", "zero"]);
    assert_eq!(site.bytes(&to.join("a/b/file")).await?, b"bytes");
    assert_eq!(site.stat(&to.join("a/zero")).await?.size, 0);
    assert_eq!(site.kind(&to.join("empty/below")).await, Some(FileKind::Dir));
    assert_eq!(site.kind(&to.join("nowhere")).await, Some(FileKind::Symlink));
    assert_eq!(site.stat(&to.join("a/b/file")).await?.mode & 0o711, 0o600);
    assert_eq!(site.sh("to/a/link").await?.text(), "ran\n");
    Ok(())
}

async fn from_local_files(site: Site) -> Outcome {
    let local = tempfile::tempdir()?;
    let path = |name: &str| local.path().join(name);
    fs::write(path("large"), vec![b'x'; 5_000_000])?;
    fs::write(path("empty"), "")?;
    std::os::unix::fs::symlink(path("large"), path("link"))?;
    let program = TreeEntry::File { from: path("large"), executable: true };
    let mut tree = Tree::default()
        .file("sub/large", path("large"))
        .file("empty", path("empty"))
        .file("linked", path("link"));
    tree.entries.insert("program".into(), program);
    site.put_tree(&tree, &site.path("to"), QUIET).await?;
    assert_eq!(site.bytes(&site.path("to/sub/large")).await?, vec![b'x'; 5_000_000]);
    assert_eq!(site.stat(&site.path("to/empty")).await?.size, 0);
    assert_eq!(site.lstat(&site.path("to/linked")).await?.size, 5_000_000);
    assert_eq!(site.stat(&site.path("to/program")).await?.mode & 0o700, 0o700);
    Ok(())
}

async fn an_empty_tree_makes_its_directory(site: Site) -> Outcome {
    site.put_tree(&Tree::default(), &site.path("to"), QUIET).await?;
    assert_eq!(site.names(&site.path("to")).await?, [""; 0]);
    Ok(())
}

async fn the_target_and_its_parents_are_made(site: Site) -> Outcome {
    site.put_tree(&Tree::default().bytes("file", *b"x"), &site.path("a/b/c"), QUIET).await?;
    assert_eq!(site.bytes(&site.path("a/b/c/file")).await?, b"x");
    Ok(())
}

async fn the_target_may_be_reached_through_a_link(site: Site) -> Outcome {
    site.make_dir("dir").await?;
    site.make_link("link", "dir").await?;
    let tree = Tree::default().bytes("file", *b"x");
    site.put_tree(&tree, &site.path("link"), QUIET).await?;
    site.put_tree(&tree, &site.path("link/sub"), QUIET).await?;
    assert_eq!(site.names(&site.path("dir")).await?, ["file", "sub"]);
    Ok(())
}

async fn what_is_there_stays(site: Site) -> Outcome {
    site.make_dir("to/sub").await?;
    site.make_file("to/sub/kept", "kept").await?;
    site.put_tree(&Tree::default().bytes("sub/new", *b"new").dir("sub"), &site.path("to"), QUIET).await?;
    assert_eq!(site.names(&site.path("to/sub")).await?, ["kept", "new"]);
    Ok(())
}

async fn files_and_links_are_replaced(site: Site) -> Outcome {
    site.make_dir("to").await?;
    site.make_file("to/file", "a longer old one").await?;
    site.make_file("to/becomes-link", "old").await?;
    let target = site.make_file("target", "kept").await?;
    let tree = Tree::default().bytes("file", *b"new").symlink("becomes-link", &target);
    site.put_tree(&tree, &site.path("to"), QUIET).await?;
    assert_eq!(site.bytes(&site.path("to/file")).await?, b"new");
    assert_eq!(site.kind(&site.path("to/becomes-link")).await, Some(FileKind::Symlink));
    assert_eq!(site.bytes(&site.path("to/becomes-link")).await?, b"kept");
    Ok(())
}

async fn twice_is_fine(site: Site) -> Outcome {
    let tree = Tree::default().bytes("a/file", *b"x").symlink("a/link", "/no").dir("d");
    for _ in 0..2 {
        site.put_tree(&tree, &site.path("to"), QUIET).await?;
    }
    assert_eq!(site.names(&site.path("to/a")).await?, ["file", "link"]);
    Ok(())
}

async fn a_link_in_place_of_a_file_is_replaced(site: Site) -> Outcome {
    let outside = site.make_file("outside", "kept").await?;
    site.make_dir("to").await?;
    site.make_link("to/file", "outside").await?;
    site.put_tree(&Tree::default().bytes("file", *b"new"), &site.path("to"), QUIET).await?;
    assert_eq!(site.bytes(&outside).await?, b"kept");
    assert_eq!(site.kind(&site.path("to/file")).await, Some(FileKind::File));
    Ok(())
}

async fn a_planted_link_is_not_followed(site: Site) -> Outcome {
    let outside = site.make_dir("outside").await?;
    site.make_dir("to").await?;
    site.make_link("to/sub", "outside").await?;
    let tree = Tree::default().bytes("sub/file", *b"escaped");
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::NotADirectory]);
    let tree = Tree::default().dir("sub/dir");
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::NotADirectory]);
    let tree = Tree::default().dir("sub");
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::NotADirectory]);
    assert_eq!(site.names(&outside).await?, [""; 0]);
    Ok(())
}

async fn a_planted_link_deep_down_is_not_followed(site: Site) -> Outcome {
    let outside = site.make_dir("outside/b").await?;
    site.make_dir("to").await?;
    site.make_dir("to/a").await?;
    site.make_link("to/a/up", "outside").await?;
    let tree = Tree::default().bytes("a/fine", *b"x").bytes("a/up/b/file", *b"escaped");
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::NotADirectory]);
    assert_eq!(site.names(&outside).await?, [""; 0]);
    Ok(())
}

async fn a_file_in_place_of_a_directory_is_refused(site: Site) -> Outcome {
    site.make_dir("to").await?;
    let kept = site.make_file("to/sub", "kept").await?;
    for tree in [Tree::default().bytes("sub/file", *b"x"), Tree::default().dir("sub")] {
        refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::NotADirectory]);
    }
    assert_eq!(site.bytes(&kept).await?, b"kept");
    Ok(())
}

async fn a_directory_in_place_of_a_file_is_refused(site: Site) -> Outcome {
    site.make_dir("to/file").await?;
    for tree in [Tree::default().bytes("file", *b"x"), Tree::default().symlink("file", "/no")] {
        refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::IsADirectory]);
    }
    assert_eq!(site.names(&site.path("to")).await?, ["file"]);
    assert_eq!(site.names(&site.path("to/file")).await?, [""; 0]);
    Ok(())
}

async fn names_that_leave_are_refused(site: Site) -> Outcome {
    let absolute = site.path("escaped");
    let names = ["../escaped", "a/../../escaped", "a/..", "..", "", ".", "./a", "nul\0byte"];
    for name in names.iter().map(|name| name.as_ref()).chain([absolute.as_path()]) {
        for tree in [Tree::default().bytes(name, *b"x"), Tree::default().dir(name)] {
            let tree = tree.bytes("first", *b"x");
            let error =
                site.put_tree(&tree, &site.path("to"), QUIET).await.expect_err("it must not be written");
            assert_eq!((*error.kind(), error.effect()), (ErrorKind::InvalidPath, Effect::None), "{name:?}");
        }
    }
    assert_eq!(site.names(site.dir()).await?, [""; 0], "nothing was written at all");
    Ok(())
}

async fn names_below_files_and_links_are_refused(site: Site) -> Outcome {
    let outside = site.make_dir("outside").await?;
    for tree in [Tree::default().symlink("a", &outside), Tree::default().bytes("a", *b"file")] {
        let tree = tree.bytes("a/b/escaped", *b"x");
        refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::InvalidPath]);
    }
    assert_eq!(site.names(&outside).await?, [""; 0]);
    Ok(())
}

async fn relative_targets_and_sources_are_refused(site: Site) -> Outcome {
    for tree in [Tree::default().symlink("a", "../up"), Tree::default().file("a", "local")] {
        refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::InvalidPath]);
    }
    Ok(())
}

async fn a_missing_local_file_is_not_found(site: Site) -> Outcome {
    let local = tempfile::tempdir()?;
    let tree = Tree::default().file("a", local.path().join("no"));
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn a_local_directory_is_refused(site: Site) -> Outcome {
    let local = tempfile::tempdir()?;
    let tree = Tree::default().file("a", local.path());
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::IsADirectory]);
    assert_eq!(site.kind(&site.path("to/a")).await, None);
    Ok(())
}

async fn no_other_name_is_left(site: Site) -> Outcome {
    site.make_dir("to/in-the-way").await?;
    let tree = Tree::default().bytes("a", *b"x").symlink("b", "/no").bytes("in-the-way", *b"x");
    refused(site.put_tree(&tree, &site.path("to"), QUIET).await, &[ErrorKind::IsADirectory]);
    let names = site.names(&site.path("to")).await?;
    assert!(names.iter().all(|name| ["a", "b", "in-the-way"].contains(&name.as_str())), "{names:?}");
    Ok(())
}

async fn progress_adds_up(site: Site) -> Outcome {
    let local = tempfile::tempdir()?;
    fs::write(local.path().join("file"), vec![b'x'; 3_000_000])?;
    let tree = Tree::default()
        .bytes("small", *b"12345")
        .bytes("empty", *b"")
        .bytes("a/large", vec![b'x'; 2_000_000])
        .file("file", local.path().join("file"));
    let sum = AtomicU64::new(0);
    let add = |bytes| _ = sum.fetch_add(bytes, Ordering::Relaxed);
    site.put_tree(&tree, &site.path("to"), &add).await?;
    assert_eq!(sum.into_inner(), 5_000_005);
    Ok(())
}

async fn two_thousand_files(site: Site) -> Outcome {
    let bytes: Arc<[u8]> = Arc::from(*b"bytes");
    let tree =
        (0..2000).fold(Tree::default(), |tree, i| tree.bytes(format!("{}/{i}", i % 20), bytes.clone()));
    site.put_tree(&tree, &site.path("to"), QUIET).await?;
    assert_eq!(site.sh("cat to/*/* | wc -c").await?.text().trim(), "10000");
    Ok(())
}

async fn a_hundred_levels(site: Site) -> Outcome {
    let deep = vec!["d"; 100].join("/");
    site.put_tree(&Tree::default().bytes(format!("{deep}/file"), *b"x"), &site.path("to"), QUIET).await?;
    assert_eq!(site.bytes(&site.path("to").join(deep).join("file")).await?, b"x");
    site.remove_tree(&site.path("to")).await?;
    assert_eq!(site.kind(&site.path("to")).await, None);
    Ok(())
}

async fn jumping_between_directories(site: Site) -> Outcome {
    let names = ["a/b/c/1", "a/b/2", "a/b-c/3", "a/c/b/4", "ab/5", "b/a/6", "7"];
    let tree = names.iter().fold(Tree::default(), |tree, name| tree.bytes(*name, name.as_bytes()));
    site.put_tree(&tree, &site.path("to"), QUIET).await?;
    for name in names {
        assert_eq!(site.bytes(&site.path("to").join(name)).await?, name.as_bytes());
    }
    assert_eq!(site.sh("find to -type f | wc -l").await?.text().trim(), "7");
    Ok(())
}
