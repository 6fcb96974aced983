//! The binary as its users meet it: started, loaded, killed, asked. Everything goes over real sockets on loopback.
//!
//! - [`backup`]: a copy taken under load, put back elsewhere.
//! - [`bench`]: the bench counts what it sent and what arrived, and notices what is missing.
//! - [`bodies`]: odd bodies go through as they came, large ones cost little, thousands of hostile ones leave nothing behind.
//! - [`clients`]: clients of GraphQL and of Snyk's API that are not ours work unchanged.
//! - [`crash`]: `kill -9` at random moments under load; nothing that was acknowledged is lost.
//! - [`crowd`]: clients take every file descriptor there is; once they go, all is as before.
//! - [`destinations`]: what a finding opens in channels, on pagers and in trackers, its remediation closes.
//! - [`evidence`]: advisories, a bill of materials, what is found in it; and that a kill loses none.
//! - [`fakes`]: the services that destinations talk to.
//! - [`figures`]: what was sent and stored is seen in `/metrics`.
//! - [`fire`]: every fail point, killed, panicking, failing and slow (with the feature `failpoints`).
//! - [`full`]: no file can grow any more, or be written; what is said then, and that it ends by itself.
//! - [`installs`]: how other people's software gets here.
//! - [`isolation`]: one of ten endpoints hangs; the other nine do not notice.
//! - [`listen`]: what a capture inbox gets reaches a developer's machine as it came, also over a restart.
//! - [`many`]: very many deliveries wait and fall due at once.
//! - [`memory`]: little memory; what is too much is refused.
//! - [`oracles`]: the services' own libraries judge what destinations are sent.
//! - [`poam`]: an overdue plan of action rings at once, a remediation completes it, its export is OSCAL.
//! - [`power`]: what was not synced is gone; what was acknowledged is not.
//! - [`senders`]: libraries that are not ours sign what a source takes, and verify what an endpoint is sent.
//! - [`siem`]: rsyslog, a mail server, a collector and a bulk API take what is sent.
//! - [`vendors`]: the vendors' own way of verifying, in Python and Node, accepts what is sent.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says what it left out"
)]

use std::io::Write as _;

mod backup;
mod bench;
mod bodies;
mod client;
mod clients;
mod crash;
mod crowd;
mod destinations;
mod evidence;
mod fakes;
mod figures;
#[cfg(feature = "failpoints")]
mod fire;
mod full;
mod installs;
mod isolation;
mod listen;
mod many;
mod memory;
mod oracles;
mod poam;
mod power;
mod process;
mod senders;
mod siem;
mod sink;
mod vendors;

/// Held by a test that loads the machine or measures it: they take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Says a figure, or what was left out, also when the test passes: the runner keeps back only what is printed.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
