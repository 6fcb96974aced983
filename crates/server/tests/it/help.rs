use rstest::rstest;

use crate::run;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["demo"],
    &["sign"],
    &["verify"],
    &["send"],
    &["scan"],
    &["endpoint"],
    &["endpoint", "create"],
    &["endpoint", "update"],
    &["source"],
    &["source", "create"],
    &["receipt"],
    &["event"],
    &["delivery"],
    &["delivery", "list"],
    &["key"],
    &["replay"],
    &["config"],
    &["config", "check"],
    &["doctor"],
    &["bench"],
    &["bench", "deliver"],
    &["bench", "floor"],
    &["bench", "receive"],
    &["completions"],
];

#[test]
fn help_of_each_command() {
    for command in COMMANDS {
        let (status, stdout, _) = run(&[*command, &["--help"]].concat(), b"");
        assert_eq!(status, 0);
        let name = if command.is_empty() { "watchbell".to_owned() } else { command.join("_") };
        insta::assert_snapshot!(format!("help_{name}"), stdout);
    }
}

/// Groups show their examples in the help of their actions.
#[test]
fn every_help_has_examples() {
    for command in COMMANDS.iter().filter(|command| {
        !["endpoint", "source", "receipt", "event", "delivery", "key", "config", "bench"]
            .contains(&command.join(" ").as_str())
    }) {
        let (_, stdout, _) = run(&[*command, &["--help"]].concat(), b"");
        assert!(stdout.contains("Examples:"), "{command:?}");
    }
}

#[rstest]
#[case(&[])]
#[case(&["nope"])]
#[case(&["verify"])]
#[case(&["verify", "--dialect", "nope", "--secret-file", "s"])]
#[case(&["verify", "--dialect", "snyk", "--secret-file", "/nonexistent/secret"])]
#[case(&["endpoint", "create", "https://example.com"])]
#[case(&["key", "create", "--name", "n", "--scopes", "nope"])]
#[case(&["send", "a.b", "--data", "{"])]
#[case(&["config", "check", "--config", "/nonexistent.toml"])]
#[case(&["config", "check", "--set", "delivery"])]
#[case(&["bench", "deliver", "--hang", "1"])]
#[case(&["bench", "deliver", "--size", "5"])]
#[case(&["bench", "deliver", "--rate", "0"])]
#[case(&["bench", "deliver", "--events", "50000001"])]
fn a_wrong_command_line_ends_with_2(#[case] args: &[&str]) {
    let (status, stdout, stderr) = run(args, b"");
    assert_eq!(status, 2, "{stderr}");
    assert_eq!(stdout, "");
    assert!(!stderr.is_empty());
}

#[test]
fn an_unknown_dialect_is_answered_with_those_there_are() {
    let (_, _, stderr) = run(&["verify", "--dialect", "nope", "--secret-file", "s"], b"");
    assert!(stderr.contains("snyk, symbiotic, aegis, bearer-scan, standard"), "{stderr}");
}

#[test]
fn a_server_that_is_not_there_is_a_failure_with_advice() {
    // Port 9 of loopback: discard, which nobody serves.
    let (status, _, stderr) = run(&["endpoint", "list", "--url", "http://127.0.0.1:9"], b"");
    assert_eq!(status, 1);
    assert!(stderr.contains("cannot connect") && stderr.contains("watchbell serve"), "{stderr}");
}

#[rstest]
fn completions_name_the_commands(#[values("bash", "zsh", "fish", "elvish", "powershell")] shell: &str) {
    let (status, stdout, _) = run(&["completions", shell], b"");
    assert_eq!(status, 0);
    assert!(stdout.contains("rotate-secret"));
}

#[test]
fn nothing_is_coloured_off_a_terminal() {
    let (_, stdout, stderr) = run(&["config", "dump"], b"");
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'));
}
