//! Cases about the errors of every method: for invalid paths, and after the end of the connection.

use std::path::{Path, PathBuf};

use ferry_engine_core::{
    error::Effect,
    transport::{Command, Error, ErrorKind, QUIET, Result, Tree},
};
use libtest_mimic::{Completion, Failed};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = cases![
        relative_paths_are_invalid,
        empty_paths_are_invalid,
        nul_bytes_are_invalid,
        relative_local_paths_are_invalid,
        names_that_are_too_long_are_refused,
        texts_name_operation_and_path,
        after_close_everything_is_unreachable,
        close_twice_is_fine,
    ];
    cases.push(Case::ignorable("what_is_forbidden_is_permission_denied", forbidden));
    cases
}

async fn relative_paths_are_invalid(site: Site) -> Outcome {
    for path in ["name", "./name", "../name", "~/name", "a/b"] {
        all_invalid(&site, path).await;
    }
    Ok(())
}

async fn empty_paths_are_invalid(site: Site) -> Outcome {
    all_invalid(&site, "").await;
    Ok(())
}

async fn nul_bytes_are_invalid(site: Site) -> Outcome {
    all_invalid(&site, &format!("{}/nul\0byte", site.dir().display())).await;
    assert_eq!(site.names(site.dir()).await?, [""; 0]);
    Ok(())
}

async fn relative_local_paths_are_invalid(site: Site) -> Outcome {
    let far = site.make_file("file", "").await?;
    for local in ["name", "", "../name"] {
        let pairs = [(far.clone(), PathBuf::from(local))];
        refused(site.get_files(&pairs, QUIET).await, &[ErrorKind::InvalidPath]);
    }
    Ok(())
}

async fn names_that_are_too_long_are_refused(site: Site) -> Outcome {
    let path = site.path("n".repeat(300));
    refused(site.mkdir(&path).await, &[ErrorKind::InvalidPath, ErrorKind::Other]);
    assert_eq!(site.names(site.dir()).await?, [""; 0]);
    Ok(())
}

async fn texts_name_operation_and_path(site: Site) -> Outcome {
    let path = site.path("no-such-name");
    let error = site.stat(&path).await.expect_err("nothing is there");
    let text = error.to_string();
    assert!(text.starts_with("stat: ") && text.contains("no-such-name"), "{text}");
    assert_eq!(error.effect(), Effect::None);
    Ok(())
}

async fn after_close_everything_is_unreachable(site: Site) -> Outcome {
    let path = site.make_file("file", "").await?;
    site.close().await;
    for (method, result) in every_method(&site, &path).await {
        let error = result.expect_err(method);
        assert_eq!(*error.kind(), ErrorKind::Unreachable, "{method}: {error:?}");
    }
    refused(site.whoami().await, &[ErrorKind::Unreachable]);
    Ok(())
}

async fn close_twice_is_fine(site: Site) -> Outcome {
    site.close().await;
    site.close().await;
    Ok(())
}

async fn forbidden(site: Site) -> std::result::Result<Completion, Failed> {
    if site.sh("id -u").await?.text().trim() == "0" {
        return Ok(Completion::ignored_with("nothing is forbidden to root"));
    }
    let dir = site.make_dir("dir").await?;
    let file = site.make_file("dir/file", "").await?;
    site.chmod(&file, 0).await?;
    refused(site.read(&file, 0).await.map(drop), &[ErrorKind::PermissionDenied]);
    site.chmod(&dir, 0).await?;
    let denied = [
        site.stat(&file).await.map(drop),
        site.list(&dir).await.map(drop),
        site.glob(&dir.join("*")).await.map(drop),
        site.mkdir(&dir.join("sub")).await,
        site.exec(&Command::new(["true"]).cwd(&dir)).await.map(drop),
    ];
    site.chmod(&dir, 0o700).await?;
    for result in denied {
        refused(result, &[ErrorKind::PermissionDenied]);
    }
    Ok(Completion::Completed)
}

async fn all_invalid(site: &Site, path: &str) {
    for (method, result) in every_method(site, Path::new(path)).await {
        let error = result.expect_err(method);
        let seen = (*error.kind(), error.effect());
        assert_eq!(seen, (ErrorKind::InvalidPath, Effect::None), "{method} of {path:?}: {error:?}");
    }
}

/// Calls every method with every parameter that is a far path.
async fn every_method(site: &Site, path: &Path) -> Vec<(&'static str, Result<(), Error>)> {
    let good = site.path("good");
    let tree = Tree::default().bytes("file", *b"x");
    let pairs = [(path.to_owned(), std::env::temp_dir().join("ferry-conformance-never-written"))];
    vec![
        ("exec", site.exec(&Command::new(["true"]).cwd(path)).await.map(drop)),
        ("stat", site.stat(path).await.map(drop)),
        ("lstat", site.lstat(path).await.map(drop)),
        ("list", site.list(path).await.map(drop)),
        ("mkdir", site.mkdir(path).await),
        ("mkdirs", site.mkdirs(path).await),
        ("remove_file", site.remove_file(path).await),
        ("remove_dir", site.remove_dir(path).await),
        ("remove_tree", site.remove_tree(path).await),
        ("rename from", site.rename(path, &good).await),
        ("rename to", site.rename(&good, path).await),
        ("copy from", site.copy(path, &good).await),
        ("copy to", site.copy(&good, path).await),
        ("symlink target", site.symlink(path, &good).await),
        ("symlink link", site.symlink(&good, path).await),
        ("chmod", site.chmod(path, 0o600).await),
        ("read", site.read(path, 0).await.map(drop)),
        ("write", site.write(path, &mut &b"x"[..], false).await.map(drop)),
        ("put_tree", site.put_tree(&tree, path, QUIET).await),
        ("get_files", site.get_files(&pairs, QUIET).await),
        ("glob", site.glob(path).await.map(drop)),
    ]
}
