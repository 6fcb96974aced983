//! The demo, as a user starts it.

use std::time::Duration;

use crate::watchbell;

#[test]
fn once_shows_every_dialect_verified_and_the_retry() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = watchbell();
    demo.args(["demo", "--once"]).env("TMPDIR", folder.path()).timeout(Duration::from_secs(120));
    let output = demo.output().expect("the binary runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    for dialect in ["snyk", "symbiotic", "aegis", "bearer-scan", "standard"] {
        assert!(
            stdout.lines().any(|line| line.starts_with(dialect) && line.contains("verified")),
            "{dialect}: {stdout}"
        );
    }
    for word in ["attempt 2", "retry", "attempt 3: ", "http_503"] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    assert!(!stdout.contains("refused"), "{stdout}");
    follows_a_vulnerability(&stdout);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("read").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The act of one vulnerability: each step, in its order, with what arrived in each dialect.
fn follows_a_vulnerability(stdout: &str) {
    let (_, life) = stdout.split_once("The life of a vulnerability").expect("the act");
    let steps = [
        (
            "Day 1:",
            &["symbiotic vulnerability.created", "aegis CRITICAL_VULNERABILITY_DISCOVERED", "snyk project_snapshot/v0"]
                [..],
        ),
        ("its plan of action by the rule", &[]),
        ("Day 2:", &["bearer-scan completed", "symbiotic vulnerability.created", "standard vulnerability.created"]),
        ("CVE-2021-44906 is GHSA-xvch-5gv4-984h: one finding", &[]),
        ("Day 3:", &["standard vulnerability.changed"]),
        ("two findings have become one", &[]),
        ("Day 9:", &["aegis POAM_DEADLINE_APPROACHING", "standard poam.deadline_approaching"]),
        ("Day 11:", &["snyk project_snapshot/v0", "symbiotic vulnerability.remediated", "standard poam.completed"]),
        ("the plan of action is completed", &[]),
        ("open → remediated", &[]),
    ];
    let mut rest = life;
    for (step, arrivals) in steps {
        let found = rest.split_once(step);
        assert!(found.is_some(), "no {step:?} where it belongs: {life}");
        let (_, after) = found.expect("it was found");
        rest = after;
        let chapter = after.split("\nDay ").next().unwrap_or(after);
        for arrival in arrivals {
            let verified = |line: &str| {
                let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
                line.starts_with(&format!("{arrival} verified"))
            };
            assert!(chapter.lines().any(verified), "{step} {arrival}: {chapter}");
        }
    }
    assert!(rest.contains("vulnerability.remediated"), "the table: {rest}");
}
