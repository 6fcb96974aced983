//! Bodies meant to hurt: each is refused with its code or accepted, in linear time, and nothing panics.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use watchbell_wire::json::{javascript, python, strict};
use watchbell_wire::{Headers, Message, Settings, Unverified, dialect};

const DEPTH_MAX: usize = 64;

fn code(text: impl AsRef<[u8]>) -> Result<(), &'static str> {
    strict::check(text.as_ref(), DEPTH_MAX).map(|_| ()).map_err(|error| error.code)
}

#[test]
fn what_is_no_json_is_refused() {
    let texts: &[&[u8]] = &[
        b"",
        b" \n",
        b"{",
        b"[1",
        b"{\"a\":1",
        b"\"a",
        b"{\"a\":1,}",
        b"[1,]",
        b"[,1]",
        b"{,}",
        b"// x\n1",
        b"/* x */ 1",
        b"{'a':1}",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"-01",
        b"+1",
        b".5",
        b"1.",
        b"1.e5",
        b"1e",
        b"1e+",
        b"-",
        b"0x1F",
        b"1 2",
        b"{}{}",
        b"{}\n{}",
        b"{} x",
        b"\xEF\xBB\xBF{}",
        b"<a/>",
        b"a: 1",
        b"nul",
        b"nulll",
        b"True",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\" 1}",
        b"{1:2}",
        b"{a:1}",
        b"[1 2]",
        b"[}",
        b"{]",
        b"\"a\nb\"",
        b"\"a\tb\"",
        b"\"a\0b\"",
        b"\"\\x\"",
        b"\"\\u12\"",
        b"\"\\u12G4\"",
        b"\"\\\"",
        b"{\"a\":1\0}",
        b"\x0b1",
        b"\xc2\xa01",
    ];
    for text in texts {
        assert_eq!(code(text), Err("invalid_json"), "{}", String::from_utf8_lossy(text));
    }
    // UTF-16, with and without its mark.
    assert_eq!(code(b"{\0}\0"), Err("invalid_json"));
    assert_eq!(code(b"\xFF\xFE{\0}\0"), Err("invalid_utf8"));
}

