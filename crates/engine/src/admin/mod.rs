//! What operators do, as values ready for the store.
