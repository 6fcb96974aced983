//! What has to be done beside delivering, slowly and for ever.
//!
//! Each loop does one small thing in one commit and then rests for longer than it worked: whatever it has to do, what is
//! accepted and delivered meanwhile does not notice.

pub mod acceptance;
pub mod capture;
pub mod erasure;
pub mod orgs;
pub mod poam;
pub mod receipts;
pub mod replay;
pub mod retention;
pub mod silence;
