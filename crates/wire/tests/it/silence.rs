//! What is authentic and yet says nothing to us: it is told why, and nothing of it gets in by another door.

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use watchbell_wire::{Decoded, Headers, Refusal, Secret, Settings, Unverified, dialect};

const NOW: i64 = 1_700_000_000;

/// What a message of `id` that a person vouches for says.
fn decoded(id: &str, settings: &Value, headers: &[(&str, &str)], body: &[u8]) -> Result<Decoded, Refusal> {
    let headers: Headers = headers.iter().copied().collect();
    let settings = Settings::new(settings.as_object().unwrap().clone());
    let now = Timestamp::from_second(NOW).unwrap();
    Unverified::new(headers, body.to_vec()).configured(settings).vouched(dialect::find(id).unwrap(), now)?.decode()
}

fn silence(id: &str, headers: &[(&str, &str)], body: &str) -> String {
    let decoded = decoded(id, &json!({}), headers, body.as_bytes()).unwrap();
    assert!(decoded.events.is_empty(), "{decoded:?}");
    decoded.silence.unwrap()
}

const STANDARD: &[(&str, &str)] =
    &[("webhook-id", "m"), ("webhook-timestamp", "1700000000"), ("webhook-signature", "v1,x")];
const BINARY: &[(&str, &str)] =
    &[("ce-id", "1"), ("ce-source", "/a"), ("ce-specversion", "1.0"), ("ce-type", "acme.thing")];

#[rstest]
#[case("snyk", &[("X-Snyk-Event", "new_thing/v3")], "{}", "\"new_thing\" is no event that is known here")]
#[case("aegis", &[], r#"{"event":"OTHER"}"#, "\"OTHER\" is no event")]
#[case("symbiotic", &[], r#"{"event":"a.b"}"#, "\"a.b\" is no event")]
#[case("gitlab", &[("X-Gitlab-Event", "Push Hook")], "{}", "is no event")]
#[case("github", &[("X-GitHub-Event", "push")], "{}", "\"push\" is no event")]
#[case(
    "github", &[("X-GitHub-Event", "dependabot_alert")],
    r#"{"action":"assigned","alert":{"number":1},"repository":{"full_name":"a/b"}}"#,
    "the action \"assigned\" of dependabot_alert changes nothing"
)]
#[case("standard", STANDARD, "hello", "no member `type`")]
#[case("standard", STANDARD, r#"{"type":"Thing","data":{}}"#, "\"Thing\" is none of the form word.word")]
#[case("standard", STANDARD, r#"{"type":"a.b","data":"x"}"#, "no JSON object")]
#[case("standard", STANDARD, r#"{"type":"vulnerability.created","data":{"severity":"bad"}}"#, "/severity")]
#[case("cloudevents", &[("Content-Type", "application/cloudevents-batch+json")], "[]", "the batch is empty")]
#[case(
    "cloudevents", &[("Content-Type", "application/cloudevents+json")],
    r#"{"specversion":"1.0","id":"1","source":"/a","type":"Thing","data":{}}"#,
    "\"Thing\""
)]
fn what_says_nothing_is_told_why(
    #[case] id: &str,
    #[case] headers: &[(&str, &str)],
    #[case] body: &str,
    #[case] why: &str,
) {
    let told = silence(id, headers, body);
    assert!(told.contains(why), "{told}");
}

#[test]
fn what_says_something_has_no_silence() {
    let body = br#"{"type":"acme.thing","data":{"a":1}}"#;
    let told = decoded("standard", &json!({}), STANDARD, body).unwrap();
    assert_eq!((told.events.len(), told.silence), (1, None));
}

