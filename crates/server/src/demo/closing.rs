//! The end of the demo: a table of everything that arrived, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::play::{Seen, member};
use super::receiver::{SHAKY, Verdict};
use super::services;
use super::show::{OUT, Show};
use super::stage::played;
use crate::cli::output::{BAD, FAINT, GOOD};

/// Who called, and what was kept of it, as the server lists them.
pub(super) struct Calls {
    pub(super) sources: Vec<Value>,
    pub(super) receipts: Vec<Value>,
}

impl Show {
    /// A row for each event of each receiver.
    pub(super) fn table(&mut self, seen: &[Seen]) {
        let mut rows: BTreeMap<(usize, &str, &str), (&str, Vec<&Seen>)> = BTreeMap::new();
        for one in seen {
            let order = told_in().position(|(dialect, _)| dialect == one.arrival.dialect.id).unwrap_or_default();
            let (event, verdict) = match &one.arrival.verdict {
                Verdict::Verified(said) => (said.event.as_str(), "verified"),
                Verdict::Down => ("(receiver down)", "503, retried"),
                Verdict::Refused(_) => ("?", "REFUSED"),
            };
            let row = rows.entry((order, &one.arrival.name, event)).or_insert((verdict, Vec::new()));
            row.1.push(one);
        }
        let items: Vec<Value> = rows
            .into_iter()
            .map(|((_, name, event), (verdict, seen))| {
                let times = || seen.iter().filter_map(|one| one.ms);
                let ms = match (times().min(), times().max()) {
                    (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
                    (Some(least), _) => least.to_string(),
                    (None, _) => String::new(),
                };
                json!({"event": event, "receiver": name, "verdict": format!("{verdict} x{}", seen.len()), "ms": ms})
            })
            .collect();
        self.line("");
        let columns: &[(&str, &[&str])] =
            &[("receiver", &["receiver"]), ("event", &["event"]), ("verdict", &["verdict"]), ("ms", &["ms"])];
        self.bar.suspend(|| OUT.table(&items, columns));
        self.line(format!("{FAINT}ms: from acceptance on disk to arrival at the receiver{FAINT:#}"));
    }

    /// A line for each dialect that was told, one for each vendor that called; what is not as it should be, if anything.
    pub(super) fn summary(&self, seen: &[Seen], deliveries: usize, calls: &Calls) -> Option<String> {
        let mut wrong = Vec::new();
        let mut verified_in_all = 0;
        self.line(format!("\n{FAINT}{:<12} {:<11}  by{FAINT:#}", "told in", "verified"));
        for (id, checks) in told_in() {
            let (verified, all, refused) = counted(seen, id);
            verified_in_all += verified;
            let checks = checks.map_or_else(|| headers(seen, id), str::to_owned);
            if verified > 0 && refused.is_none() {
                self.line(format!("{id:<12} {GOOD}✓{GOOD:#} {:<9}  {checks}", format!("{verified} of {all}")));
            } else {
                let why = refused.unwrap_or_else(|| "nothing arrived".to_owned());
                self.line(format!("{id:<12} {BAD}FAILED{BAD:#}: {why}"));
                wrong.push(format!("{id}: {why}"));
            }
        }
        let (accepted, refused) = self.calls(calls);
        let retried = seen.iter().any(|one| {
            one.arrival.number > 1 && one.arrival.name == SHAKY && matches!(one.arrival.verdict, Verdict::Verified(_))
        });
        if !retried {
            wrong.push("the delivery that had to be retried did not arrive".to_owned());
        }
        if verified_in_all < deliveries {
            wrong.push(format!("{deliveries} deliveries were made, but only {verified_in_all} arrived and verified"));
        }
        self.line(format!("\n{deliveries} deliveries, {verified_in_all} verified, one of them after a retry"));
        self.line(format!("{accepted} calls of vendors accepted, {refused} refused with the reason"));
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }

    /// A line for each vendor: how many of its calls were accepted, and why the others were not. The sums.
    fn calls(&self, calls: &Calls) -> (usize, usize) {
        self.line(format!("\n{FAINT}{:<12} {:<11}  refused{FAINT:#}", "calls of", "accepted"));
        let (mut accepted_in_all, mut refused_in_all) = (0, 0);
        for source in &calls.sources {
            let id = member(source, "id");
            let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
            for receipt in calls.receipts.iter().filter(|receipt| member(receipt, "source_id") == id) {
                *verdicts.entry(member(receipt, "verdict")).or_default() += 1;
            }
            let accepted = verdicts.remove("accepted").unwrap_or_default();
            let refused: usize = verdicts.values().sum();
            let why: Vec<String> = verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
            let (name, count) = (member(source, "dialect"), format!("{accepted} of {}", accepted + refused));
            self.line(format!("{name:<12} {GOOD}✓{GOOD:#} {count:<9}  {}", why.join(", ")).trim_end());
            accepted_in_all += accepted;
            refused_in_all += refused;
        }
        (accepted_in_all, refused_in_all)
    }
}

/// The dialects that something is told in, and what a service checks where one is told; customers check the headers.
fn told_in() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    let services = services::ALL.iter().map(|service| (service.dialect, Some(service.checks)));
    played().map(|dialect| (dialect.id, None)).chain(services)
}

/// How many messages of a dialect verified, out of how many that a receiver was up for; why one was refused.
fn counted(seen: &[Seen], dialect: &str) -> (usize, usize, Option<String>) {
    let (mut verified, mut all, mut refused) = (0, 0, None);
    for one in seen.iter().filter(|one| one.arrival.dialect.id == dialect) {
        match &one.arrival.verdict {
            Verdict::Verified(_) => (verified, all) = (verified + 1, all + 1),
            Verdict::Refused(why) => (all, refused) = (all + 1, Some(why.clone())),
            Verdict::Down => {}
        }
    }
    (verified, all, refused)
}

/// The vendor's headers that came with a dialect's messages.
fn headers(seen: &[Seen], dialect: &str) -> String {
    let of_dialect = seen.iter().filter(|one| one.arrival.dialect.id == dialect);
    let all: BTreeSet<&str> = of_dialect.flat_map(|one| one.arrival.headers.iter().copied()).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}
