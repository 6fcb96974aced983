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
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("read").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
