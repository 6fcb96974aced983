//! The demo, as a user starts it.

use std::time::Duration;

use crate::watchbell;

#[test]
fn once_shows_each_act_and_ends_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = watchbell();
    demo.args(["demo", "--once"]).env("TMPDIR", folder.path()).timeout(Duration::from_secs(120));
    let output = demo.output().expect("the binary runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    for line in stdout.lines() {
        assert!(line.chars().count() <= 100, "too long for a terminal: {line}");
    }
    let told_in = [
        "snyk",
        "symbiotic",
        "aegis",
        "bearer-scan",
        "standard",
        "cloudevents",
        "teams",
        "slack",
        "pagerduty",
        "ocsf",
        "cef",
    ];
    let is_good =
        |line: &str, name: &str| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('✓'));
    for dialect in told_in {
        assert!(stdout.lines().any(|line| is_good(line, dialect)), "{dialect}: {stdout}");
    }
    for word in ["attempt 2", "retry", "attempt 3: ", "http_503"] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    takes_what_vendors_say(&stdout);
    follows_a_vulnerability(&stdout);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("read").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The act of vendors that call: who is told what, what is refused and why, what ends.
fn takes_what_vendors_say(stdout: &str) {
    let (_, act) = stdout.split_once("The other way round: vendors call").expect("the act");
    let (act, _) = act.split_once("The life of a vulnerability").expect("its end");
    follows(
        act,
        &[
            "snyk calls http://127.0.0.1:",
            "Snyk has tested acme/pay, and found CVE-2021-44228",
            "← 200 accepted project.snapshot, vulnerability.created, vulnerability.critical",
            "teams │ 🔴 New vulnerability",
            "slack │ 🔴 New vulnerability · critical",
            "pagerduty │ 📟 trigger · critical",
            "ocsf │ Vulnerability Finding: Create · Critical · New",
            "type_uid 200201",
            "CEF:0|Watchbell|Watchbell|1.0|vulnerability.created|Remote Code Execution",
            "(RCE)|10|rt=",
            "✓ CVE-2021-44228 is open in acme/pay; all five were told once",
            "github → dependabot_alert (created)",
            "✓ one finding with two witnesses",
            "snyk:af137b96-6966-46c1-826b-2e79ac49bbd9:SNYK-JAVA-ORGAPACHELOGGINGLOG4J-2314720",
            "github:acme/pay:dependabot:17",
            "Somebody found out the address",
            "← 401 refused signature_mismatch",
            "the signature does not belong to the raw body",
            "nothing that was tried fits",
            "the wrong secret is entered at GitHub",
            "← 401 refused signature_mismatch",
            "the signature fits the secret of the source",
            "✓ it is open as before",
            "✓ GitHub sees it no more, Snyk has not looked yet: it stays open",
            "✅ Vulnerability remediated",
            "pagerduty │ 📟 resolve",
            "ocsf │ Vulnerability Finding: Close",
            "type_uid 200203",
            "|vulnerability.remediated|",
            "✓ remediated: the page was ended by the key that began it",
        ],
    );
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

/// Each of these is there, in this order; blanks count as one.
fn follows(text: &str, steps: &[&str]) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = text.as_str();
    for step in steps {
        let found = rest.split_once(step);
        assert!(found.is_some(), "no {step:?} where it belongs: {text}");
        rest = found.expect("it was found").1;
    }
}
