//! What the demo prints: a line for each arrival as it comes, a table at the end. Progress on a terminal, plain lines
//! elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use watchbell_wire::dialect;

use super::Seen;
use super::receiver::{Arrival, SHAKY, Verdict};
use super::stage::Stage;
use crate::cli::Output;
use crate::cli::output::{BAD, FAINT, GOOD, LOOK, plain};

const OUT: Output = Output { json: false };

/// The demo's output.
pub(super) struct Show {
    /// A spinner, on a terminal.
    bar: ProgressBar,
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

    fn line(&self, text: impl AsRef<str>) {
        self.bar.suspend(|| OUT.line(text));
    }

    pub(super) fn running(&self, server: &str, receiver: &str) {
        self.line(format!("Watchbell {} runs at {server}, on a temporary directory.", env!("CARGO_PKG_VERSION")));
        self.line(format!("Beside it a receiver at {receiver} verifies everything that it gets."));
    }

    pub(super) fn chapter(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.line(format!("\n{LOOK}{what}{LOOK:#}"));
    }

    pub(super) fn scan(&mut self, report: &str, answer: &Value) {
        let scan = answer.get("scan").unwrap_or(answer);
        let of = |name: &str| scan.get(name).map_or_else(|| "?".to_owned(), plain);
        self.line(format!(
            "{FAINT}{report} by {}: {} findings, {} new, {} gone{FAINT:#}",
            of("tool"),
            of("findings_seen"),
            of("findings_new"),
            of("findings_removed")
        ));
    }

    /// One line: who, what, the verdict, how long it took.
    pub(super) fn arrival(&mut self, arrival: &Arrival, ms: Option<i64>) {
        let took = ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let again = match (arrival.path == SHAKY, arrival.number) {
            (false, _) => String::new(),
            (true, 1) => "attempt 1: ".to_owned(),
            (true, number) => format!("retry, attempt {number}: "),
        };
        let path = &arrival.path;
        self.line(match &arrival.verdict {
            Verdict::Verified(event) => format!("  {path:<12} {again}{event:<34} {GOOD}verified{GOOD:#}  {took}"),
            Verdict::Down => {
                format!("  {path:<12} {again}the receiver is down and answers 503, so there will be a retry  {took}")
            }
            Verdict::Refused(why) => format!("  {path:<12} {again}{BAD}refused{BAD:#}: {why}"),
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

    /// A row for each event of each dialect.
    pub(super) fn table(&mut self, seen: &[Seen]) {
        let mut rows: BTreeMap<(usize, String, String), (Vec<&Seen>, String)> = BTreeMap::new();
        for one in seen {
            let order = dialect::ALL.iter().position(|dialect| *dialect == one.arrival.dialect).unwrap_or_default();
            let (event, verdict) = match &one.arrival.verdict {
                Verdict::Verified(event) => (event.clone(), "verified"),
                Verdict::Down => ("(receiver down)".to_owned(), "503, retried"),
                Verdict::Refused(_) => ("?".to_owned(), "REFUSED"),
            };
            let row = rows
                .entry((order, one.arrival.path.clone(), event))
                .or_insert_with(|| (Vec::new(), verdict.to_owned()));
            row.0.push(one);
        }
        let items: Vec<Value> = rows
            .into_iter()
            .map(|((_, path, event), (seen, verdict))| {
                let headers = seen.first().map(|one| one.arrival.headers.join(", ")).unwrap_or_default();
                let times: Vec<i64> = seen.iter().filter_map(|one| one.ms).collect();
                let ms = match (times.iter().min(), times.iter().max()) {
                    (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
                    (Some(least), _) => least.to_string(),
                    (None, _) => String::new(),
                };
                json!({"event": event, "dialect": path, "headers": headers, "verdict": format!("{verdict} x{}", seen.len()), "ms": ms})
            })
            .collect();
        self.line("");
        let columns: &[(&str, &[&str])] = &[
            ("event", &["event"]),
            ("dialect", &["dialect"]),
            ("headers", &["headers"]),
            ("verdict", &["verdict"]),
            ("ms", &["ms"]),
        ];
        self.bar.suspend(|| OUT.table(&items, columns));
        self.line(format!("{FAINT}ms: from acceptance on disk to arrival at the receiver{FAINT:#}"));
    }

    /// A line for each dialect; what is not as it should be, if anything.
    pub(super) fn summary(&self, seen: &[Seen], deliveries: usize) -> Option<String> {
        self.line("");
        let mut wrong = Vec::new();
        let mut verified_in_all = 0;
        for dialect in dialect::ALL.iter().filter(|dialect| dialect.outbound.is_some() && dialect.inbound.is_some()) {
            let of_dialect = || seen.iter().filter(|one| one.arrival.dialect == *dialect);
            let verified = of_dialect().filter(|one| matches!(one.arrival.verdict, Verdict::Verified(_))).count();
            let refused: Vec<&Verdict> = of_dialect()
                .map(|one| &one.arrival.verdict)
                .filter(|verdict| matches!(verdict, Verdict::Refused(_)))
                .collect();
            verified_in_all += verified;
            if verified > 0 && refused.is_empty() {
                self.line(format!(
                    "{:<12} {GOOD}verified{GOOD:#}  {verified} of {verified}, {}",
                    dialect.id, dialect.name
                ));
            } else {
                let why = match refused.first() {
                    Some(Verdict::Refused(why)) => why.clone(),
                    Some(Verdict::Verified(_) | Verdict::Down) | None => "nothing arrived".to_owned(),
                };
                self.line(format!("{:<12} {BAD}FAILED{BAD:#}  {why}", dialect.id));
                wrong.push(format!("{}: {why}", dialect.id));
            }
        }
        let retried = seen.iter().any(|one| {
            one.arrival.number > 1 && one.arrival.path == SHAKY && matches!(one.arrival.verdict, Verdict::Verified(_))
        });
        if !retried {
            wrong.push("the delivery that had to be retried did not arrive".to_owned());
        }
        if verified_in_all < deliveries {
            wrong.push(format!("{deliveries} deliveries were made, but only {verified_in_all} arrived and verified"));
        }
        self.line(format!("{deliveries} deliveries, {verified_in_all} verified, one of them after a retry"));
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }

    /// What to try while the demo stays up.
    pub(super) fn what_next(&mut self, stage: &Stage) {
        let (url, key, path) = (&stage.url, stage.key.expose(), stage.path("/events"));
        self.bar.set_message("waiting for you; Ctrl-C ends the demo and removes everything");
        self.line(format!("\n{LOOK}The server stays up until Ctrl-C. In another terminal:{LOOK:#}\n"));
        self.line(format!("  export WATCHBELL_URL={url} WATCHBELL_KEY={key}"));
        self.line("  watchbell endpoint list");
        self.line("  watchbell delivery list --limit 10");
        self.line(
            "  watchbell send evidence.completed --data '{\"evidence_id\": \"e-1\", \"file_name\": \"sbom.json\"}'",
        );
        self.line(format!(
            "  curl -s {url}{path} -H \"Authorization: Bearer $WATCHBELL_KEY\" -H 'Content-Type: application/json' \\\n       -d '{{\"type\": \"build.finished\", \"data\": {{\"ok\": true}}}}'"
        ));
        self.line("\nWhat arrives at the receiver is shown here:");
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
