//! Removal: exactly what is asked for, and never more.

use ferry_engine_core::transport::{ErrorKind, FileKind};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        remove_file_removes_it,
        remove_file_of_a_link_leaves_its_target,
        remove_file_of_nothing_is_not_found,
        remove_file_refuses_a_directory,
        remove_dir_removes_an_empty_one,
        remove_dir_refuses_one_with_names_in_it,
        remove_dir_refuses_files_and_links,
        remove_dir_of_nothing_is_not_found,
        remove_tree_removes_all,
        remove_tree_of_a_file_or_link,
        remove_tree_of_nothing_is_fine,
        remove_tree_leaves_the_outside_alone,
        remove_tree_of_a_thousand_files,
    ]
}

async fn remove_file_removes_it(site: Site) -> Outcome {
    let path = site.make_file("a", "").await?;
    site.remove_file(&path).await?;
    assert_eq!(site.kind(&path).await, None);
    Ok(())
}

async fn remove_file_of_a_link_leaves_its_target(site: Site) -> Outcome {
    site.make_dir("dir").await?;
    site.make_file("file", "").await?;
    for target in ["dir", "file", "nowhere"] {
        let link = site.make_link("link", target).await?;
        site.remove_file(&link).await?;
    }
    assert_eq!(site.names(site.dir()).await?, ["dir", "file"]);
    Ok(())
}

async fn remove_file_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.remove_file(&site.path("no")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn remove_file_refuses_a_directory(site: Site) -> Outcome {
    let dir = site.make_dir("dir").await?;
    refused(site.remove_file(&dir).await, &[ErrorKind::IsADirectory]);
    assert_eq!(site.kind(&dir).await, Some(FileKind::Dir));
    Ok(())
}

async fn remove_dir_removes_an_empty_one(site: Site) -> Outcome {
    let dir = site.make_dir("dir").await?;
    site.remove_dir(&dir).await?;
    assert_eq!(site.kind(&dir).await, None);
    Ok(())
}

async fn remove_dir_refuses_one_with_names_in_it(site: Site) -> Outcome {
    let dir = site.make_dir("dir").await?;
    site.make_file("dir/.hidden", "").await?;
    refused(site.remove_dir(&dir).await, &[ErrorKind::NotEmpty]);
    assert_eq!(site.names(&dir).await?, [".hidden"]);
    Ok(())
}

async fn remove_dir_refuses_files_and_links(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    site.make_dir("dir").await?;
    let link = site.make_link("link", "dir").await?;
    refused(site.remove_dir(&file).await, &[ErrorKind::NotADirectory]);
    refused(site.remove_dir(&link).await, &[ErrorKind::NotADirectory]);
    assert_eq!(site.names(site.dir()).await?, ["dir", "file", "link"]);
    Ok(())
}

async fn remove_dir_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.remove_dir(&site.path("no")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn remove_tree_removes_all(site: Site) -> Outcome {
    site.make_dir("dir/sub/empty").await?;
    site.make_file("dir/.hidden", "").await?;
    site.make_file("dir/sub/file", "").await?;
    site.make_link("dir/sub/nowhere", "no").await?;
    site.remove_tree(&site.path("dir")).await?;
    assert_eq!(site.names(site.dir()).await?, [""; 0]);
    Ok(())
}

async fn remove_tree_of_a_file_or_link(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    site.remove_tree(&file).await?;
    site.make_dir("dir").await?;
    site.make_file("dir/kept", "").await?;
    let link = site.make_link("link", "dir").await?;
    site.remove_tree(&link).await?;
    assert_eq!(site.names(site.dir()).await?, ["dir"]);
    assert_eq!(site.names(&site.path("dir")).await?, ["kept"]);
    Ok(())
}

async fn remove_tree_of_nothing_is_fine(site: Site) -> Outcome {
    site.remove_tree(&site.path("no")).await?;
    site.remove_tree(&site.path("no/no")).await?;
    Ok(())
}

async fn remove_tree_leaves_the_outside_alone(site: Site) -> Outcome {
    site.make_dir("outside/sub").await?;
    site.make_file("outside/file", "kept").await?;
    site.make_dir("dir/sub").await?;
    site.make_link("dir/to-dir", "outside").await?;
    site.make_link("dir/sub/to-file", "outside/file").await?;
    site.make_link("dir/sub/up", "").await?;
    site.remove_tree(&site.path("dir")).await?;
    assert_eq!(site.names(site.dir()).await?, ["outside"]);
    assert_eq!(site.names(&site.path("outside")).await?, ["file", "sub"]);
    assert_eq!(site.bytes(&site.path("outside/file")).await?, b"kept");
    Ok(())
}

async fn remove_tree_of_a_thousand_files(site: Site) -> Outcome {
    site.sh("for d in 0 1 2 3 4 5 6 7 8 9; do mkdir -p t/$d; i=0; while [ $i -lt 100 ]; do : > t/$d/$i; i=$((i+1)); done; done")
        .await?;
    site.remove_tree(&site.path("t")).await?;
    assert_eq!(site.kind(&site.path("t")).await, None);
    Ok(())
}
