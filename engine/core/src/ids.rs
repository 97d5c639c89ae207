//! Uuids for new objects, and tokens for submissions. The head of a uuid is the time; the tail is random, or in a
//! simulation drawn from its seed.

use uuid::Uuid;

/// Returns a new unique uuid.
pub fn fresh() -> Uuid {
    #[cfg(any(test, feature = "testing"))]
    if let Some(uuid) = simulated::fresh() {
        return uuid;
    }
    Uuid::now_v7()
}

/// Returns a uuid of which all but six bits are random, also beside one of the same moment.
fn random() -> Uuid {
    #[cfg(any(test, feature = "testing"))]
    if let Some(uuid) = simulated::fresh() {
        return uuid;
    }
    Uuid::new_v4()
}

/// The digits of tokens, 5 bits each (base 32 of RFC 4648, in lower case).
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Returns a new token of a submission: `f` and 14 letters or digits. Every scheduler takes that as a job's name,
/// also one that wants a letter first and no more than 15 characters.
///
/// It holds 70 random bits. Among a million submissions of one user two are equal with a
/// probability of 4 in 10 billion. Only equal tokens of jobs that are listed at the same time would matter.
pub fn token() -> String {
    let bits = random().as_u128();
    // Between the 62 low bits and the 12 random ones before them lie two that are the same in all uuids.
    let random = (bits & ((1 << 62) - 1)) | ((bits >> 64 & 0xff) << 62);
    let digit = |place: u32| char::from(DIGITS[(random >> (5 * place)) as usize % DIGITS.len()]);
    std::iter::once('f').chain((0..14).rev().map(digit)).collect()
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_names_that_every_scheduler_takes_and_no_two_are_equal() {
        let tokens: HashSet<String> = (0..100_000).map(|_| token()).collect();
        assert_eq!(tokens.len(), 100_000);
        let fits = |token: &String| {
            token.len() == 15
                && token.starts_with('f')
                && token.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        assert!(tokens.iter().all(fits));
    }

    #[test]
    fn every_random_bit_of_a_token_varies() {
        let tokens: Vec<String> = (0..1000).map(|_| token()).collect();
        for place in 1..15 {
            let digits: HashSet<u8> = tokens.iter().map(|token| token.as_bytes()[place]).collect();
            assert_eq!(digits.len(), 32, "place {place}");
        }
    }

    #[test]
    fn tokens_of_one_seed_are_the_same() {
        let draw = || {
            simulated::seed(7);
            (0..3).map(|_| token()).collect::<Vec<_>>()
        };
        let (one, another) = (draw(), draw());
        simulated::clear();
        assert_eq!(one, another);
        assert_ne!(one[0], one[1]);
    }
}
