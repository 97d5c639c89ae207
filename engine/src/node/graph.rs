//! The graph around some nodes: their origin, and what was made of them. Reads only; draws nothing.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use crate::store::{Link, LinkType, Node, NodeId, NodeKind, Reader, Result};

/// The number of links to follow from the nodes asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Any number.
    #[default]
    Unlimited,
    /// At most this number.
    Links(u32),
}

impl Depth {
    fn allows(self, links: u32) -> bool {
        match self {
            Depth::Unlimited => true,
            Depth::Links(most) => links < most,
        }
    }
}

/// The links that are followed and shown, AiiDA's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkFilter {
    /// All.
    #[default]
    All,
    /// The origin of data: inputs and outputs of calculations.
    Data,
    /// The reason for it: inputs and outputs of workflows.
    Logic,
}

impl LinkFilter {
    /// Returns whether links of this type pass.
    ///
    /// ```
    /// use ferry_engine::{node::LinkFilter, store::LinkType};
    /// assert!(LinkFilter::Data.passes(LinkType::Create) && !LinkFilter::Data.passes(LinkType::Return));
    /// ```
    pub fn passes(self, link: LinkType) -> bool {
        match self {
            LinkFilter::All => true,
            LinkFilter::Data => matches!(link, LinkType::InputCalc | LinkType::Create),
            LinkFilter::Logic => matches!(link, LinkType::InputWork | LinkType::Return),
        }
    }
}

/// The extent of a traversal, and the links to follow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traversal {
    /// Links to follow.
    pub links: LinkFilter,
    /// The number of steps against the links.
    pub ancestors: Depth,
    /// The number of steps along the links.
    pub descendants: Depth,
    /// True to add all inputs and callers of processes that are met among the descendants.
    pub process_in: bool,
    /// True to add all outputs and called processes of processes that are met among the ancestors.
    pub process_out: bool,
}

/// A part of the provenance graph.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// The nodes asked about, in order and once each.
    pub roots: Vec<NodeId>,
    /// All nodes, by number.
    pub nodes: BTreeMap<NodeId, Node>,
    /// The links between them that were met, each once, by source, target, type and label.
    pub links: Vec<Link>,
}

/// Collects the graph around `roots`. A node reached on several ways is visited once, at its shortest distance, so
/// circles through `return` links end.
///
/// # Errors
/// `NotFound` for a root that does not exist, and those of the store.
pub fn collect(reader: &Reader, roots: &[NodeId], traversal: &Traversal) -> Result<Graph> {
    let mut collector = Collector { reader, traversal, graph: Graph::default(), links: BTreeSet::new() };
    for root in roots {
        if collector.add_node(*root)? {
            collector.graph.roots.push(*root);
        }
    }
    collector.walk(Direction::Ancestors)?;
    collector.walk(Direction::Descendants)?;
    Ok(collector.finish())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ancestors,
    Descendants,
}

struct Collector<'a> {
    reader: &'a Reader,
    traversal: &'a Traversal,
    graph: Graph,
    links: BTreeSet<(NodeId, NodeId, LinkType, String)>,
}

