use rstest::rstest;

use super::*;

fn from_file(text: &str) -> Result<Loaded, Error> {
    Layers { file: Some((PathBuf::from("w.toml"), text.to_owned())), ..Layers::default() }.load()
}

fn with_variable(name: &str, value: &str) -> Result<Loaded, Error> {
    Layers { variables: vec![(name.to_owned(), value.to_owned())], ..Layers::default() }.load()
}

#[test]
fn nothing_set_is_the_defaults() {
    let loaded = Layers::default().load().expect("the defaults are good");
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.origins.is_empty());
}

#[test]
fn defaults_survive_being_written_and_read() {
    // `Option`s that are unset have no TOML form; they are left out.
    let text = toml::to_string(&Config::default()).expect("TOML");
    assert_eq!(from_file(&text).expect("good").config, Config::default());
}

#[test]
fn the_later_layer_wins() {
    let loaded = Layers {
        file: Some((PathBuf::from("w.toml"), "[delivery]\ntimeout = \"1s\"\nconnect_timeout = \"1s\"\n".to_owned())),
        variables: vec![
            ("WATCHBELL_DELIVERY__TIMEOUT".to_owned(), "2s".to_owned()),
            ("WATCHBELL_KEY".to_owned(), "no setting".to_owned()),
            ("HTTP_PROXY".to_owned(), "http://ignored".to_owned()),
        ],
        flags: vec![("--set".to_owned(), "storage.lease".to_owned(), "70s".to_owned())],
    }
    .load()
    .expect("good");
    assert_eq!(loaded.config.delivery.timeout, Duration::secs(2));
    assert_eq!(loaded.config.delivery.connect_timeout, Duration::secs(1));
    assert_eq!(loaded.config.storage.lease, Duration::secs(70));
    assert_eq!(loaded.origins["delivery.timeout"].to_string(), "variable WATCHBELL_DELIVERY__TIMEOUT");
    assert_eq!(loaded.origins["delivery.connect_timeout"].to_string(), "w.toml line 3");
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    for (key, value) in flat(&Config::default()) {
        let text = match &value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => continue,
            serde_json::Value::Array(items) => {
                items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join(",")
            }
            other @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::Object(_)) => {
                other.to_string()
            }
        };
        let loaded =
            with_variable(&variable_of_key(&key), &text).unwrap_or_else(|error| panic!("{key}={text}: {error}"));
        assert_eq!(loaded.config, Config::default(), "{key}");
        assert!(loaded.origins.contains_key(&key));
    }
}

#[rstest]
#[case("[delivry]\n", "delivry", 1)]
#[case("[delivery]\n\ntimeot = \"1s\"\n", "delivery.timeot", 3)]
#[case("[delivery]\ntimeout = 20\n", "delivery.timeout", 2)]
#[case("[delivery]\ntimeout = \"20\"\n", "delivery.timeout", 2)]
#[case("[delivery]\nretry_schedule = [\"0s\", \"x\"]\n", "delivery.retry_schedule[1]", 2)]
#[case("[delivery]\nretry_schedule = []\n", "delivery.retry_schedule", 2)]
#[case("[delivery]\nconnect_timeout = \"21s\"\n", "delivery.connect_timeout", 2)]
#[case("[api]\nrate_limit = \"fast\"\n", "api.rate_limit", 2)]
#[case("[capture]\nmax_inboxes = 0\n", "capture.max_inboxes", 2)]
#[case("[capture]\nmax_body_bytes = \"4MiB\"\nmax_read_bytes = \"2MiB\"\n", "capture.max_read_bytes", 3)]
#[case("[capture]\nmax_body_bytes = \"8MiB\"\nmax_inbox_bytes = \"4MiB\"\n", "capture.max_inbox_bytes", 3)]
#[case("[capture]\nttl = \"721h\"\n", "capture.ttl", 2)]
#[case("[capture]\nttl = \"10s\"\n", "capture.ttl", 2)]
#[case("[capture]\nmax_request_age = \"0s\"\n", "capture.max_request_age", 2)]
#[case("[capture]\nmax_waiting_per_inbox = 20\nmax_waiting = 10\n", "capture.max_waiting", 3)]
#[case("[api]\nmax_event_bytes = \"1 Mib\"\n", "api.max_event_bytes", 2)]
#[case("[egress]\nallow_http = \"yes\"\n", "egress.allow_http", 2)]
#[case("[egress]\nallow = [\"0.0.0.0/0\"]\n", "egress.allow", 2)]
#[case("[egress]\nallow = [\"::/0\"]\n", "egress.allow", 2)]
#[case("[egress]\ndenied_ports = [25, \"9-8\"]\n", "egress.denied_ports[1]", 2)]
#[case("[egress]\nproxy = \"socks5://user:pass@proxy:1080\"\n", "egress.proxy", 2)]
#[case("[server]\nlisten = \"8420\"\n", "server.listen", 2)]
#[case("[server]\nmax_connections = 0\n", "server.max_connections", 2)]
#[case("[server]\nmax_streams = 0\n", "server.max_streams", 2)]
#[case("[server]\nbody_rate_window = \"0s\"\n", "server.body_rate_window", 2)]
#[case("[server]\ntrusted_proxies = [\"proxy.example.com\"]\n", "server.trusted_proxies", 2)]
#[case("[server]\ntrusted_proxies = [\"10.0.0.1\", \"0.0.0.0/0\"]\n", "server.trusted_proxies", 2)]
#[case("[storage]\nlease = \"25s\"\n", "storage.lease", 2)]
#[case("[log]\nformat = \"xml\"\n", "log.format", 2)]
fn a_wrong_setting_is_named_with_its_line(#[case] text: &str, #[case] key: &str, #[case] line: usize) {
    let error = from_file(text).expect_err("is wrong");
    assert_eq!(error.key.as_deref(), Some(key), "{error}");
    assert_eq!(error.origin, Some(Origin::File { path: PathBuf::from("w.toml"), line }), "{error}");
}

