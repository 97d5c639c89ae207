//! The order of ready processes: fair between call trees, in order within each.

use std::collections::{HashMap, VecDeque};

use crate::store::NodeId;

/// A queue of processes that takes turns between call trees. So a tree with thousands of ready processes does not
/// delay a tree with one of them.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Trees that have ready processes, in order of their turns.
    turns: VecDeque<NodeId>,
    trees: HashMap<NodeId, VecDeque<NodeId>>,
}

impl Ready {
    /// Appends a process to its tree's line. The caller knows that it is in none.
    pub(crate) fn push(&mut self, root: NodeId, id: NodeId) {
        let line = self.trees.entry(root).or_default();
        if line.is_empty() {
            self.turns.push_back(root);
        }
        line.push_back(id);
    }

    /// Takes the next process; its tree goes to the end of the turns.
    pub(crate) fn pop(&mut self) -> Option<NodeId> {
        let root = self.turns.pop_front()?;
        let line = self.trees.get_mut(&root)?;
        let id = line.pop_front()?;
        if line.is_empty() {
            self.trees.remove(&root);
        } else {
            self.turns.push_back(root);
        }
        Some(id)
    }
}

#[cfg(test)]
impl Ready {
    /// Returns the number of processes in all lines.
    pub(super) fn len(&self) -> usize {
        self.trees.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_take_turns() {
        let mut ready = Ready::default();
        for id in 11..15 {
            ready.push(NodeId(1), NodeId(id));
        }
        ready.push(NodeId(2), NodeId(21));
        ready.push(NodeId(3), NodeId(3));
        let order: Vec<i64> = std::iter::from_fn(|| ready.pop()).map(|id| id.0).collect();
        assert_eq!(order, [11, 21, 3, 12, 13, 14]);
        ready.push(NodeId(2), NodeId(21));
        assert_eq!(ready.pop(), Some(NodeId(21)));
        assert_eq!((ready.pop(), ready.trees.len()), (None, 0));
    }
}
