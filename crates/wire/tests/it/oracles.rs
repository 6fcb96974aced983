//! Other people's implementations as judges: Standard Webhooks' reference library, Python's and Node's own JSON.
//!
//! Python and Node are asked only where they are installed; a missing one is said loudly and the test passes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use watchbell_wire::json::{javascript, python};
use watchbell_wire::{Data, Event, EventType, Headers, Message, Secret, Unverified, dialect};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The reference library judges times by its own clock, so only its way around the clock is used for old messages.
#[test]
fn the_reference_library_makes_our_signatures() {
    let dialect = dialect::find("standard").unwrap();
    let reference = standardwebhooks::Webhook::new(SECRET).unwrap();
    let keys = [dialect.secrets.key(&Secret::new(SECRET)).unwrap()];
    let bodies: [&[u8]; 4] = [b"", b"{}", "{\"a\":\"\u{e9}\u{1f600}\"}".as_bytes(), b"{\"dots\": \"a.b.c\"}"];
    for (number, body) in bodies.into_iter().enumerate() {
        let seconds = 1_649_367_553 + i64::try_from(number).unwrap();
        let at = Timestamp::from_second(seconds).unwrap();
        let id = format!("msg_{number}");
        let message = Message { id: &id, event: "x.y", occurred_at: at, sent_at: at, body };
        let ours = dialect.outbound.unwrap().headers(&message, &keys).unwrap();
        let theirs = reference.sign(&id, seconds, body).unwrap();
        assert_eq!(ours.last().unwrap().value, theirs);

        let headers: Headers =
            [("webhook-id", id), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", theirs)]
                .into_iter()
                .collect();
        Unverified::new(headers, body).verify(dialect, &keys, at, SignedDuration::from_secs(300)).unwrap();
    }
}

fn ask(program: &str, arguments: &[&str], input: &str) -> Option<Vec<String>> {
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("SKIPPED: {program} is not installed, so nobody judged our text");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    if !output.status.success() {
        println!("SKIPPED: {program} does not run, so nobody judged our text");
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

/// Runs over lines of JSON; the text may not hold a raw line end.
fn lines(count: usize) -> Vec<String> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[0x57; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = json_text();
    let mut lines: Vec<String> = (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    lines.extend(NUMBERS.iter().map(|number| (*number).to_owned()));
    lines
}

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "-0.0",
    "-0e0",
    "1e-400",
    "-1e-400",
    "5e-324",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "1e15",
    "1e16",
    "123456789012345680.0",
    "9007199254740993",
    "9007199254740993.0",
    "0.1",
    "0.30000000000000004",
    "1e-4",
    "1e-5",
    "0.00001234",
    "1e-6",
    "1e-7",
    "123e-20",
    "1e20",
    "1e21",
    "1.5e21",
    "123456789012345678901234567890",
    "4.35",
    "2.5e-5",
    "100",
    "1E+2",
    "1.0",
    "1.10",
    "8.41e21",
    "9.5e-7",
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880.0",
];

fn json_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>().prop_map(|character| match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            control if control < ' ' => format!("\\u{:04X}", u32::from(control)),
            // Line ends of other alphabets would cut the line on its way to the judge.
            '\u{85}' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", u32::from(character)),
            other => other.to_string(),
        }),
        any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        prop::sample::select(vec![
            "a",
            "0",
            "\\/",
            "\\b",
            "\u{7f}",
            "é",
            "\u{fffd}",
            "😀",
            "\\ud83d\\ude00",
            "\\ud83d",
            "\\ude00"
        ])
        .prop_map(str::to_owned),
    ];
    let string = prop::collection::vec(character, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let number = prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |value| value.is_finite())
            .prop_map(|value| format!("{value:e}")),
        (any::<i32>(), any::<u32>(), -330..330_i32)
            .prop_map(|(whole, fraction, exponent)| format!("{whole}.{fraction}e{exponent}")),
        (0..u64::MAX, 0..40_usize).prop_map(|(digits, zeros)| format!("-{}1{digits}{}", "", "0".repeat(zeros))),
    ];
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), string.clone(), number];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let key = prop_oneof![
            string.clone(),
            (0..20_u32).prop_map(|index| format!("\"{index}\"")),
            Just("\"4294967295\"".to_owned()),
            Just("\"007\"".to_owned())
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((key, inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

#[test]
fn python_writes_our_canonical_text() {
    let lines = lines(800);
    let script = "import json,sys\n\
        for line in sys.stdin.buffer:\n    \
            print(json.dumps(json.loads(line), sort_keys=True, separators=(',', ':')))\n";
    let Some(theirs) = ask("python3", &["-c", script], &(lines.join("\n") + "\n")) else {
        return;
    };
    assert_eq!(theirs.len(), lines.len());
    for (line, theirs) in lines.iter().zip(theirs) {
        assert_eq!(python::canonical(line.as_bytes()).as_deref(), Ok(theirs.as_str()), "of {line}");
    }
}

const NODE: &str = "const text = require('fs').readFileSync(0, 'utf8').split('\\n').slice(0, -1);\n\
    for (const line of text) console.log(JSON.stringify(JSON.parse(line)));";

/// Half of a surrogate pair, which a Rust string cannot hold and the strict edge refuses, is left out of the comparison.
#[test]
fn node_writes_our_javascript_text() {
    let lines: Vec<_> = lines(800)
        .into_iter()
        .filter(|line| watchbell_wire::json::strict::check(line.as_bytes(), 64).is_ok())
        .collect();
    assert!(lines.len() > 300);
    let Some(theirs) = ask("node", &["-e", NODE], &(lines.join("\n") + "\n")) else {
        return;
    };
    assert_eq!(theirs.len(), lines.len());
    for (line, theirs) in lines.iter().zip(theirs) {
        assert_eq!(javascript::restringify(line).as_deref(), Ok(theirs.as_str()), "of {line}");
    }
}

#[test]
fn snyk_bodies_survive_node() {
    let snyk = dialect::find("snyk").unwrap().outbound.unwrap();
    let awkward = r#"{"project":{"id":"p","name":"n","17":1,"3":2,"totalDependencies":10.0,"big":9007199254740993,"text":"\u2028\/\u007f"},
        "org":{"id":"o"},"newIssues":[{"id":"A","priorityScore":1e21,"cvssScore":0.00000001}]}"#;
    let mut bodies = Vec::new();
    for data in [EventType::ProjectSnapshot.sample().unwrap(), Data::from_text(awkward.to_owned()).unwrap()] {
        let event = Event {
            id: uuid::Uuid::nil(),
            event_type: EventType::ProjectSnapshot,
            occurred_at: Timestamp::UNIX_EPOCH,
            data,
        };
        bodies.push(String::from_utf8(snyk.encode(&event, &watchbell_wire::Settings::default()).unwrap()).unwrap());
    }
    let Some(theirs) = ask("node", &["-e", NODE], &(bodies.join("\n") + "\n")) else {
        return;
    };
    assert_eq!(theirs, bodies);
}
