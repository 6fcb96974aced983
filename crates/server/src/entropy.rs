//! The real chance: the operating system's generator.

use watchbell_domain::port::Entropy;

/// Random bytes from the operating system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            // Keys and ids would be guessable from here on.
            #[expect(clippy::panic, reason = "without random bytes nothing may go on")]
            {
                panic!("the operating system gives no random bytes: {error}");
            }
        }
    }
}
