//! Figures: made from what a run yields, printed as a table or as JSON with names that stay.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::deliver::{Options, Yield};
use super::direct::Direct;
use super::floor::{Floor, Rows};
use super::measure::{Spread, per, precise, seconds};
use crate::cli::Output;

/// What `bench deliver` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    setup: Value,
    accepted: u64,
    expected: u64,
    arrived: u64,
    duplicates: u64,
    signatures_verified: usize,
    server_delivered: u64,
    elapsed_s: f64,
    accepted_per_s: f64,
    deliveries_per_s: f64,
    ingest_ms: Spread,
    arrival_ms: Spread,
    server_cpu_s_per_1000: f64,
    load_cpu_s_per_1000: f64,
    sink_cpu_s_per_1000: f64,
    memory_mb: MemoryFigures,
    cold_start_ms: f64,
    restart_ms: Option<RestartFigures>,
    floor: Option<Floor>,
    /// Figures divided by the floor's.
    ratio: Option<Map<String, Value>>,
    #[serde(skip)]
    title: String,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct RestartFigures {
    ready: f64,
    delivery: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct MemoryFigures {
    idle: f64,
    before: f64,
    after: f64,
    peak: f64,
}

impl Report {
    pub(super) fn of(run: &Yield) -> Self {
        let options = &run.options;
        let accepted = precise(options.events);
        let origin = run.sent.exchanges.iter().map(|exchange| exchange.origin).min().unwrap_or(0);
        let answered = run.sent.exchanges.iter().map(|exchange| exchange.answered).max().unwrap_or(0);
        let arrivals = Arrivals::of(run);
        let waits = run.sent.exchanges.iter().map(|exchange| exchange.answered.saturating_sub(exchange.origin));
        let thousands = precise(run.arrived) / 1e3;
        let mut report = Self {
            bench: "deliver",
            setup: setup(options),
            accepted: options.events,
            expected: options.events * u64::try_from(options.healthy()).unwrap_or(0),
            arrived: arrivals.count,
            duplicates: run.ledger.duplicates(),
            signatures_verified: run.signatures_verified,
            server_delivered: run.server_delivered,
            elapsed_s: seconds(arrivals.last.max(answered).saturating_sub(origin)),
            accepted_per_s: per(accepted, seconds(answered.saturating_sub(origin))),
            deliveries_per_s: per(precise(arrivals.count), seconds(arrivals.last.saturating_sub(origin))),
            ingest_ms: Spread::of(waits.collect()),
            arrival_ms: Spread::of(arrivals.waits),
            server_cpu_s_per_1000: per(run.server_cpu_s, thousands),
            load_cpu_s_per_1000: per(run.sent.cpu_seconds, thousands),
            sink_cpu_s_per_1000: per(run.sink_cpu_s, thousands),
            memory_mb: MemoryFigures {
                idle: run.idle.now_mb,
                before: run.before.now_mb,
                after: run.after.now_mb,
                peak: run.after.peak_mb,
            },
            cold_start_ms: run.cold_start_ms,
            restart_ms: run
                .restart
                .map(|restart| RestartFigures { ready: restart.ready_ms, delivery: restart.delivery_ms }),
            floor: run.floor.clone(),
            ratio: None,
            title: title(options),
        };
        report.ratio = report.floor.is_some().then(|| {
            let ratios =
                report.lines().into_iter().filter_map(|line| Some((line.key.to_owned(), json!(line.ratio()?))));
            ratios.collect()
        });
        report
    }

    fn lines(&self) -> Vec<Line> {
        let floor = self.floor.as_ref();
        let posting = floor.and_then(Floor::posting);
        let wait = floor.map(Floor::wait_ms);
        let line = |key, name: &str, value, unit, floor| Line { key, name: name.to_owned(), value, unit, floor };
        let cpu = "CPU-s per 1 000 deliveries";
        let direct = posting.map(|direct| direct.per_s);
        let mut lines = vec![
            line("accepted_per_s", "accepted", self.accepted_per_s, "events/s", direct),
            line("deliveries_per_s", "delivered", self.deliveries_per_s, "deliveries/s", direct),
            line("ingest_p50", "ingest p50", self.ingest_ms.p50, "ms", wait.map(|wait| wait.p50)),
            line("ingest_p90", "ingest p90", self.ingest_ms.p90, "ms", wait.map(|wait| wait.p90)),
            line("ingest_p99", "ingest p99", self.ingest_ms.p99, "ms", wait.map(|wait| wait.p99)),
            line("ingest_max", "ingest max", self.ingest_ms.max, "ms", None),
            line("arrival_p50", "accept to arrival p50", self.arrival_ms.p50, "ms", wait.map(|wait| wait.p50)),
            line("arrival_p90", "accept to arrival p90", self.arrival_ms.p90, "ms", wait.map(|wait| wait.p90)),
            line("arrival_p99", "accept to arrival p99", self.arrival_ms.p99, "ms", wait.map(|wait| wait.p99)),
            line("arrival_max", "accept to arrival max", self.arrival_ms.max, "ms", None),
            line(
                "server_cpu",
                "CPU of the server",
                self.server_cpu_s_per_1000,
                cpu,
                floor.map(|floor| floor.delivery_cpu_s_per_1000),
            ),
            line("load_cpu", "CPU of the load", self.load_cpu_s_per_1000, cpu, None),
            line(
                "sink_cpu",
                "CPU of the sink",
                self.sink_cpu_s_per_1000,
                cpu,
                posting.map(|direct| direct.sink_cpu_s_per_1000),
            ),
            line("memory_idle", "memory idle", self.memory_mb.idle, "MB", None),
            line("memory_before", "memory before", self.memory_mb.before, "MB", None),
            line("memory_after", "memory after", self.memory_mb.after, "MB", None),
            line("memory_peak", "memory peak", self.memory_mb.peak, "MB", None),
            line("cold_start", "start to first 2xx", self.cold_start_ms, "ms", None),
        ];
        if let Some(restart) = self.restart_ms {
            lines.push(line("restart_ready", "killed: start to ready", restart.ready, "ms", None));
            lines.push(line("restart_delivery", "killed: to the first delivery", restart.delivery, "ms", None));
        }
        lines
    }

    pub(crate) fn print(&self, out: Output) {
        if out.json {
            return out.value(&serde_json::to_value(self).unwrap_or_default());
        }
        out.line(&self.title);
        print_lines(out, &self.lines());
        out.line(format!(
            "in = out: {} events accepted, {} of {} deliveries arrived, {} twice; {} signatures verified",
            self.accepted, self.arrived, self.expected, self.duplicates, self.signatures_verified
        ));
    }
}

/// First arrivals of the measured events at endpoints that answer at once.
struct Arrivals {
    count: u64,
    last: u64,
    waits: Vec<u64>,
}

impl Arrivals {
    fn of(run: &Yield) -> Self {
        let mut arrivals = Self { count: 0, last: 0, waits: Vec::new() };
        for exchange in &run.sent.exchanges {
            for event in (exchange.first..).take(usize::try_from(run.options.batch).unwrap_or(1)) {
                if !run.measured.contains(&event) {
                    continue;
                }
                for at in run.ledger.arrivals(usize::try_from(event).unwrap_or(usize::MAX)).flatten() {
                    arrivals.count += 1;
                    arrivals.last = arrivals.last.max(at);
                    arrivals.waits.push(at.saturating_sub(exchange.origin));
                }
            }
        }
        arrivals
    }
}

fn setup(options: &Options) -> Value {
    json!({
        "events": options.events, "fanout": options.fanout, "connections": options.connections,
        "size_bytes": options.size, "tls": options.tls, "rate_per_s": options.rate, "hang": options.hang,
        "batch": options.batch, "max_in_flight": options.max_in_flight, "preload": options.preload,
        "waiting": options.waiting, "dialect": super::DIALECT,
    })
}

fn title(options: &Options) -> String {
    let to = if options.tls { "over TLS" } else { "over HTTP" };
    let how = match options.rate {
        None => format!("{} connections, each posting when it was answered", options.connections),
        Some(rate) => format!("{rate} events/s"),
    };
    let mut title =
        format!("{} events of {} bytes to {} endpoint(s) {to}, {how}", options.events, options.size, options.fanout);
    for (count, what) in [
        (u64::try_from(options.hang).unwrap_or(0), "of the endpoints hang"),
        (options.preload, "deliveries stored before"),
        (options.waiting, "deliveries waiting"),
    ] {
        if count > 0 {
            title.push_str(&format!(", {count} {what}"));
        }
    }
    if options.batch > 1 {
        title.push_str(&format!(", in batches of {}", options.batch));
    }
    title
}

impl Floor {
    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        lines.extend(self.direct.iter().flat_map(|direct| posted("over HTTP", direct)));
        lines.extend(self.direct_tls.iter().flat_map(|direct| posted("over TLS", direct)));
        lines.extend(stored("32", &self.rows_32));
        lines.extend(stored("256", &self.rows_256));
        for (name, spread) in [("fsync", self.fsync_ms), ("fdatasync", self.fdatasync_ms)] {
            lines.push(figure(format!("4 KiB and {name} p50"), spread.p50, "ms"));
            lines.push(figure(format!("4 KiB and {name} p99"), spread.p99, "ms"));
        }
        let sum = format!("received, stored, posted (fan-out {})", self.fanout);
        lines.push(figure(sum, self.delivery_cpu_s_per_1000, "CPU-s per 1 000 deliveries"));
        lines
    }

    pub(crate) fn print(&self, out: Output) {
        if out.json {
            let mut value = serde_json::to_value(self).unwrap_or_default();
            if let Some(members) = value.as_object_mut() {
                members.insert("bench".to_owned(), json!("floor"));
            }
            return out.value(&value);
        }
        out.line(format!("The floor of this machine, with {} bytes of data", self.size_bytes));
        print_lines(out, &self.lines());
    }
}