#[test]
fn what_is_json_is_accepted_as_it_is() {
    let texts = [
        "1",
        "-0",
        "0.0",
        "1.10",
        "1E5",
        "1e-400",
        "null",
        "true",
        "false",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{\r\n\"a\" :\t1 }\n",
        "9007199254740993",
        "18446744073709551615",
        "123456789012345678901234567890",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{7f}\u{2028}\u{feff}\"",
        "{\"a\":1,\"A\":2,\"é\":3,\"e\u{301}\":4}",
        "[{\"a\":1},{\"a\":1}]",
        "{\"a\":{\"a\":{\"a\":1}}}",
        "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "{\"\":1}",
        "1.7976931348623157e308",
    ];
    for text in texts {
        assert_eq!(strict::check(text.as_bytes(), DEPTH_MAX), Ok(text));
    }
}

#[test]
fn each_fault_has_its_code() {
    let texts: &[(&[u8], &str)] = &[
        (b"\"\xe9\"", "invalid_utf8"),
        (b"\"\xc0\xaf\"", "invalid_utf8"),
        (b"\"\xed\xa0\x80\"", "invalid_utf8"),
        (b"\"\xf4\x90\x80\x80\"", "invalid_utf8"),
        (b"\"\xe2\x82", "invalid_utf8"),
        (b"\"\\ud800\"", "invalid_unicode"),
        (b"\"\\udc00\"", "invalid_unicode"),
        (b"\"\\ude00\\ud83d\"", "invalid_unicode"),
        (b"\"\\ud800\\u0041\"", "invalid_unicode"),
        (b"\"\\ud800\\ud800\\udc00\"", "invalid_unicode"),
        (b"{\"\\ud800\":1}", "invalid_unicode"),
        (b"{\"a\":1,\"a\":1}", "duplicate_key"),
        (b"{\"a\":1,\"b\":2,\"\\u0061\":1}", "duplicate_key"),
        (b"[{\"x\":{\"\":0,\"y\":{},\"\":0}}]", "duplicate_key"),
        ("{\"😀\":1,\"\\ud83d\\ude00\":2}".as_bytes(), "duplicate_key"),
        (b"1e400", "number_out_of_range"),
        (b"-1e999999999", "number_out_of_range"),
        (b"[1.5e309]", "number_out_of_range"),
        (b"1e99999999999999999999999999999999", "number_out_of_range"),
    ];
    for (text, expected) in texts {
        assert_eq!(code(text), Err(*expected), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn depth_ends_at_the_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    assert_eq!((code(nested(64)), code(nested(65))), (Ok(()), Err("json_too_deep")));
    assert_eq!((code(objects(64)), code(objects(65))), (Ok(()), Err("json_too_deep")));
    for depth in [1_000, 500_000] {
        assert_eq!(code(nested(depth)), Err("json_too_deep"));
        assert_eq!(code("[".repeat(depth)), Err("json_too_deep"));
        assert_eq!(python::canonical("[".repeat(depth).as_bytes()).unwrap_err().code, "json_too_deep");
        assert_eq!(javascript::restringify(&objects(depth)).unwrap_err().code, "json_too_deep");
    }
    // Python's limit is ours to set, and on a small stack everything up to it is read, written and dropped.
    let deepest = nested(python::DEPTH_MAX);
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    let handle = thread.spawn(move || {
        assert_eq!(python::canonical(deepest.as_bytes()).unwrap(), deepest);
        assert_eq!(javascript::restringify(&deepest).unwrap(), deepest);
        assert_eq!(python::canonical(format!("[{deepest}]").as_bytes()).unwrap_err().code, "json_too_deep");
    });
    handle.unwrap().join().unwrap();
}

#[test]
fn large_bodies_take_linear_time() {
    let digits = "7".repeat(100_000);
    assert_eq!(code(&digits), Err("number_out_of_range"));
    assert_eq!(code(format!("0.{digits}")), Ok(()));
    assert_eq!(code("7".repeat(strict::INTEGER_DIGITS_MAX)), Ok(()));
    assert_eq!(python::canonical(digits.as_bytes()).unwrap_err().code, "number_out_of_range");
    let keys: String = (0..55_000).map(|number| format!("\"key{number:08}\":1,")).collect();
    let long_key = "k".repeat(1 << 20);
    let bodies = [
        format!("{{{keys}\"last\":1}}"),
        format!("[{}[]]", "[],".repeat(340_000)),
        format!("\"{}\"", "\\u00e9".repeat(170_000)),
        format!("{{\"{long_key}\":1,\"{long_key}x\":2}}"),
        format!("[{}0]", "{\"a\":1},".repeat(100_000)),
    ];
    for body in &bodies {
        assert_eq!(code(body), Ok(()));
        python::canonical(body.as_bytes()).unwrap();
        javascript::restringify(body).unwrap();
    }
    let twice = format!("{{{keys}{keys}\"last\":1}}");
    assert_eq!(code(&twice), Err("duplicate_key"));
    assert_eq!(python::canonical(twice.as_bytes()).unwrap(), bodies[0]);
    let read = javascript::restringify(&twice).unwrap();
    assert_eq!(read.len(), bodies[0].len());
}

#[test]
fn python_keeps_to_its_own_rules() {
    let cases = [
        ("\u{feff}1", "1"),
        ("[NaN,Infinity,-Infinity,1e400,-1e400]", "[NaN,Infinity,-Infinity,Infinity,-Infinity]"),
        (r#"{"b":1,"a":{"d":1,"c":2},"b":[{"z":0,"y":1}]}"#, r#"{"a":{"c":2,"d":1},"b":[{"y":1,"z":0}]}"#),
        (
            r#"["\ud800","\udc00\ud800","\ud83d\ude00","😀"]"#,
            r#"["\ud800","\udc00\ud800","\ud83d\ude00","\ud83d\ude00"]"#,
        ),
        ("\"\u{7f}~ /\\/\\u0041\\u000b\"", "\"\\u007f~ //A\\u000b\""),
        ("[-0,0,-0.0,1E2,1e-7,12345678901234567890]", "[0,0,-0.0,100.0,1e-07,12345678901234567890]"),
    ];
    for (text, expected) in cases {
        assert_eq!(python::canonical(text.as_bytes()).unwrap(), expected);
    }
    for refused in ["\u{feff}\u{feff}1", "nan", "-NaN", "+1", "1.", "'a'", "[1,]", "", "Infinit"] {
        assert!(python::canonical(refused.as_bytes()).is_err(), "{refused}");
    }
}

/// Bytes that are nearly JSON, so that readers get past their first check.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u",
            "d800",
            "dc00",
            "0061",
            "null",
            "true",
            "NaN",
            "-Infinity",
            "-",
            "0",
            "1",
            "9",
            ".",
            "e",
            "E+",
            "1e400",
            " ",
            "\n",
            "\u{feff}",
            "é",
            "😀",
            "\"a\"",
            "\"event\"",
            "\"data\"",
            "\"timestamp\"",
            "\"type\"",
            "\"vulnerability.created\"",
            "\"newIssues\"",
            "\"project\"",
            "\"id\"",
            "\"results\"",
            "\"status\"",
            "\"completed\"",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const KEYS: &[&str] = &[
    "event",
    "timestamp",
    "data",
    "type",
    "scanId",
    "status",
    "results",
    "threatsFound",
    "details",
    "project",
    "org",
    "id",
    "name",
    "newIssues",
    "removedIssues",
    "issueData",
    "identifiers",
    "CVE",
    "pubkey",
    "created_at",
    "started_at",
    "completed_at",
    "score",
    "poamId",
    "scheduledCompletionDate",
    "daysOverdue",
    "component",
    "cvssScore",
    "severity",
    "webhookId",
    "0",
    "17",
];

/// A JSON text with anything in the places where dialects look.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        prop::sample::select(vec![
            "-1",
            "100000000000000000",
            "1e400",
            "253402300800",
            "1.5",
            "123456789012345678901234567890"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "vulnerability.created",
            "training.completed",
            "POAM_OVERDUE",
            "EVIDENCE_COMPLETED",
            "VULNERABILITY_DETECTED",
            "completed",
            "2025-02-30",
            "9999-12-31T23:59:60Z",
            "10000-01-01T00:00:00Z",
            "-009999-01-02T01:59:59Z",
            "2024-10-09T08:47:57Z",
            "",
        ])
        .prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 48, 8, |inner| {
        let key = prop::sample::select(KEYS);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key, inner), 0..8).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Signs `body` for every dialect and event name, and reads it; whatever comes out may be an error, but comes out.
fn receive_everywhere(body: &[u8]) {
    let now = Timestamp::UNIX_EPOCH;
    for dialect in dialect::ALL.iter().filter(|dialect| dialect.inbound.is_some()) {
        let keys = [dialect.secrets.key(&dialect.secrets.make([3; 32])).unwrap()];
        for event in ["ping/v0", "project_snapshot/v0", "dependabot_alert", "code_scanning_alert"] {
            let message = Message { id: "msg_1", event, occurred_at: now, sent_at: now, body };
            let Ok(headers) = dialect.sign(&message, &keys) else {
                continue;
            };
            let headers: Headers = headers.into_iter().map(|line| (line.name, line.value)).collect();
            let verified =
                Unverified::new(headers, body.to_vec()).verify(dialect, &keys, now, SignedDuration::ZERO).unwrap();
            for event in verified.decode().into_iter().flat_map(|decoded| decoded.events) {
                watchbell_wire::event::check(&event.event_type, &event.data).expect("decoded events fit their type");
                for dialect in dialect::ALL {
                    let _said = dialect.outbound.map(|outbound| outbound.encode(&event, &Settings::default()));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(body in nearly_json()) {
        let strictly = strict::check(&body, DEPTH_MAX).is_ok();
        let by_serde = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert!(!strictly || by_serde, "strict takes less than serde_json");
        if let Ok(canonical) = python::canonical(&body) {
            prop_assert!(canonical.is_ascii());
            prop_assert_eq!(python::canonical(canonical.as_bytes()), Ok(canonical), "canonical text is its own");
        } else {
            prop_assert!(!strictly, "Python reads all that is strict");
        }
        receive_everywhere(&body);
    }

    #[test]
    fn no_json_panics(body in json_text()) {
        receive_everywhere(body.as_bytes());
        let again = javascript::restringify(&body).unwrap();
        prop_assert_eq!(javascript::restringify(&again), Ok(again.clone()), "survives itself");
    }

    #[test]
    fn no_headers_panic(lines in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..80)), 0..8)) {
        let names = [
            "X-Hub-Signature", "X-Snyk-Event", "X-Snyk-Transport-ID", "X-Snyk-Timestamp", "symbioticsec_signature", "X-Aegis-Signature",
            "authorization", "webhook-id", "webhook-timestamp", "webhook-signature",
        ];
        let headers: Headers = lines.into_iter().map(|(name, value)| (*name.get(&names), value)).collect();
        for dialect in dialect::ALL {
            let keys = [dialect.secrets.key(&dialect.secrets.make([3; 32])).unwrap()];
            let request = Unverified::new(headers.clone(), "{}");
            prop_assert!(request.verify(dialect, &keys, Timestamp::UNIX_EPOCH, SignedDuration::MAX).is_err());
        }
    }
}
