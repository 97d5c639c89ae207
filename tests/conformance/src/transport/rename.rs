//! Renaming: the publishing of uploads rests on it, so it neither nests nor replaces.

use ferry_engine_core::transport::{ErrorKind, FileKind};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        moves_a_file,
        moves_a_directory_with_all_in_it,
        moves_a_link_and_not_its_target,
        refuses_an_existing_file,
        refuses_an_existing_directory,
        refuses_an_empty_directory,
        refuses_a_link_whatever_it_leads_to,
        of_nothing_is_not_found,
        needs_a_parent,
        into_itself_fails,
    ]
}

async fn moves_a_file(site: Site) -> Outcome {
    let from = site.make_file("from", "bytes").await?;
    site.rename(&from, &site.path("to")).await?;
    assert_eq!(site.names(site.dir()).await?, ["to"]);
    assert_eq!(site.bytes(&site.path("to")).await?, b"bytes");
    Ok(())
}

async fn moves_a_directory_with_all_in_it(site: Site) -> Outcome {
    let from = site.make_dir("from").await?;
    site.make_file("from/file", "bytes").await?;
    site.rename(&from, &site.path("to")).await?;
    assert_eq!(site.names(site.dir()).await?, ["to"]);
    assert_eq!(site.bytes(&site.path("to/file")).await?, b"bytes");
    Ok(())
}

async fn moves_a_link_and_not_its_target(site: Site) -> Outcome {
    site.make_file("file", "").await?;
    let link = site.make_link("link", "file").await?;
    site.rename(&link, &site.path("to")).await?;
    assert_eq!(site.names(site.dir()).await?, ["file", "to"]);
    assert_eq!(site.kind(&site.path("to")).await, Some(FileKind::Symlink));
    Ok(())
}

async fn refuses_an_existing_file(site: Site) -> Outcome {
    let to = site.make_file("to", "kept").await?;
    for from in [site.make_file("file", "new").await?, site.make_dir("dir").await?] {
        refused(site.rename(&from, &to).await, &[ErrorKind::AlreadyExists]);
    }
    assert_eq!(site.bytes(&to).await?, b"kept");
    assert_eq!(site.names(site.dir()).await?, ["dir", "file", "to"]);
    Ok(())
}

async fn refuses_an_existing_directory(site: Site) -> Outcome {
    let to = site.make_dir("to").await?;
    site.make_file("to/kept", "").await?;
    for from in [site.make_file("file", "new").await?, site.make_dir("dir").await?] {
        refused(site.rename(&from, &to).await, &[ErrorKind::AlreadyExists]);
    }
    assert_eq!(site.names(&to).await?, ["kept"], "nothing was moved into it");
    assert_eq!(site.names(site.dir()).await?, ["dir", "file", "to"]);
    Ok(())
}

async fn refuses_an_empty_directory(site: Site) -> Outcome {
    let from = site.make_dir("from").await?;
    site.make_file("from/file", "").await?;
    let to = site.make_dir("to").await?;
    refused(site.rename(&from, &to).await, &[ErrorKind::AlreadyExists]);
    assert_eq!(site.names(&to).await?, [""; 0]);
    assert_eq!(site.names(&from).await?, ["file"]);
    Ok(())
}

async fn refuses_a_link_whatever_it_leads_to(site: Site) -> Outcome {
    let from = site.make_dir("from").await?;
    site.make_dir("dir").await?;
    for target in ["dir", "nowhere"] {
        let link = site.make_link("link", target).await?;
        refused(site.rename(&from, &link).await, &[ErrorKind::AlreadyExists]);
        site.remove_file(&link).await?;
    }
    assert_eq!(site.names(&site.path("dir")).await?, [""; 0]);
    Ok(())
}

async fn of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.rename(&site.path("no"), &site.path("to")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn needs_a_parent(site: Site) -> Outcome {
    let from = site.make_file("from", "kept").await?;
    refused(site.rename(&from, &site.path("no/to")).await, &[ErrorKind::NotFound]);
    assert_eq!(site.bytes(&from).await?, b"kept");
    Ok(())
}

async fn into_itself_fails(site: Site) -> Outcome {
    let from = site.make_dir("from").await?;
    assert!(site.rename(&from, &from.join("to")).await.is_err(), "a directory can't be in itself");
    assert_eq!(site.names(&from).await?, [""; 0]);
    Ok(())
}