fn posted(how: &str, direct: &Direct) -> [Line; 5] {
    [
        figure(format!("straight {how}"), direct.per_s, "posts/s"),
        figure(format!("straight {how} p50"), direct.wait_ms.p50, "ms"),
        figure(format!("straight {how} p99"), direct.wait_ms.p99, "ms"),
        figure(format!("straight {how}, sender"), direct.sender_cpu_s_per_1000, "CPU-s per 1 000 posts"),
        figure(format!("straight {how}, sink"), direct.sink_cpu_s_per_1000, "CPU-s per 1 000 posts"),
    ]
}

fn stored(batch: &str, rows: &Rows) -> [Line; 4] {
    [
        figure(format!("rows in batches of {batch}"), rows.deliveries_per_s, "deliveries/s"),
        figure(format!("rows in batches of {batch} p50"), rows.batch_ms.p50, "ms a batch"),
        figure(format!("rows in batches of {batch} p99"), rows.batch_ms.p99, "ms a batch"),
        figure(format!("rows in batches of {batch}"), rows.cpu_s_per_1000, "CPU-s per 1 000 deliveries"),
    ]
}

/// A line of a table.
#[derive(Debug, Clone)]
struct Line {
    /// Its name among the ratios.
    key: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    floor: Option<f64>,
}

