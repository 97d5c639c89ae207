//! Uuids for new objects. The head is the time; the tail is random, or in a simulation drawn from its seed.

use uuid::Uuid;

/// Returns a new unique uuid.
pub fn fresh() -> Uuid {
    #[cfg(any(test, feature = "testing"))]
    if let Some(uuid) = simulated::fresh() {
        return uuid;
    }
    Uuid::now_v7()
}

/// Uuids of one thread that are derived from a seed, so that a simulation can be replayed.
#[cfg(any(test, feature = "testing"))]
pub mod simulated {
    use std::cell::Cell;

    use uuid::{Builder, Uuid};

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Derives all further uuids of this thread from `seed` and its clock.
    pub fn seed(seed: u64) {
        STATE.set(Some(seed));
    }

    /// Switches back to random ones.
    pub fn clear() {
        STATE.set(None);
    }

    pub(super) fn fresh() -> Option<Uuid> {
        let mut tail = [0; 10];
        for chunk in tail.chunks_mut(8) {
            let bytes = next()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        let now = u64::try_from(crate::clock::now().as_millisecond()).unwrap_or_default();
        Some(Builder::from_unix_timestamp_millis(now, &tail).into_uuid())
    }

    /// Returns the next number of `SplitMix64`, Steele, Lea and Flood 2014.
    fn next() -> Option<u64> {
        let state = STATE.get()?.wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(Some(state));
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(mixed ^ (mixed >> 31))
    }
}
