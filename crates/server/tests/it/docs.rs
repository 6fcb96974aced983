//! Documents that are made from the binary. `UPDATE_DOCS=1` writes them anew.

use std::path::Path;

use serde_json::Value;

use crate::run;

/// The committed document is what the binary says.
pub(crate) fn same_or_update(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(&file, text).expect("written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{path} is not what the binary says: UPDATE_DOCS=1 cargo nextest run -p watchbell writes it"
    );
}

/// Every command that does something, as the help of the groups names them.
fn commands(of: &[&str]) -> Vec<String> {
    let (_, help, _) = run(&[of, &["--help"]].concat(), b"");
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return vec![of.join(" ")] };
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // A description that is too long goes on in lines that are indented further.
    let named = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = named.filter_map(|rest| rest.split(' ').next()).filter(|name| *name != "help");
    names.flat_map(|name| commands(&[of, &[name]].concat())).collect()
}

const CLI_INTRODUCTION: &str = "# The command line

Written from the binary's own help (`UPDATE_DOCS=1 cargo nextest run -p watchbell`).

Every command takes `--json` where it prints something. Exit status: 0 done, 1 failed, 2 the command line or the configuration is
wrong; `serve` has more. Colour is used on a terminal only, and `NO_COLOR` switches it off.

Commands that talk to a server take it from `--url` or `WATCHBELL_URL`, the key from `--key-file`, `--key` or `WATCHBELL_KEY`, and the
organisation from `--org` or `WATCHBELL_ORG`.
";

#[test]
fn cli_page_is_the_help() {
    let mut page = CLI_INTRODUCTION.to_owned();
    let commands = commands(&[]);
    assert!(commands.iter().any(|command| command == "endpoint mute"), "{commands:?}");
    for command in commands {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let (_, help, _) = run(&args, b"");
        page.push_str(&format!("\n## watchbell {command}\n\n```text\n{}\n```\n", help.trim_end()));
    }
    same_or_update("docs/cli.md", &page);
}

const CONFIGURATION_INTRODUCTION: &str = "# Configuration

Written from the binary's own schema (`UPDATE_DOCS=1 cargo nextest run -p watchbell`).

Settings come from four layers, the later wins: defaults, one TOML file (`--config FILE` or `WATCHBELL_CONFIG`), variables, flags.

- **File.** Sections and keys as below. An unknown key is an error, so that a slip of the pen is not a setting that silently does
  nothing.
- **Variables.** `WATCHBELL_SECTION__KEY`, in capitals, two underscores between section and key: `delivery.timeout` is
  `WATCHBELL_DELIVERY__TIMEOUT`. A list is joined by commas: `WATCHBELL_DELIVERY__RETRY_SCHEDULE=0s,5s,5m`.
- **Flags.** `--set delivery.timeout=5s` sets any key; `serve` has flags of their own for the most used.

Durations are text: `\"250ms\"`, `\"5s\"`, `\"1h30m\"`, `\"24h\"`, `\"5d\"`. Sizes are bytes, or text: `\"64KiB\"`, `\"1MiB\"`. Rates are `\"50/s\"` (four
seconds' worth at once), `\"50/s burst 200\"`, or `\"off\"`.

`watchbell config check` says whether the whole can be used, or which key is wrong and where it was set; `watchbell config dump` prints
every setting and where it came from; `watchbell config schema` is `docs/config.schema.json`, with which editors complete and check.

Two variables are no settings: `WATCHBELL_ADMIN_KEY` (32 characters or more) sets the first API key of `serve`, and `WATCHBELL_URL`,
`WATCHBELL_KEY` and their kin belong to the commands that talk to a server (`docs/cli.md`). `HTTP_PROXY` and its kin are ignored.

```toml
# A receiver on the machine itself, for tests:
[egress]
allow = [\"127.0.0.0/8:8443\"]     # exactly this, of the addresses that are refused otherwise
extra_ca_file = \"/etc/watchbell/test-ca.pem\"

[delivery]
retry_schedule = [\"0s\", \"5s\", \"5m\", \"1h\"]   # four attempts
```
";

#[test]
fn configuration_page_has_every_key() {
    let schema: Value = serde_json::from_str(&run(&["config", "schema"], b"").1).expect("JSON");
    let dump: Value = serde_json::from_str(&run(&["config", "dump", "--json"], b"").1).expect("JSON");
    let mut page = CONFIGURATION_INTRODUCTION.to_owned();
    for (section, link) in schema["properties"].as_object().expect("sections") {
        let name = link["$ref"].as_str().expect("a reference").trim_start_matches("#/$defs/");
        let about = &schema["$defs"][name];
        page.push_str(&format!(
            "\n## {section}\n\n{}\n\n| key | default | what |\n|---|---|---|\n",
            about["description"].as_str().expect("described")
        ));
        for (key, property) in about["properties"].as_object().expect("keys") {
            let default = &dump[format!("{section}.{key}")]["value"];
            let default = if default.is_null() { "none".to_owned() } else { format!("`{default}`") };
            let what = property["description"].as_str().unwrap_or_else(|| panic!("{section}.{key} is not described"));
            page.push_str(&format!("| `{key}` | {default} | {} |\n", what.replace('\n', " ")));
        }
    }
    same_or_update("docs/configuration.md", &page);
}
