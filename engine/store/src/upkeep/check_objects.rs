//! The part of the check that examines the bytes of objects.

use std::{fs, io};

use crate::{database::row::query_all, error::Result, sqlite::reader::SqliteReader, upkeep::check::Finding};

/// Objects examined between two queries.
const CHUNK: i64 = 1000;

impl SqliteReader {
    /// Returns findings for objects whose bytes are missing or truncated; with `full` also for those that were
    /// changed.
    pub(crate) fn objects_broken(&self, full: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut last = String::new();
        loop {
            let some = match self.digests_after(&last) {
                Ok(some) => some,
                Err(error) => {
                    findings.push(finding(format!("objects after {last:?} can't be listed: {error}")));
                    return Ok(findings);
                }
            };
            let Some(end) = some.last() else { return Ok(findings) };
            last.clone_from(end);
            findings.extend(some.iter().filter_map(|digest| self.broken(digest, full).map(finding)));
        }
    }

    fn digests_after(&self, last: &str) -> Result<Vec<String>> {
        let sql = "SELECT digest FROM object WHERE digest > ?1 ORDER BY digest LIMIT ?2";
        self.with(|db| query_all(db, sql, rusqlite::params![last, CHUNK], |row| row.get(0)))
    }

    fn broken(&self, digest: &str, full: bool) -> Option<String> {
        let wrong = if full { self.bytes_differ(digest) } else { self.is_cut(digest) };
        match wrong {
            Ok(None) => None,
            Ok(Some(what)) => Some(format!("object {digest} {what}{}", self.named_by(digest))),
            Err(error) => Some(format!("object {digest} can't be read{}: {error}", self.named_by(digest))),
        }
    }

    fn is_cut(&self, digest: &str) -> Result<Option<String>> {
        let (size, place) = self.locate(digest)?;
        let Some((path, end)) = self.extent(digest, size, &place) else { return Ok(None) };
        let found = fs::metadata(&path).map(|found| found.len());
        Ok(match found {
            Ok(length) if length >= end => None,
            Ok(_) => Some(format!("is truncated: {} is too short", path.display())),
            // It may have moved since the row was read.
            Err(_) => self.open_place(digest).map(|_| None)?,
        })
    }

    fn bytes_differ(&self, digest: &str) -> Result<Option<String>> {
        let mut hasher = blake3::Hasher::new();
        match io::copy(&mut self.open_place(digest)?, &mut hasher) {
            Ok(_) if hasher.finalize().to_string() == digest => Ok(None),
            Ok(_) => Ok(Some("does not match its digest".into())),
            Err(error) => Ok(Some(format!("can't be read: {error}"))),
        }
    }

    fn named_by(&self, digest: &str) -> String {
        let sql = "SELECT node || ' (`' || path || '`)' FROM node_file WHERE digest = ?1 LIMIT 1";
        let node: Result<Vec<String>> = self.with(|db| query_all(db, sql, [digest], |row| row.get(0)));
        node.ok()
            .and_then(|mut nodes| nodes.pop())
            .map(|node| format!(", a file of node {node}"))
            .unwrap_or_default()
    }
}

fn finding(what: String) -> Finding {
    Finding { rule: "object", what }
}
