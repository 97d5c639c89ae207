//! The place of an object's bytes: in its row, in a file of its own, or in a pack.
//!
//! Maintenance moves objects while they are read. So a missing place is looked up again before the object counts
//! as lost. An open file stays readable, even if it is renamed or removed.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::PathBuf,
};

use rusqlite::OptionalExtension;

use crate::{
    error::{DAMAGED, Error, ErrorKind, Result},
    objects::repository::{Content, freshen},
    sqlite::reader::SqliteReader,
};

/// Number of times that a place is looked up.
const LOOKS: usize = 3;

/// The place of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the row, with these bytes.
    Row(Vec<u8>),
    /// In a file named by the digest.
    File,
    /// In the pack of this name, from this offset.
    Pack(String, u64),
}

impl SqliteReader {
    /// Returns size and place of an object.
    pub(crate) fn locate(&self, digest: &str) -> Result<(u64, Place)> {
        let sql = "SELECT o.size, o.bytes, p.name, o.offset FROM object o LEFT JOIN pack p ON p.id = o.pack
                   WHERE o.digest = ?1";
        self.with(|db| {
            db.prepare_cached(sql)?
                .query_row([digest], |row| {
                    let place = match (row.get(1)?, row.get(2)?) {
                        (Some(bytes), _) => Place::Row(bytes),
                        (None, Some(pack)) => Place::Pack(pack, row.get::<_, i64>(3)? as u64),
                        (None, None) => Place::File,
                    };
                    Ok((row.get::<_, i64>(0)? as u64, place))
                })
                .optional()
        })?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "object").with("digest", digest))
    }

    /// Returns the file that must hold an object, and the least length of that file; `None` for an object in a
    /// row.
    pub(crate) fn extent(&self, digest: &str, size: u64, place: &Place) -> Option<(PathBuf, u64)> {
        match place {
            Place::Row(_) => None,
            Place::File => Some((self.objects.path(digest), size)),
            Place::Pack(name, offset) => Some((self.objects.pack(name), offset + size)),
        }
    }

    /// Opens an object.
    pub(crate) fn open_place(&self, digest: &str) -> Result<Box<dyn Read + Send>> {
        let mut failure = None;
        for _ in 0..LOOKS {
            let (size, place) = self.locate(digest)?;
            let path = match &place {
                Place::Row(bytes) => return Ok(Box::new(Cursor::new(bytes.clone()))),
                Place::File => self.objects.path(digest),
                Place::Pack(name, _) => self.objects.pack(name),
            };
            match section(&path, &place, size) {
                Ok(section) => return Ok(section),
                Err(error) => failure = Some((path, error)),
            }
        }
        Err(lost(digest, failure))
    }

    /// Returns the path of a file that holds an object's bytes. An object that is elsewhere is written to that
    /// file first.
    pub(crate) fn place_as_file(&self, digest: &str) -> Result<PathBuf> {
        let path = self.objects.path(digest);
        if freshen(&path) {
            return Ok(path);
        }
        let content = self.objects.put_reader(&mut self.open_place(digest)?)?;
        match content {
            Content::Object { digest: found, .. } if found == digest => Ok(path),
            _ => Err(lost(digest, None)),
        }
    }
}

fn section(path: &PathBuf, place: &Place, size: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    match place {
        Place::Pack(_, offset) => {
            file.seek(SeekFrom::Start(*offset))?;
            Ok(Box::new(file.take(size)))
        }
        _ => Ok(Box::new(file)),
    }
}

fn lost(digest: &str, failure: Option<(PathBuf, io::Error)>) -> Error {
    let error = Error::new(ErrorKind::Corrupt, "open object").with("digest", digest).help(DAMAGED);
    match failure {
        Some((path, source)) => error.with("path", path.display()).source(source),
        None => error.message("the bytes of an object do not match its digest"),
    }
}
