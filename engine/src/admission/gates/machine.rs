//! The processes in the line that fit on the machine that jobs share.
//!
//! Older processes come first. One that does not fit yet keeps its part of the free resources, and younger
//! ones pass it only with what it can't use. So a large job is never starved by small ones.

use super::{Inner, Queue};
use crate::{
    scheduler::{Capacity, Demand, InUse},
    store::{NodeId, Sharing},
};

/// A process that waits, and the label of its computer.
pub(super) type Waiting = (NodeId, String);

/// The outcome of comparing a process's demand with its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It fits now.
    Fits,
    /// It has to wait; the text says for what.
    Waits(String),
    /// It asks for more than the machine has in total.
    Never,
}

impl Inner {
    pub(super) fn demand_of(&self, process: NodeId) -> Demand {
        self.demands.get(&process).copied().unwrap_or_default()
    }

    /// Returns the share of the machine of processes that hold tickets or were admitted.
    pub(super) fn in_use(&self, queue: &Queue) -> InUse {
        let mut used = queue.in_use.clone();
        let granted = self.of(&queue.sharing).flat_map(|(_, gate)| gate.granted.keys());
        granted.for_each(|process| used.add(&self.demand_of(*process)));
        used
    }

    /// Returns the processes of a line, oldest first, that need not wait for the machine.
    pub(super) fn fitting(&self, queue: &Queue, line: Vec<Waiting>) -> Vec<(NodeId, String, Place)> {
        let mut room = Room::new(&queue.sharing, self.in_use(queue));
        let place = |(process, label): Waiting| {
            let place = room.place(&label, &self.demand_of(process), true);
            (!matches!(place, Place::Waits(_))).then_some((process, label, place))
        };
        line.into_iter().filter_map(place).collect()
    }
}

/// The resources left on a machine while the line is processed in order.
pub(super) struct Room<'a> {
    sharing: &'a Sharing,
    used: InUse,
    /// The same, plus what is kept for processes that have to wait.
    kept: InUse,
}

impl<'a> Room<'a> {
    pub(super) fn new(sharing: &'a Sharing, used: InUse) -> Room<'a> {
        Room { sharing, kept: used.clone(), used }
    }

    /// Places the next process in the line. `passes`: a process that fits takes up room from now on.
    pub(super) fn place(&mut self, label: &str, demand: &Demand, passes: bool) -> Place {
        let capacity = self.sharing.capacity(label).filter(|capacity| capacity.bounds(demand));
        let Some(capacity) = capacity else { return Place::Fits };
        if capacity.never(demand).is_some() {
            return Place::Never;
        }
        let place = self.judge(&capacity, label, demand);
        if passes || place != Place::Fits {
            self.kept.add(demand);
        }
        if passes && place == Place::Fits {
            self.used.add(demand);
        }
        place
    }

    fn judge(&self, capacity: &Capacity, label: &str, demand: &Demand) -> Place {
        if let Some(lack) = capacity.lack(demand, &self.used) {
            return Place::Waits(format!("waiting for {}", lack.on(label)));
        }
        match capacity.lack(demand, &self.kept) {
            None => Place::Fits,
            // There is room, but older processes need it.
            Some(lack) => Place::Waits(format!(
                "waiting for {}, older processes first",
                lack.with_used_of(capacity, &self.used).on(label)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        computer::Computer,
        scheduler::{Cores, Machine},
        store::QueueId,
    };

    fn sharing(computers: Vec<Computer>, cores: u32) -> Sharing {
        let machine = Some(Machine { cores: Some(cores), ..Machine::default() });
        Sharing { queue: QueueId::At("there".into()), computers, machine }
    }

    fn computer(label: &str) -> Computer {
        Computer { label: label.into(), num_gpus: Some(1), ..Computer::default() }
    }

    fn wants(cores: u32, gpus: u32) -> Demand {
        Demand { cores, memory_kb: 0, gpus }
    }

    fn used(cores: u32, gpus: u32) -> InUse {
        InUse { sum: wants(cores, gpus), ..InUse::default() }
    }

    /// Returns the places of a line of jobs of one computer with 8 cores and a GPU.
    fn places(used: InUse, line: &[Demand]) -> Vec<Place> {
        let sharing = sharing(vec![computer("ws")], 8);
        let mut room = Room::new(&sharing, used);
        line.iter().map(|demand| room.place("ws", demand, true)).collect()
    }

    #[test]
    fn those_before_it_take_their_part_first() {
        let found = places(used(6, 0), &[wants(1, 0), wants(1, 0), wants(1, 0)]);
        assert_eq!(found[..2], [Place::Fits, Place::Fits]);
        assert_eq!(found[2], Place::Waits("waiting for 1 core on ws: 8 of 8 in use".into()));
    }

    #[test]
    fn a_large_job_is_not_starved_by_small_ones() {
        let found = places(used(6, 0), &[wants(4, 0), wants(1, 0)]);
        let waits = |words: &str| Place::Waits(format!("waiting for {words}"));
        let small = waits("1 core on ws: 6 of 8 in use, older processes first");
        assert_eq!(found, [waits("4 cores on ws: 6 of 8 in use"), small]);
    }

    #[test]
    fn who_waits_for_a_gpu_does_not_keep_cores_that_it_can_t_use() {
        let found = places(used(4, 1), &[wants(2, 1), wants(2, 0), wants(1, 0)]);
        let waits = |words: &str| Place::Waits(format!("waiting for {words}"));
        assert_eq!(found[0], waits("1 GPU on ws: 1 of 1 in use"));
        assert_eq!(found[1], Place::Fits, "two of the four cores are kept for it");
        assert_eq!(found[2], waits("1 core on ws: 6 of 8 in use, older processes first"));
    }

    #[test]
    fn who_can_never_have_it_holds_nobody_up() {
        assert_eq!(places(used(7, 0), &[wants(9, 0), wants(1, 0)]), [Place::Never, Place::Fits]);
    }

    #[test]
    fn who_is_not_bounded_waits_for_nobody() {
        let unlimited = Computer { num_cores: Some(Cores::Unlimited), ..computer("free") };
        let sharing = sharing(vec![computer("ws"), unlimited], 8);
        let mut room = Room::new(&sharing, used(8, 0));
        assert!(matches!(room.place("ws", &wants(1, 0), true), Place::Waits(_)));
        assert_eq!(room.place("free", &wants(50, 0), true), Place::Fits);
        // If no machine is known, as under a scheduler that counts by itself, no process waits for one.
        let sharing = Sharing { machine: None, ..sharing };
        assert_eq!(Room::new(&sharing, used(8, 0)).place("ws", &wants(50, 0), true), Place::Fits);
    }
}
