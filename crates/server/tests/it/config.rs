use serde_json::Value;

use crate::{run, watchbell};

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn check(text: &str) -> (i32, String, String) {
    let file = written(text);
    run(&["config", "check", "--config", file.path().to_str().expect("UTF-8")], b"")
}

#[test]
fn a_good_file_is_good() {
    let (status, stdout, stderr) = check(
        "[egress]\nallow = [\"127.0.0.0/8\"]\nallow_http = true\n[api]\nrate_limit = \"off\"\n[delivery]\nretry_schedule = [\"0s\", \"100ms\"]\n",
    );
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert_eq!(stdout, "the configuration is good\n");
}

#[test]
fn a_wrong_key_is_named_with_its_line() {
    for (text, key, line) in [
        ("[egress]\nalow = []\n", "egress.alow", "line 2"),
        ("[delivery]\ntimeout = \"soon\"\n", "delivery.timeout", "line 2"),
        ("[egress]\nallow = [\"0.0.0.0/0\"]\n", "egress.allow", "line 2"),
        ("[storage]\n# short\nlease = \"10s\"\n", "storage.lease", "line 3"),
    ] {
        let (status, _, stderr) = check(text);
        assert_eq!(status, 2);
        assert!(stderr.contains(key) && stderr.contains(line), "{stderr}");
    }
}

#[test]
fn what_is_dumped_reads_back() {
    let (status, dumped, _) = run(&["config", "dump", "--set", "delivery.timeout=7s"], b"");
    assert_eq!(status, 0);
    assert!(dumped.contains("timeout = \"7s\"  # flag --set"), "{dumped}");
    assert_eq!(check(&dumped).0, 0, "{dumped}");
}

#[test]
fn variables_are_settings() {
    let mut command = watchbell();
    command.env("WATCHBELL_API__RATE_LIMIT", "off").args(["config", "dump", "--json"]);
    let dumped: Value = serde_json::from_slice(&command.output().expect("runs").stdout).expect("JSON");
    assert_eq!(dumped["api.rate_limit"]["value"], "off");
    assert_eq!(dumped["api.rate_limit"]["from"], "variable WATCHBELL_API__RATE_LIMIT");
    assert_eq!(dumped["delivery.timeout"]["from"], "default");
}

#[test]
fn schema_is_the_committed_one() {
    let (status, schema, _) = run(&["config", "schema"], b"");
    assert_eq!(status, 0);
    crate::docs::same_or_update("docs/config.schema.json", &schema);
}