/// The mistake that is made first: the name stands at the top, and the events in a list below it.
#[test]
fn settings_that_find_no_name_are_told_where_it_was_looked_for() {
    let body = br#"{"kind":"issue.new","issues":[{"name":"x"}]}"#;
    let of = |event: Value| json!({"event": event, "each": "/issues", "members": {"title": "/name"}});
    let values = json!({"issue.new": "vulnerability.created"});
    let told = decoded("custom", &of(json!({"pointer": "/kind", "values": values})), &[], body).unwrap();
    let why = told.silence.unwrap();
    assert!(why.contains("/kind") && why.contains("write #/kind"), "{why}");
    let told = decoded("custom", &of(json!({"pointer": "#/kind", "values": values})), &[], body).unwrap();
    assert_eq!((told.events.len(), told.vendor_event.as_str(), told.silence), (1, "issue.new", None));
    let told = decoded("custom", &of(json!({"pointer": "#/kind", "values": {"other": "a.b"}})), &[], body).unwrap();
    assert!(told.silence.unwrap().contains("do not have the name \"issue.new\""));
    let told = decoded("custom", &of(json!({"pointer": "#/kind"})), &[], br#"{"kind":"issue.new"}"#).unwrap();
    assert!(told.silence.unwrap().contains("nothing at /issues"));
}

/// A body is looked at by the edge where its Content-Type calls it JSON. What two readers would read differently must not
/// get in under another name.
#[rstest]
#[case("text/plain", r#"{"a":1}"#)]
#[case("application/octet-stream", r#"{"a":1}"#)]
#[case("", r#"{"a":1,"a":2}"#)]
#[case("", r#"{"a":1e999}"#)]
#[case("", r#"{"a":"\ud800"}"#)]
#[case("application/json; charset=latin1", r#"{"a":1,"\u0061":2}"#)]
#[case("application/vnd.acme+json; charset=x", "{\"a\":\"\u{0}\"}")]
fn data_of_a_cloudevent_is_json_by_its_type_and_read_strictly(#[case] content_type: &str, #[case] body: &str) {
    let headers = [BINARY, &[("Content-Type", content_type)]].concat();
    let headers = if content_type.is_empty() { BINARY.to_vec() } else { headers };
    assert!(silence("cloudevents", &headers, body).contains("no JSON object"));
}

#[test]
fn data_of_a_cloudevent_is_no_deeper_than_bodies_are() {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!(decoded("cloudevents", &json!({}), BINARY, nested(64).as_bytes()).unwrap().events.len(), 1);
    assert!(decoded("cloudevents", &json!({}), BINARY, nested(65).as_bytes()).unwrap().events.is_empty());
}

#[test]
fn two_kinds_of_data_exclude_each_other_by_name() {
    let body = br#"{"specversion":"1.0","id":"1","source":"/a","type":"a.b","data":{},"data_base64":"e30="}"#;
    let headers = [("Content-Type", "application/cloudevents+json")];
    let refusal = decoded("cloudevents", &json!({}), &headers, body).unwrap_err();
    assert_eq!(refusal.detail, "/data and /data_base64 exclude each other");
}

/// An age that is refused never reads like the one that is allowed.
#[test]
fn an_age_a_little_over_the_limit_says_so_in_seconds() {
    let standard = dialect::find("standard").unwrap();
    let key = standard.secrets.key(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
    let headers: Headers = STANDARD.iter().copied().collect();
    let now = Timestamp::from_second(NOW + 310).unwrap();
    let refusal = Unverified::new(headers, b"{}".to_vec())
        .verify(standard, &[key], now, SignedDuration::from_mins(5))
        .unwrap_err();
    assert_eq!(refusal.detail, "webhook-timestamp is 310 seconds old; at most 300 seconds is allowed");
}

/// The page's own settings make an event of the page's own body.
#[test]
fn the_example_of_the_page_about_custom_works() {
    let page = include_str!("../../../../docs/custom.md");
    let mut blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let source: Value = serde_json::from_str(blocks.next().unwrap()).unwrap();
    let body = blocks.next().unwrap().trim_end();
    let told = decoded("custom", &source["settings"], &[("X-Acme-Delivery", "d1")], body.as_bytes()).unwrap();
    assert_eq!((told.vendor_event.as_str(), told.delivery_id.as_deref()), ("issue.new", Some("d1")));
    let [event] = told.events.as_slice() else { panic!("{told:?}") };
    let data: Value = serde_json::from_str(event.data.text()).unwrap();
    assert_eq!(event.event_type.as_str(), "vulnerability.created");
    assert_eq!(event.occurred_at.to_string(), "2026-01-02T03:04:05Z");
    let wanted = json!({"severity": "critical", "title": "Prototype pollution", "repository": "acme/api"});
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&data[name], value, "{data}");
    }
    assert_eq!(data["component"], json!({"name": "lodash", "version": "4.17.4"}));
}

/// Each event costs its own bytes, and not those of the whole message: else a few megabytes were minutes of work.
#[test]
fn many_events_of_one_message_take_linear_time() {
    let batch = |events: usize| {
        let one = r#"{"specversion":"1.0","id":"1","source":"/a","type":"a.b","data":{}}"#;
        let padding = " ".repeat(4 << 20);
        format!("[{padding}{}{one}]", format!("{one},").repeat(events - 1))
    };
    let headers = [("Content-Type", "application/cloudevents-batch+json")];
    let told = decoded("cloudevents", &json!({}), &headers, batch(10_000).as_bytes()).unwrap();
    assert_eq!(told.events.len(), 10_000);
    let refusal = decoded("cloudevents", &json!({}), &headers, batch(10_001).as_bytes()).unwrap_err();
    assert_eq!(refusal.detail, "the body must be an array of at most 10000 events");
}