#[rstest]
#[case("[egress]\nallow = [\"127.0.0.0/8:8443\", \"10.2.0.0/16\", \"[fd00::/8]:443\", \"fd00::/8\"]\n")]
#[case("[server]\nlisten = \"[::1]:0\"\n")]
#[case("[server]\nlisten = \"localhost:8420\"\n")]
#[case("[server]\ntrusted_proxies = [\"10.0.0.7\", \"10.1.0.0/16\", \"::1\", \"fd00::/8\"]\nmin_body_rate = 0\n")]
#[case("[api]\nrate_limit = \"off\"\nmax_event_bytes = 2048\n")]
#[case("[egress]\ndenied_ports = [25, \"6665-6669\"]\nproxy = \"http://user:pass@proxy:1080\"\nnat64 = true\n")]
#[case("[delivery]\njitter = 0\nretry_schedule = [\"0s\", \"250ms\"]\n")]
fn what_is_good(#[case] text: &str) {
    from_file(text).expect("good");
}

#[test]
fn broken_toml_names_the_line() {
    let error = from_file("[delivery]\ntimeout = \n").expect_err("is wrong");
    assert!(error.to_string().contains("w.toml line 2"), "{error}");
}

#[rstest]
#[case("WATCHBELL_DELIVERY__NOPE", "1")]
#[case("WATCHBELL_EGRESS__ALLOW_HTTP", "yes")]
#[case("WATCHBELL_SERVER__MAX_CONNECTIONS", "many")]
fn a_wrong_variable_is_named(#[case] name: &str, #[case] value: &str) {
    let error = with_variable(name, value).expect_err("is wrong");
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn lists_in_variables_are_joined_by_commas() {
    let loaded = with_variable("WATCHBELL_DELIVERY__RETRY_SCHEDULE", "0s, 50ms,1s").expect("good");
    let schedule: Vec<String> = loaded.config.delivery.retry_schedule.iter().map(ToString::to_string).collect();
    assert_eq!(schedule, ["0s", "50ms", "1s"]);
}

#[test]
fn a_proxys_password_is_not_written_back() {
    let flag = ("--set".to_owned(), "egress.proxy".to_owned(), "http://user:a-password@proxy:3128".to_owned());
    let loaded = Layers { flags: vec![flag], ..Layers::default() }.load().expect("settings");
    let written = flat(&loaded.config);
    let (_, proxy) = written.iter().find(|(key, _)| key == "egress.proxy").expect("the setting");
    assert_eq!(proxy, "http://[redacted]@proxy:3128");
    assert!(!format!("{:?}", loaded.config).contains("a-password"));
}
