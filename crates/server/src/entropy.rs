//! Chance from the operating system.

use std::cell::RefCell;

use watchbell_domain::port::Entropy;

/// Bytes fetched at a time. Every event wants some for its ids, and each call of the system costs as much as they do.
const FETCHED: usize = 1024;

/// The operating system's random bytes. Each is given away once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OsEntropy;

thread_local! {
    static FETCHED_BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() >= FETCHED {
            return fetch(bytes);
        }
        FETCHED_BYTES.with_borrow_mut(|fetched| {
            if fetched.len() < bytes.len() {
                fetched.resize(FETCHED, 0);
                fetch(fetched);
            }
            let rest = fetched.len() - bytes.len();
            for (to, from) in bytes.iter_mut().zip(fetched.drain(rest..)) {
                *to = from;
            }
        });
    }
}

fn fetch(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        // Keys and ids would be guessable from here on.
        #[expect(clippy::panic, reason = "without random bytes nothing may go on")]
        {
            panic!("the operating system gives no random bytes: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_byte_is_given_twice() {
        let mut seen = BTreeSet::new();
        for length in [16, 10, 32, 1500].into_iter().cycle().take(400) {
            let mut bytes = vec![0; length];
            OsEntropy.fill(&mut bytes);
            for part in bytes.chunks_exact(8) {
                assert!(seen.insert(part.to_vec()), "eight bytes came twice");
            }
        }
    }
}
