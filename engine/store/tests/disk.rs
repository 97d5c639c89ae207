//! The store on bad days: a disk that is full, read-only or damaged, and an owner that came too late to learn that
//! it is none any more. Mounting takes root; without it those cases say that they are skipped.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use ferry_engine_store::{Change, Error, ErrorKind, NewData, NodeId, Objects, Reader, SqliteStore, Store};
use ferry_plugin_proto::Value;
use uuid::Uuid;

fn open(dir: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(&dir.join("store.db"), Objects::new(dir.join("objects")))
}

fn data(description: String) -> Change {
    Change::Data(NewData {
        uuid: Uuid::now_v7(),
        data_type: "str".into(),
        label: String::new(),
        description,
        body: Value::from("v".repeat(2000)),
        files: Vec::new(),
        computer: None,
    })
}

/// A small file system of its own, unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(place: PathBuf) -> Option<Tmpfs> {
        fs::create_dir_all(&place).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&place).output();
        if mount.is_ok_and(|done| done.status.success()) {
            return Some(Tmpfs(place));
        }
        let _ = writeln!(std::io::stderr(), "SKIPPED: mounting a small tmpfs takes root");
        None
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how},size=4m");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Writes until the disk is full; what was acknowledged.
async fn fill(store: &SqliteStore, kept: &mut Vec<NodeId>) -> Error {
    for number in 0..100_000 {
        match store.commit(vec![data(format!("{number}"))]).await {
            Ok(made) => kept.extend(made),
            Err(error) => return error,
        }
    }
    panic!("a disk of 4 MiB took everything");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_forgotten_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk")) else { return };
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let store = open(&disk.0).unwrap();
    let mut kept = Vec::new();
    let error = fill(&store, &mut kept).await;
    assert_eq!(*error.kind(), ErrorKind::Full, "{error:?}");
    assert!(error.help_text().unwrap().contains("free some space"));
    assert_eq!(*store.commit(vec![data("again".into())]).await.unwrap_err().kind(), ErrorKind::Full);
    assert!(!kept.is_empty());
    kept.iter().for_each(|id| drop(store.node(*id).unwrap()));

    fs::remove_file(&filler).unwrap();
    kept.extend(store.commit(vec![data("after".into())]).await.unwrap());
    drop(store);
    let store = open(&disk.0).unwrap();
    kept.iter().for_each(|id| drop(store.node(*id).unwrap()));
    assert!(store.node(NodeId(kept.len() as i64 + 1)).is_err(), "what was refused was kept");
}

#[tokio::test]
async fn a_read_only_disk_is_named_and_forgotten_when_it_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk")) else { return };
    drop(open(&disk.0).unwrap());
    disk.remount("ro");
    let error = open(&disk.0).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::ReadOnly, "{error:?}");
    assert!(error.help_text().unwrap().contains("writable"));
    disk.remount("rw");
    let store = open(&disk.0).unwrap();
    store.commit(vec![data("fine".into())]).await.unwrap();
}

/// Overwrites the page on which `needle` stands.
fn damage(path: &Path, needle: &str) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_page_harms_only_what_lies_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let made = store.commit((0..500).map(|n| data(format!("needle-{n}."))).collect()).await.unwrap();
    drop(store);
    damage(&dir.path().join("store.db"), "needle-250.");

    let reader = Reader::open(&dir.path().join("store.db"), Objects::new(dir.path())).unwrap();
    let error = reader.node(made[250]).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error:?}");
    let help = error.help_text().unwrap();
    assert!(help.contains("ferry storage check") && help.contains("backup"), "{help}");
    assert_eq!(reader.node(made[0]).unwrap().description, "needle-0.");
    assert_eq!(reader.node(made[499]).unwrap().description, "needle-499.");

    let store = open(dir.path()).unwrap();
    let new = store.commit(vec![data("beside it".into())]).await.unwrap();
    assert_eq!(store.node(new[0]).unwrap().description, "beside it");
}

#[tokio::test]
async fn an_earlier_owner_writes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = open(dir.path()).unwrap();
    earlier.commit(vec![data("mine".into())]).await.unwrap();
    let later = open(dir.path()).unwrap();
    let error = earlier.commit(vec![data("too late".into())]).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Fenced, "{error:?}");
    later.commit(vec![data("theirs".into())]).await.unwrap();
    assert!(later.node(NodeId(3)).is_err(), "the fenced one was kept");
}
