//! `sign` and `verify` on the conformance vectors of the wire formats, and on faults.

use std::path::Path;

use base64::Engine as _;
use rstest::rstest;
use serde_json::Value;

use crate::run;

/// Reasons that are about authenticity; the others need a receiver that reads the event.
const AUTHENTICITY: &[&str] = &[
    "missing-signature",
    "malformed-signature",
    "signature-mismatch",
    "missing-token",
    "bad-token",
    "timestamp-too-old",
    "timestamp-too-new",
    "malformed-timestamp",
];

fn cases(dialect: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../wire/tests/vectors/{dialect}.json"));
    let vectors: Value = serde_json::from_slice(&std::fs::read(file).expect("vectors")).expect("JSON");
    vectors["cases"].as_array().expect("cases").clone()
}

fn secret_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("UTF-8")
}

fn body_of(case: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(case["request"]["body_b64"].as_str().expect("a body"))
        .expect("base64")
}

fn dialect_of(file: &str) -> &str {
    if file == "standard-webhooks" { "standard" } else { file }
}

#[rstest]
fn verify_follows_the_vectors(#[values("snyk", "symbiotic", "aegis", "bearer-scan", "standard-webhooks")] file: &str) {
    let mut tried = 0;
    for case in cases(file) {
        let reason = case["expect"]["reason"].as_str().unwrap_or_default();
        let accepts = case["expect"]["verdict"] == "accept";
        let Some(secret) = case["secret"].as_str().filter(|_| accepts || AUTHENTICITY.contains(&reason)) else {
            continue;
        };
        // A newline at the end of the file does not count.
        let secret_file = secret_file(&format!("{secret}\n"));
        let mut args = vec!["verify".to_owned(), "--dialect".to_owned(), dialect_of(file).to_owned()];
        args.extend(["--secret-file".to_owned(), path(&secret_file).to_owned()]);
        for header in case["request"]["headers"].as_array().expect("headers") {
            args.push(format!(
                "--header={}: {}",
                header[0].as_str().expect("a name"),
                header[1].as_str().expect("a value")
            ));
        }
        if let Some(now) = case["now"].as_i64() {
            args.push(format!("--now={now}"));
        }
        if case["request"]["headers"]
            .as_array()
            .expect("headers")
            .iter()
            .any(|header| header[1].as_str().is_some_and(|value| value.contains('\0')))
        {
            continue;
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (status, stdout, stderr) = run(&args, &body_of(&case));
        let title = format!("{}: {}\n{stderr}", case["id"], case["title"]);
        tried += 1;
        if accepts {
            assert_eq!((status, stdout.as_str()), (0, "verified\n"), "{title}");
        } else {
            assert_eq!((status, stdout.as_str()), (1, ""), "{title}");
            assert!(stderr.starts_with("refused: "), "{title}");
            let right =
                case["signing"]["signature"].as_str().unwrap_or_default().trim_start_matches("sha256=").to_owned();
            let given = case["request"]["headers"].to_string().contains(&right);
            assert!(right.is_empty() || given || !stderr.contains(&right), "shows the right signature: {title}");
            assert!(secret.len() < 8 || !stderr.contains(secret), "shows the secret: {title}");
        }
    }
    assert!(tried > 25, "only {tried} vectors");
}

#[rstest]
fn sign_follows_the_vectors(#[values("snyk", "symbiotic", "aegis")] file: &str) {
    let mut tried = 0;
    for case in cases(file) {
        let (Some(secret), Some(signature)) = (case["secret"].as_str(), case["signing"]["signature"].as_str()) else {
            continue;
        };
        let secret_file = secret_file(&format!("{secret}\n"));
        let (status, stdout, stderr) =
            run(&["sign", "--dialect", file, "--secret-file", path(&secret_file)], &body_of(&case));
        let title = format!("{}: {}\n{stdout}{stderr}", case["id"], case["title"]);
        assert_eq!(status, 0, "{title}");
        assert!(stdout.lines().any(|line| line.ends_with(&format!(": {signature}"))), "{title}");
        tried += 1;
    }
    assert!(tried > 15, "only {tried} vectors");
}

#[test]
fn what_sign_prints() {
    let secret = secret_file("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let args = [
        "sign",
        "--dialect",
        "standard",
        "--secret-file",
        path(&secret),
        "--id",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "--timestamp",
        "1614265330",
    ];
    let (status, stdout, stderr) = run(&args, br#"{"test": 2432232314}"#);
    assert_eq!((status, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("sign_standard", stdout);
    let (_, stdout, _) = run(&[&args[..], &["--json"]].concat(), br#"{"test": 2432232314}"#);
    assert!(serde_json::from_str::<Value>(&stdout).expect("JSON")["headers"].is_array());
}

#[rstest]
fn what_sign_prints_verifies(#[values("snyk", "symbiotic", "aegis", "bearer-scan", "standard")] dialect: &str) {
    let secret = match dialect {
        "standard" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        _ => "6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9",
    };
    let secret = secret_file(secret);
    let body = br#"{"event": "x", "timestamp": 1700000000, "data": {"score": 1.0}}"#;
    let (_, headers, _) = run(&["sign", "--dialect", dialect, "--secret-file", path(&secret)], body);
    let mut args = vec!["verify", "--dialect", dialect, "--secret-file", path(&secret)];
    args.extend(headers.lines().flat_map(|line| ["--header", line]));
    assert_eq!(run(&args, body).0, 0);
    assert_eq!(
        run(&args, br#"{"event": "y", "timestamp": 1700000000, "data": {"score": 1.0}}"#).0,
        i32::from(dialect != "bearer-scan")
    );
}

#[test]
fn why_a_signature_is_refused() {
    let secret = secret_file("your-webhook-secret\n\n");
    let good = secret_file("your-webhook-secret");
    let (_, headers, _) = run(&["sign", "--dialect", "aegis", "--secret-file", path(&good)], b"{\"a\":1}");
    let header = headers.lines().find(|line| line.starts_with("X-Aegis-Signature")).expect("signed");
    let args = |secret| vec!["verify", "--dialect", "aegis", "--secret-file", secret, "--header", header];
    let refused = [
        run(&args(path(&secret)), b"{\"a\":1}"),
        run(&args(path(&good)), b"{\n  \"a\": 1\n}"),
        run(&args(path(&good)), b"{\"a\":2}"),
    ];
    let told: Vec<String> =
        refused.into_iter().map(|(status, stdout, stderr)| format!("{status} {stdout}{stderr}")).collect();
    insta::assert_snapshot!("refusals", told.join("\n"));
}

#[test]
fn a_dialect_by_configuration_is_judged_by_the_settings_given() {
    let secret = secret_file("sixteen-bytes-and-more");
    let settings = r#"{"auth": {"header": "X-Acme", "prefix": "v0="}, "project": "Payments"}"#;
    // Made with Python's `hmac`: HMAC-SHA256 of the body.
    let header = "X-Acme: v0=e78ca9a018297b57554020eb7046579c3e67bb40fa6a85a7abbe31e59cec9140";
    let ask = |settings: &str, body: &[u8]| {
        let args = ["verify", "--dialect", "custom", "--secret-file", path(&secret), "--settings", settings, "--json"];
        let (status, stdout, stderr) = run(&[&args[..], &["--header", header]].concat(), body);
        (status, serde_json::from_str::<Value>(&stdout).unwrap_or_default(), stderr)
    };
    let body = br#"{"type":"vulnerability.created","title":"T"}"#;
    let (status, said, _) = ask(settings, body);
    assert_eq!((status, &said["verified"], &said["dialect"]), (0, &true.into(), &"custom".into()));
    let (status, said, _) = ask(settings, br#"{"type": "vulnerability.created", "title": "T"}"#);
    assert_eq!((status, &said["findings"][0]["fault"]), (1, &"body_reserialised".into()), "{said}");
    let (status, said, _) = ask("{}", body);
    assert_eq!((status, &said["reason"]), (1, &"signature_missing".into()), "{said}");
    for (settings, word) in [("[", "no JSON object"), (r#"{"auth": {"kind": "hmac-md5"}}"#, "/settings/auth/kind")] {
        let (status, _, stderr) = ask(settings, body);
        assert!(status == 2 && stderr.contains(word), "{status} {stderr}");
    }
}

#[test]
fn a_refusal_in_json() {
    let secret = secret_file("your-webhook-secret");
    let (status, stdout, stderr) =
        run(&["verify", "--dialect", "aegis", "--secret-file", path(&secret), "--json"], b"{}");
    assert_eq!((status, stderr.as_str()), (1, ""));
    let said: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(said["verified"], false);
    assert_eq!(said["reason"], "signature_missing");
}
