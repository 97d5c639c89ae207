//! A little randomness for names and salts, for no secrets.

use std::hash::{BuildHasher, RandomState};

/// Returns a number that is hard to guess.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one(std::time::Instant::now())
}

/// Returns the salt of a hashed host name.
pub(crate) fn salt() -> [u8; 20] {
    let mut salt = [0; 20];
    for chunk in salt.chunks_mut(8) {
        chunk.copy_from_slice(&number().to_le_bytes()[..chunk.len()]);
    }
    salt
}
