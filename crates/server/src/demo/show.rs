//! What the demo prints while it plays, in lines of at most 100 characters; [`closing`](super::closing) has the end. Progress on
//! a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;
use watchbell_wire::dialect;

use super::play::Seen;
use super::receiver::{Arrival, SHAKY, Verdict};
use super::services::wrapped;
use super::stage::Stage;
use crate::cli::Output;
use crate::cli::output::{BAD, FAINT, GOOD, LOOK, plain};

pub(super) const OUT: Output = Output { json: false };

/// Characters of what is quoted, beside the word that says whose it is.
const QUOTED_MAX: usize = 83;

/// The demo's output.
pub(super) struct Show {
    /// A spinner, on a terminal.
    pub(super) bar: ProgressBar,
}

impl Show {
    pub(super) fn start() -> Self {
        let bar = match std::io::stderr().is_terminal() && std::io::stdout().is_terminal() {
            true => ProgressBar::new_spinner().with_message("starting a server and a receiver"),
            false => ProgressBar::hidden(),
        };
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    pub(super) fn line(&self, text: impl AsRef<str>) {
        self.bar.suspend(|| OUT.line(text));
    }

    pub(super) fn running(&self, server: &str, receiver: &str) {
        self.line(format!("Watchbell {} runs at {server}, on a temporary directory.", env!("CARGO_PKG_VERSION")));
        self.line(format!("Beside it receivers at {receiver} verify everything that they get."));
    }

    pub(super) fn chapter(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.line(format!("\n{LOOK}{what}{LOOK:#}"));
    }

    /// What the play has set up.
    pub(super) fn says(&self, what: &str) {
        self.line(format!("  {FAINT}{what}{FAINT:#}"));
    }

    /// What the server's own API says as well.
    pub(super) fn holds(&self, what: &str) {
        self.line(format!("  {GOOD}✓{GOOD:#} {what}"));
    }

    /// A line for each event of each dialect, with how often it came.
    pub(super) fn told(&self, arrived: &[Seen]) {
        let mut rows: BTreeMap<(usize, String), (&Seen, usize)> = BTreeMap::new();
        for seen in arrived {
            let word = match &seen.arrival.verdict {
                Verdict::Verified(said) => &said.event,
                Verdict::Refused(why) => why,
                Verdict::Down => continue,
            };
            let order = dialect::ALL.iter().position(|dialect| *dialect == seen.arrival.dialect).unwrap_or_default();
            rows.entry((order, word.clone())).or_insert((seen, 0)).1 += 1;
        }
        for ((_, word), (seen, count)) in rows {
            let name = &seen.arrival.name;
            let times = if count > 1 { format!("{count} times") } else { String::new() };
            self.line(match &seen.arrival.verdict {
                Verdict::Refused(_) => format!("  {name:<12} {BAD}refused{BAD:#}: {word}"),
                Verdict::Verified(_) | Verdict::Down => {
                    format!("  {name:<12} {word:<44} {GOOD}verified{GOOD:#}  {times}").trim_end().to_owned()
                }
            });
        }
    }

    /// Who calls the server, and who is told by it.
    pub(super) fn registered(&self, name: &str, how: &str, whom: &str) {
        self.line(format!("  {name:<12} {FAINT}{how:<6}{FAINT:#} {whom}"));
    }

    /// A vendor's call.
    pub(super) fn called(&self, vendor: &str, what: &str) {
        self.line(format!("  {vendor:<12} {LOOK}→{LOOK:#} {what}"));
    }

    /// How the server answered it, and what it made of it.
    pub(super) fn answered(&self, how: &str, is_good: bool, what: &str) {
        let style = if is_good { GOOD } else { BAD };
        self.line(format!("  {:<12} {LOOK}←{LOOK:#} {style}{how}{style:#}  {what}", "").trim_end());
    }

    /// Somebody's words.
    pub(super) fn quoted(&self, whose: &str, words: &str) {
        for (number, line) in wrapped(words, QUOTED_MAX).iter().enumerate() {
            let whose = if number == 0 { whose } else { "" };
            self.line(format!("  {whose:<12} {FAINT}│{FAINT:#} {line}"));
        }
    }

    /// What is to be seen where people and machines are told.
    pub(super) fn seen_there(&self, told: &[Seen]) {
        for Seen { arrival, .. } in told {
            let Verdict::Verified(said) = &arrival.verdict else { continue };
            for (number, line) in said.lines.iter().enumerate() {
                let name = if number == 0 { arrival.name.as_str() } else { "" };
                self.line(format!("  {name:<12} {FAINT}│{FAINT:#} {}", plain(&line.as_str().into())));
            }
        }
    }

    /// Who sees a finding, by their own keys of it.
    pub(super) fn witnesses(&self, witnesses: &[(String, bool)]) {
        for (key, _) in witnesses {
            self.line(format!("    {FAINT}{key}{FAINT:#}"));
        }
    }

    /// What was written down of a finding.
    pub(super) fn history(&self, name: &str, changes: &[Value]) {
        self.line(format!("  {FAINT}{name}, as the server has written it down:{FAINT:#}"));
        let of = |change: &Value, pointer: &str| change.pointer(pointer).map(plain).unwrap_or_default();
        for change in changes {
            let day: String = of(change, "/at").chars().take(10).collect();
            let from = change.get("from").and_then(Value::as_str).unwrap_or("not known");
            let (to, by) = (of(change, "/to"), of(change, "/by/name"));
            self.line(format!("    {FAINT}{day}  {from} → {to}, by {by}: {}{FAINT:#}", of(change, "/reason")));
        }
    }

    pub(super) fn scan(&mut self, report: &str, answer: &Value) {
        let scan = answer.get("scan").unwrap_or(answer);
        let of = |name: &str| scan.get(name).map_or_else(|| "?".to_owned(), plain);
        self.line(format!(
            "  {FAINT}{report} by {}: {} findings, {} new, {} gone{FAINT:#}",
            of("tool"),
            of("findings_seen"),
            of("findings_new"),
            of("findings_removed")
        ));
    }

    /// One line: who, what, the verdict, how long it took.
    pub(super) fn arrival(&mut self, arrival: &Arrival, ms: Option<i64>) {
        let took = ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let again = match (arrival.name == SHAKY, arrival.number) {
            (false, _) => String::new(),
            (true, 1) => "attempt 1: ".to_owned(),
            (true, number) => format!("retry, attempt {number}: "),
        };
        let name = &arrival.name;
        self.line(match &arrival.verdict {
            Verdict::Verified(said) => {
                format!("  {name:<12} {again}{:<44} {GOOD}verified{GOOD:#}  {took}", said.event)
            }
            Verdict::Down => {
                format!("  {name:<12} {again}the receiver is down, answers 503, and is asked again  {took}")
            }
            Verdict::Refused(why) => format!("  {name:<12} {again}{BAD}refused{BAD:#}: {why}"),
        });
    }

    /// The attempts of the delivery that was repeated, as the server recorded them.
    pub(super) fn attempts(&mut self, attempts: &[Value]) {
        let of = |attempt: &Value, name: &str| attempt.get(name).map_or_else(|| "?".to_owned(), plain);
        let told: Vec<String> = attempts
            .iter()
            .map(|attempt| format!("attempt {} {}", of(attempt, "number"), of(attempt, "result")))
            .collect();
        self.line(format!("{FAINT}recorded by the server: {}{FAINT:#}", told.join(", ")));
    }

    /// What to try while the demo stays up.
    pub(super) fn what_next(&mut self, stage: &Stage) {
        let (url, key, path) = (&stage.url, stage.key.expose(), stage.path("/events"));
        self.bar.set_message("waiting for you; Ctrl-C ends the demo and removes everything");
        self.line(format!("\n{LOOK}The server stays up until Ctrl-C. In another terminal:{LOOK:#}\n"));
        self.line(format!("  export WATCHBELL_URL={url}"));
        self.line(format!("  export WATCHBELL_KEY={key}"));
        self.line("  watchbell endpoint list");
        self.line("  watchbell delivery list --limit 10");
        self.line("  watchbell receipt list --org acme --verdict signature_mismatch");
        self.line(
            "  watchbell send evidence.completed --data '{\"evidence_id\": \"e-1\", \"file_name\": \"sbom.json\"}'",
        );
        self.line(format!("  curl -s {url}{path} \\"));
        self.line("       -H \"Authorization: Bearer $WATCHBELL_KEY\" -H 'Content-Type: application/json' \\");
        self.line("       -d '{\"type\": \"build.finished\", \"data\": {\"ok\": true}}'");
        let days = stage.clock.ahead().as_hours() / 24;
        self.line(format!(
            "\nIts clock is {days} days ahead: these have passed. What arrives at the receivers is shown here:"
        ));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
