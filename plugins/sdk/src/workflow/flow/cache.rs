//! Workfunctions in memory between their steps. Losing one costs a replay, nothing else.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::step::Standing;

/// Maximum number of entries that one plugin host keeps.
const KEPT_MAX: usize = 1024;

static CACHE: Mutex<Cache> = Mutex::new(Cache::new(KEPT_MAX));

/// The most recently used ones, by process.
struct Cache {
    max: usize,
    uses: u64,
    kept: BTreeMap<String, (u64, Standing)>,
}

impl Cache {
    const fn new(max: usize) -> Self {
        Cache { max, uses: 0, kept: BTreeMap::new() }
    }

    /// Keeps one; gives back the one that has to go for it.
    fn put(&mut self, process: &str, standing: Standing) -> Option<Standing> {
        self.uses += 1;
        let before = self.kept.insert(process.to_owned(), (self.uses, standing));
        if self.kept.len() <= self.max {
            return before.map(|(_, standing)| standing);
        }
        let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used).map(|(process, _)| process.clone());
        self.kept.remove(&oldest?).map(|(_, standing)| standing)
    }
}

fn cache() -> MutexGuard<'static, Cache> {
    // No author's code runs while it is held, so a panic leaves it whole.
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes out a process's workfunction. While it takes a turn, the cache does not keep it, so that a panic
/// drops it.
pub(super) fn take(process: &str) -> Option<Standing> {
    cache().kept.remove(process).map(|(_, standing)| standing)
}

/// Keeps a process's workfunction.
pub(super) fn put(process: &str, standing: Standing) {
    let evicted = cache().put(process, standing);
    drop_quietly(evicted);
}

/// Drops a workfunction. Its author's destructors may panic, which must not affect the current process.
pub(super) fn drop_quietly(standing: Option<Standing>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(standing))) {
        // The payload may panic again when it is dropped.
        std::mem::forget(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_not_used_for_longest_goes() {
        let mut cache = Cache::new(2);
        assert!(cache.put("a", Standing::example()).is_none());
        assert!(cache.put("b", Standing::example()).is_none());
        assert!(cache.put("a", Standing::example()).is_some(), "the one before it");
        assert!(cache.put("c", Standing::example()).is_some());
        assert_eq!(cache.kept.keys().collect::<Vec<_>>(), ["a", "c"]);
    }
}
