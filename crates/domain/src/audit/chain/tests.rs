use jiff::Timestamp;

use super::*;
use crate::audit::{Action, changes};

fn deed(detail: Value) -> Deed {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Deed::of_system("test", Action::EndpointUpdate, "ep_1", at).with(detail)
}

fn chain_of(length: usize) -> Vec<Entry> {
    let mut head = Head::START;
    (0..length)
        .map(|number| {
            let entry = head.next(Chain::Operator, &deed(json!({"n": number})));
            head = entry.head();
            entry
        })
        .collect()
}

fn walk(entries: &[Entry]) -> Result<Head, Broken> {
    entries.iter().try_fold(Head::START, |head, entry| {
        entry.follows(head, Chain::Operator)?;
        Ok(entry.head())
    })
}

#[test]
fn an_entry_is_canonical_json_that_names_the_one_before_it() {
    let entry = Head::START.next(Chain::Operator, &deed(json!({"b": "ü\n\"", "a": [1, {"d": null, "c": true}]})));
    let wanted = format!(
        "{}{}{}",
        r#"{"action":"endpoint.update","actor":{"id":"test","kind":"system","name":"test"},"address":null,"#,
        r#""at":"2027-01-15T08:00:00.000000Z","detail":{"a":[1,{"c":true,"d":null}],"b":"ü\n\""},"number":1,"#,
        format_args!(r#""org":null,"previous":"{}","request_id":null,"subject":"ep_1"}}"#, "0".repeat(64)),
    );
    assert_eq!(entry.text, wanted);
    assert_eq!(entry.json()["hash"], hex::encode(Sha256::digest(entry.text.as_bytes())));
}

#[test]
fn a_chain_holds_and_breaks_where_it_is_touched() {
    let whole = chain_of(5);
    assert_eq!(walk(&whole).unwrap(), whole[4].head());

    let mut changed = whole.clone();
    changed[2].text = changed[2].text.replace("ep_1", "ep_2");
    assert_eq!(walk(&changed).unwrap_err().number, 3);
    // With a hash that fits, the next entry tells.
    changed[2].hash = hash_of(&changed[2].text);
    assert_eq!(walk(&changed).unwrap_err().number, 4);

    let mut shorter = whole.clone();
    shorter.remove(1);
    assert_eq!(walk(&shorter).unwrap_err(), Broken { number: 2, problem: "the entry is missing" });

    let mut swapped = whole;
    swapped.swap(1, 2);
    assert_eq!(walk(&swapped).unwrap_err().number, 2);
}

#[test]
fn an_entry_of_another_chain_does_not_fit() {
    let org = OrgId("0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap());
    let foreign = Head::START.next(Chain::Org(org), &deed(Value::Null));
    assert_eq!(foreign.follows(Head::START, Chain::Org(org)), Ok(()));
    assert_eq!(foreign.follows(Head::START, Chain::Operator).unwrap_err().number, 1);
}

#[test]
fn only_what_differs_is_a_change() {
    let before = json!({"url": "a", "state": "active", "old": 1});
    let after = json!({"url": "b", "state": "active", "new": 2});
    let wanted = json!({
        "url": {"before": "a", "after": "b"},
        "old": {"before": 1, "after": null},
        "new": {"before": null, "after": 2},
    });
    assert_eq!(changes(&before, &after), wanted);
}

#[test]
fn a_long_detail_is_left_out() {
    let entry = Head::START.next(Chain::Operator, &deed(json!("x".repeat(DETAIL_BYTES_MAX))));
    assert_eq!(entry.json()["detail"], json!({"omitted_bytes": DETAIL_BYTES_MAX + 2}));
}

#[test]
fn actions_are_named_by_subject_and_verb() {
    for action in Action::ALL {
        let (subject, verb) = action.as_str().split_once('.').unwrap();
        assert!(!subject.is_empty() && !verb.is_empty());
    }
}
