//! A call tree as text, which is the same for two runs that did the same. It has every process with its state and
//! exit code, every node with its type, value and files, and every link. It has no ids, uuids, times and paths.

use std::{collections::BTreeMap, fmt::Write};

use crate::store::{LinkType, NodeId, NodeKind, Reader, Result};

/// Returns a call tree as text.
pub(super) fn canonical(reader: &Reader, root: NodeId) -> Result<String> {
    let mut writer = Writer { reader, text: String::new(), seen: BTreeMap::new() };
    writer.process(root, 0)?;
    Ok(writer.text)
}

struct Writer<'a> {
    reader: &'a Reader,
    text: String,
    /// Nodes by the order in which they were met. One node met twice differs from two equal nodes.
    seen: BTreeMap<NodeId, usize>,
}

impl Writer<'_> {
    fn process(&mut self, id: NodeId, depth: usize) -> Result<()> {
        let process = self.reader.process(id)?;
        let pad = "  ".repeat(depth);
        let _ = writeln!(
            self.text,
            "{pad}{} {} exit {:?} {:?} on {:?}",
            process.process_type,
            process.state.as_str(),
            process.end.status,
            process.end.message.as_deref().map(masked),
            process.computer(),
        );
        let files = self.reader.files(id)?;
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let _ = writeln!(self.text, "{pad}  files {names:?}");
        let incoming = self.reader.incoming(id)?;
        let outgoing = self.reader.outgoing(id)?;
        let mut links: Vec<_> = incoming
            .into_iter()
            .map(|link| ("<-", link.link_type, link.label, link.source))
            .chain(outgoing.into_iter().map(|link| ("->", link.link_type, link.label, link.target)))
            .collect();
        links.sort_by(|a, b| (a.0, a.1, &a.2, a.3).cmp(&(b.0, b.1, &b.2, b.3)));
        for (arrow, kind, label, other) in links {
            if matches!(kind, LinkType::CallCalc | LinkType::CallWork) {
                continue;
            }
            let _ = write!(self.text, "{pad}  {arrow} {} {label}: ", kind.as_str());
            self.data(other)?;
        }
        for child in self.reader.children(id)? {
            let calls = self.reader.incoming(child.id)?;
            let calls = calls.iter().filter(|link| link.source == id).count();
            let _ = writeln!(self.text, "{pad}  call {} ({calls} links):", child.call);
            self.process(child.id, depth + 2)?;
        }
        Ok(())
    }

    fn data(&mut self, id: NodeId) -> Result<()> {
        let next = self.seen.len();
        if let Some(number) = self.seen.get(&id) {
            let _ = writeln!(self.text, "#{number}");
            return Ok(());
        }
        self.seen.insert(id, next);
        let node = self.reader.node(id)?;
        let value = match (node.kind, node.node_type.as_str()) {
            (NodeKind::Process, _) => "a process".into(),
            // The name of a work directory contains a uuid.
            (_, "remote_folder") => format!("{:?}", node.body.get("computer")),
            _ => format!("{:?}", node.body),
        };
        let files = self.reader.files(id)?;
        let files: Vec<_> = files.iter().map(|file| (&file.path, &file.digest[..8])).collect();
        let _ = writeln!(self.text, "#{next} {} {value} {files:?}", node.node_type);
        Ok(())
    }
}

/// Returns a text without the parts that differ between two runs: words with digits.
fn masked(text: &str) -> String {
    let word = |word: &str| match word.contains(|c: char| c.is_ascii_digit()) {
        true => "#".to_owned(),
        false => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
