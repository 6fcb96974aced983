//! What operators do, as values ready for the store.
//!
//! Each function takes what was asked for and answers an entity that may be stored, or the reason why not. None of them
//! calls a port: the caller renders its answer first, because a repeated request gets the first answer and the answer is
//! therefore committed together with the write.

pub mod audit;
pub mod endpoint;
pub mod headers;
pub mod key;
pub mod member;
pub mod org;
pub mod poam;
pub mod replay;
pub mod source;
pub mod test_event;
pub mod transport;