impl Line {
    fn ratio(&self) -> Option<f64> {
        self.floor.filter(|floor| *floor > 0.0).map(|floor| self.value / floor)
    }
}

fn figure(name: String, value: f64, unit: &'static str) -> Line {
    Line { key: "", name, value, unit, floor: None }
}

fn print_lines(out: Output, lines: &[Line]) {
    let name = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    let unit = lines.iter().map(|line| line.unit.len()).max().unwrap_or(0);
    let against_floor = lines.iter().any(|line| line.floor.is_some());
    if against_floor {
        out.line(format!("{:name$}  {:>10}  {:unit$}  {:>10}  {:>8}", "", "value", "", "floor", "ratio"));
    }
    for line in lines {
        let floor = line.floor.map(number).unwrap_or_default();
        let ratio = line.ratio().map(|ratio| format!("{}x", number(ratio))).unwrap_or_default();
        let text =
            format!("{:name$}  {:>10}  {:unit$}  {floor:>10}  {ratio:>8}", line.name, number(line.value), line.unit);
        out.line(text.trim_end());
    }
}

/// As many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => {
            let digits = format!("{value:.0}");
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
            let mut grouped = String::from(sign);
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    grouped.push(' ');
                }
                grouped.push(digit);
            }
            grouped
        }
        middle if middle >= 100.0 => format!("{value:.0}"),
        small if small >= 10.0 => format!("{value:.1}"),
        smaller if smaller >= 1.0 => format!("{value:.2}"),
        smallest if smallest >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let shown = [1_234_567.0, 12_345.4, 999.6, 64.04, 1.2345, 0.3333, 0.012_34, 0.0].map(number);
        assert_eq!(shown, ["1 234 567", "12 345", "1000", "64.0", "1.23", "0.333", "0.0123", "0.0000"]);
    }

    #[test]
    fn a_ratio_wants_a_floor() {
        let line = |floor| Line { floor, ..figure(String::new(), 3.0, "ms") };
        assert_eq!([line(Some(2.0)).ratio(), line(Some(0.0)).ratio(), line(None).ratio()], [Some(1.5), None, None]);
    }
}