impl Collector<'_> {
    /// Walks in one direction, breadth first, from all roots at once.
    fn walk(&mut self, direction: Direction) -> Result<()> {
        let depth = match direction {
            Direction::Ancestors => self.traversal.ancestors,
            Direction::Descendants => self.traversal.descendants,
        };
        let mut frontier = self.graph.roots.clone();
        let mut seen: BTreeSet<NodeId> = frontier.iter().copied().collect();
        let mut links = 0;
        while !frontier.is_empty() {
            let further = depth.allows(links);
            let mut next = Vec::new();
            for node in frontier {
                if further {
                    next.extend(self.step(node, direction)?.into_iter().filter(|found| seen.insert(*found)));
                }
                self.look_aside(node, direction)?;
            }
            frontier = next;
            links += 1;
        }
        Ok(())
    }

    /// Adds the neighbours of a node in one direction; returns them.
    fn step(&mut self, node: NodeId, direction: Direction) -> Result<Vec<NodeId>> {
        let links = match direction {
            Direction::Ancestors => self.reader.incoming(node)?,
            Direction::Descendants => self.reader.outgoing(node)?,
        };
        let mut found = Vec::new();
        for link in links.into_iter().filter(|link| self.traversal.links.passes(link.link_type)) {
            let other = if direction == Direction::Ancestors { link.source } else { link.target };
            self.add_node(other)?;
            self.links.insert((link.source, link.target, link.link_type, link.label));
            found.push(other);
        }
        Ok(found)
    }

    /// Adds the other side of a process, if it is wanted. It is not followed further.
    fn look_aside(&mut self, node: NodeId, direction: Direction) -> Result<()> {
        let (wanted, aside) = match direction {
            Direction::Ancestors => (self.traversal.process_out, Direction::Descendants),
            Direction::Descendants => (self.traversal.process_in, Direction::Ancestors),
        };
        let is_process = self.graph.nodes.get(&node).is_some_and(|node| node.kind == NodeKind::Process);
        if wanted && is_process {
            self.step(node, aside)?;
        }
        Ok(())
    }

    /// Adds a node; returns whether it is new.
    fn add_node(&mut self, id: NodeId) -> Result<bool> {
        match self.graph.nodes.entry(id) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(place) => {
                place.insert(self.reader.node(id)?);
                Ok(true)
            }
        }
    }

    fn finish(mut self) -> Graph {
        let link = |(source, target, link_type, label)| Link { source, target, link_type, label };
        self.graph.links = self.links.into_iter().map(link).collect();
        self.graph
    }
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::{Kind, Value};
    use uuid::Uuid;

    use super::*;
    use crate::store::{Change, NewData, NewProcess, Objects, SqliteStore, Store};

    fn data(uuid: Uuid) -> Change {
        Change::Data(NewData {
            uuid,
            data_type: "int".into(),
            label: String::new(),
            description: String::new(),
            body: Value::Int(1),
            files: Vec::new(),
            computer: None,
        })
    }

    fn process(uuid: Uuid, kind: Kind) -> Change {
        Change::Process(NewProcess {
            uuid,
            process_type: "arithmetic.add".into(),
            kind,
            label: String::new(),
            description: String::new(),
            plugin: String::new(),
            computer: None,
            body: Value::Null,
            caller: None,
        })
    }

    /// Makes this graph: x (1), y (2) -> add (4, called by the workchain 3) -> sum (5) -> add (6) -> last (7). The
    /// workchain takes x and returns the sum.
    async fn store(dir: &std::path::Path) -> SqliteStore {
        use LinkType as L;
        let store = SqliteStore::open(&dir.join("store.db"), Objects::new(dir.join("objects"))).unwrap();
        let ids: Vec<Uuid> = (0..7).map(|_| Uuid::now_v7()).collect();
        let link = |source: usize, target: usize, link_type, label: &str| Change::Link {
            source: ids[source - 1],
            target: ids[target - 1],
            link_type,
            label: label.into(),
        };
        let changes = vec![
            data(ids[0]),
            data(ids[1]),
            process(ids[2], Kind::WorkChain),
            process(ids[3], Kind::CalcFunction),
            data(ids[4]),
            process(ids[5], Kind::CalcFunction),
            data(ids[6]),
            link(1, 3, L::InputWork, "x"),
            link(3, 4, L::CallCalc, "add"),
            link(1, 4, L::InputCalc, "x"),
            link(2, 4, L::InputCalc, "y"),
            link(4, 5, L::Create, "sum"),
            link(5, 6, L::InputCalc, "x"),
            link(6, 7, L::Create, "sum"),
        ];
        store.commit(changes).await.unwrap();
        store.commit(vec![link(3, 5, L::Return, "sum")]).await.unwrap();
        store
    }

    async fn check(root: i64, traversal: Traversal, nodes: &[i64], links: usize) {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let graph = collect(&store, &[NodeId(root), NodeId(root)], &traversal).unwrap();
        assert_eq!(graph.roots, [NodeId(root)]);
        assert_eq!(graph.nodes.keys().map(|id| id.0).collect::<Vec<_>>(), nodes);
        assert_eq!(graph.links.len(), links, "{:?}", graph.links);
    }

    #[tokio::test]
    async fn the_whole_graph_is_reached() {
        check(5, Traversal::default(), &[1, 2, 3, 4, 5, 6, 7], 8).await;
        // A sibling input is no ancestor of the root.
        check(1, Traversal::default(), &[1, 3, 4, 5, 6, 7], 7).await;
        check(1, Traversal { process_in: true, ..Traversal::default() }, &[1, 2, 3, 4, 5, 6, 7], 8).await;
    }

    #[tokio::test]
    async fn depth_and_kind_of_link_bound_it() {
        let near =
            Traversal { ancestors: Depth::Links(1), descendants: Depth::Links(0), ..Traversal::default() };
        check(5, near, &[3, 4, 5], 2).await;
        check(4, Traversal { process_out: true, ..near }, &[1, 2, 3, 4, 5], 5).await;
        let data = Traversal { links: LinkFilter::Data, ..Traversal::default() };
        check(5, data, &[1, 2, 4, 5, 6, 7], 5).await;
        let logic = Traversal { links: LinkFilter::Logic, ..Traversal::default() };
        check(5, logic, &[1, 3, 5], 2).await;
    }

    #[tokio::test]
    async fn a_missing_root_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        assert!(collect(&store, &[NodeId(99)], &Traversal::default()).is_err());
    }
}
