//! The language, its mistakes and its limits.

use proptest::prelude::*;

use super::*;
use crate::event::Data;

const CREATED: EventType = EventType::VulnerabilityCreated;

fn data(text: &str) -> Data {
    Data::from_text(text.to_owned()).unwrap()
}

const FINDING: &str = r#"{"finding_id": "f1", "title": "Prototype pollution in lodash", "severity": "high", "cvss_score": 8.1,
    "cve_id": "CVE-2019-10744", "aliases": ["GHSA-jf85-cpcp-j695", "SNYK-JS-LODASH-450202"],
    "component": {"name": "lodash", "version": "4.17.11"}, "resource_path": "web/package-lock.json", "rule_id": null,
    "nested": {"list": [1, 2, 3], "deep": {"er": true}}}"#;

fn answer(source: &str) -> Result<bool, String> {
    let expression = Expression::compile(source).map_err(|mistake| mistake.to_string())?;
    let data = data(FINDING);
    let labels = [("team".to_owned(), "payments".to_owned())].into();
    let facts = Facts::of(&CREATED, &data).in_project("p1", "pay-api", &labels, Some("ann@example.com"));
    expression.answer(&facts, &mut Budget::per_event()).map_err(|trouble| trouble.to_string())
}

#[test]
fn what_holds_and_what_does_not() {
    let yes = [
        "type == 'vulnerability.created' && severity >= high && project.name.startsWith('pay')",
        "severity == high",
        "severity == 'high'",
        "severity in [high, critical]",
        "severity in ['high']",
        "severity > medium && severity < critical && severity != low",
        "high <= severity",
        "cvss >= 8",
        "cvss > 8.0 && cvss < 8.2",
        "cve.startsWith('CVE-2019-')",
        "cve.matches('^CVE-20(19|20)-[0-9]+$')",
        "'GHSA-jf85-cpcp-j695' in aliases",
        "aliases.exists(a, a.startsWith('SNYK-'))",
        "aliases.all(a, a.size() > 3) && size(aliases) == 2",
        "aliases.exists_one(a, a.contains('LODASH'))",
        "aliases.filter(a, a.contains('SNYK')).size() == 1",
        "aliases.map(a, a.lowerAscii())[1] == 'snyk-js-lodash-450202'",
        "project.labels.team == 'payments' && 'team' in project.labels && project.labels['team'].endsWith('s')",
        "owner == 'ann@example.com' && project.owner == owner",
        "component.name == 'lodash' && component.version != '4.17.12'",
        "path.endsWith('.json') && !path.contains('node_modules')",
        "is_new && !is_reopened",
        "has(data.nested.deep) && !has(data.rule_id) && !has(data.nowhere)",
        "data.nowhere == null && data.nowhere.further == null && tool == null",
        "!(data.nowhere > 3) && !(data.nowhere <= 3) && !data.nowhere.startsWith('a') && !('a' in data.nowhere)",
        "data.nested.list[0] == 1 && data.nested.list[9] == null",
        "data.nested.list == [1, 2, 3] && data.nested.deep == {'er': true}",
        "data.nested.list.map(x, x * 2) == [2, 4, 6]",
        "1 + 2 * 3 == 7 && 7 % 4 == 3 && -1 < 0 && 7 / 2 == 3 && 7.0 / 2 == 3.5",
        "(severity == low ? 'a' : 'b') == 'b'",
        "severity == low || cvss > 8",
        "title + '!' == 'Prototype pollution in lodash!'",
        "'ä€'.size() == 2 && 'AbC'.lowerAscii() == 'abc' && ' x '.trim() == 'x'",
        "'a-b'.replace('-', '+') == 'a+b' && 'abcdef'.substring(1, 3) == 'bc' && 'abc'.substring(1) == 'bc'",
        "['a', 'b'].join(', ') == 'a, b' && string(8.1) == '8.1' && int('42') == 42 && double('1.5') == 1.5",
        "data.nowhere.x || severity >= high",
        "'x' in 3 || severity >= high",
        "severity >= high || 'x' in 3",
        "r'\\d' == '\\\\d' && \"it's\" == 'it\\'s'",
        "true ? true : false",
    ];
    for source in yes {
        assert_eq!(answer(source), Ok(true), "{source}");
    }
    let no = [
        "severity >= critical",
        "severity == medium",
        "project.name == 'shop'",
        "data.nowhere",
        "data.nowhere == ''",
        "cve.matches('^GHSA')",
        "aliases.all(a, a.startsWith('SNYK'))",
        "'x' in 3 && severity == low",
        "severity == 'nonsense'.substring(0, 3)",
    ];
    for source in no {
        assert_eq!(answer(source), Ok(false), "{source}");
    }
}

#[test]
fn what_nobody_rated_counts_as_the_worst() {
    let told = |event_type: &EventType, text: &str, source: &str| {
        let data = data(text);
        let expression = Expression::compile(source).unwrap();
        expression.answer(&Facts::of(event_type, &data), &mut Budget::per_event()).unwrap()
    };
    for text in ["{}", r#"{"severity": "unknown"}"#, r#"{"severity": "gruesome"}"#] {
        assert!(told(&CREATED, text, "severity >= critical && severity == unknown && !(severity <= low)"), "{text}");
    }
    assert!(told(&EventType::TrainingCompleted, "{}", "severity == null && !(severity >= info)"));
}

#[test]
fn mistakes_say_where_and_what_was_meant() {
    let cases = [
        ("severty >= high", "line 1, column 1: severty is not known: did you mean severity?"),
        ("severity >= hihg", "line 1, column 13: hihg is not known: did you mean high?"),
        ("severity == 'hgih'", "line 1, column 13: hgih is no severity: did you mean high?"),
        ("severity >= high &&\n projct.name == 'a'", "line 2, column 2: projct is not known: did you mean project?"),
        ("project.nam == 'a'", "line 1, column 1: project has no member nam: did you mean name?"),
        ("title.startswith('a')", "line 1, column 17: there is no function startswith: did you mean startsWith?"),
        ("title.contains()", "line 1, column 15: contains is not called like this: write title.contains(…)"),
        ("contains(title, 'a')", "line 1, column 9: contains is not called like this: write title.contains(…)"),
        ("severity = high", "line 1, column 10: = compares nothing: write =="),
        ("is_new & is_reopened", "line 1, column 8: & alone means nothing: write &&"),
        ("is_new and is_reopened", "line 1, column 8: and is not expected here: write &&"),
        ("severity >=", "line 1, column 12: something is missing at the end"),
        ("(severity >= high", "line 1, column 1: this bracket is never closed"),
        ("title == 'abc", "line 1, column 10: this text is never closed: add '"),
        ("", "line 1, column 1: there is nothing here: severity >= high"),
        ("title.matches('(')", "line 1, column 15: the pattern is not understood: unclosed group"),
        (
            "title.matches(cve)",
            "line 1, column 15: the pattern of matches is a text in quotes, so that it is compiled once",
        ),
        (
            "aliases.all(a, aliases.all(b, aliases.all(c, true)))",
            "line 1, column 42: more than 2 loops stand in one another here",
        ),
        (
            "aliases.exists('a', true)",
            "line 1, column 16: a name for the element is wanted: aliases.exists(a, a == 'x')",
        ),
        ("title ]", "line 1, column 7: ] is not expected here"),
    ];
    for (source, said) in cases {
        assert_eq!(Expression::compile(source).unwrap_err().to_string(), said, "{source}");
    }
    let long = format!("title == '{}'", "a".repeat(SOURCE_BYTES_MAX));
    assert!(Expression::compile(&long).unwrap_err().message.contains("it may have 1024"));
}

#[test]
fn a_filter_is_tried_on_samples() {
    let samples: Vec<(EventType, Data)> =
        EventType::BUILT_IN.iter().filter_map(|one| Some((one.clone(), one.sample()?))).collect();
    let check = |source: &str| {
        let pairs = samples.iter().map(|(event_type, data)| (event_type, data));
        Expression::compile(source).unwrap().check_filter(pairs).map_err(|mistake| mistake.to_string())
    };
    assert_eq!(check("severity >= high && title.contains('a')"), Ok(()));
    assert_eq!(check("cvss >= 7.0 || type.startsWith('poam.')"), Ok(()));
    let wrong = check("severity").unwrap_err();
    assert!(wrong.contains("the answer is the severity") && wrong.contains("on the sample of"), "{wrong}");
    let wrong = check("title > 5").unwrap_err();
    assert!(wrong.starts_with("line 1, column 7: the text") && wrong.contains("do not compare"), "{wrong}");
    assert!(check("'a'").is_err() && check("1").is_err() && check("[true]").is_err());
}

#[test]
fn an_explanation_names_parts_and_values() {
    let data = data(FINDING);
    let facts = Facts::of(&CREATED, &data);
    let explain = |source: &str| Expression::compile(source).unwrap().explain(&facts);
    let said = explain("type == 'vulnerability.created' && severity >= critical && component.name == 'lodash'");
    assert_eq!(said.answer, Ok(false));
    let deciding: Vec<&str> = said.parts.iter().filter(|part| part.decides).map(|part| &*part.text).collect();
    assert_eq!(deciding, ["severity >= critical"]);
    let names: Vec<String> = said.names.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    assert_eq!(names, [r#"type = "vulnerability.created""#, r#"severity = "high""#, r#"component.name = "lodash""#]);
    let said = explain("severity == low || (cvss > 9.0 || is_reopened)");
    assert!(said.parts.len() == 3 && said.parts.iter().all(|part| part.decides), "{said:?}");
    let said = explain("severity == low || cvss > 8.0");
    assert_eq!(said.parts.iter().map(|part| part.decides).collect::<Vec<_>>(), [false, true]);
    let said = explain("!('x' in 3)");
    assert!(said.answer.is_err() && said.parts.iter().all(|part| part.decides), "{said:?}");
}

/// What is hostile, each within the length that an expression may have.
fn hostile() -> Vec<String> {
    let big = "data.big";
    let mut doubled = "title".to_owned();
    for _ in 0..6 {
        doubled = format!("({doubled} + {doubled})");
    }
    vec![
        format!("{big}.all(a, {big}.all(b, a == b || a != b))"),
        format!("{big}.map(a, {big}.map(b, b)).size() > 0"),
        format!("{big}.filter(a, {big}.exists(b, b == -1)).size() == 0"),
        format!("{big} == {big} && {big} + {big} + {big} + {big} == {big}"),
        format!("data.text.matches('(a*)*b') && data.text.matches('(a|a)*c') && data.text.matches('(a|aa)+$')"),
        "data.text.matches('(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]')".to_owned(),
        "data.text.matches('a{0,200}b')".to_owned(),
        format!("{} == ''", ["data.text"; 80].join(" + ")),
        format!("data.text{} == ''", ".replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa')".repeat(12)),
        format!("{doubled} == ''"),
        format!("{}true{}", "(".repeat(500), ")".repeat(500)),
        format!("{}true", "!".repeat(1000)),
        format!("{}1 < 0", "-".repeat(1000)),
        format!("{}1{} == 1", "[".repeat(500), "]".repeat(500)),
        format!("data{}", ".a".repeat(500)),
        format!("{}1", "true ? 1 : ".repeat(90)),
        format!("true{}", " || true".repeat(120)),
        format!("1{} == 1", " + 1".repeat(240)),
        format!("data{}", "[0]".repeat(300)),
        format!("title{}", ".trim()".repeat(140)),
        "\\".repeat(1000),
        "'".repeat(1000),
        "a.b.c.d(e, f(g(h(".to_owned(),
        "data.big.join('') == ''".to_owned(),
        "string(data) + string(data) + string(data) == ''".to_owned(),
        "9223372036854775807 + 1 == 0".to_owned(),
        "1 / 0 == 1 || 1 % 0 == 1 || -9223372036854775808 / -1 == 1".to_owned(),
    ]
}

#[test]
fn nothing_hostile_gets_past_the_budget() {
    let numbers: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let text = format!(
        r#"{{"title": "{0}", "text": "{1}", "big": [{2}]}}"#,
        "t".repeat(2_000),
        "a".repeat(100_000),
        numbers.join(",")
    );
    let data = data(&text);
    let facts = Facts::of(&CREATED, &data);
    for source in hostile() {
        let Ok(expression) = Expression::compile(&source) else { continue };
        let mut budget = Budget::per_event();
        let answer = expression.answer(&facts, &mut budget);
        assert!(budget.steps_made() <= STEPS_MAX, "{source}");
        assert!(answer.is_ok() || answer.is_err_and(|trouble| !trouble.message().is_empty()), "{source}");
        drop(expression.explain(&facts));
    }
}

#[test]
fn one_event_has_one_budget() {
    let data = data(&format!(r#"{{"big": [{}]}}"#, vec!["1"; 5_000].join(",")));
    let facts = Facts::of(&CREATED, &data);
    let costly = Expression::compile("data.big.all(a, data.big.all(b, a == b))").unwrap();
    let cheap = Expression::compile("severity >= high").unwrap();
    let mut budget = Budget::per_event();
    let mut asked = 0;
    while budget.steps_made() < STEPS_PER_EVENT {
        assert!(costly.answer(&facts, &mut budget).unwrap_err().is_overrun());
        asked += 1;
    }
    assert_eq!(asked, STEPS_PER_EVENT / STEPS_MAX);
    assert!(
        cheap.answer(&facts, &mut budget).unwrap_err().is_overrun(),
        "nothing is left for others, and they are told"
    );
}

#[test]
fn an_ordinary_filter_takes_few_steps() {
    let data = data(FINDING);
    let facts = Facts::of(&CREATED, &data);
    let filter = Expression::compile("type == 'vulnerability.created' && severity >= high && cvss > 7.0").unwrap();
    let mut budget = Budget::per_event();
    for _ in 0..100 {
        filter.answer(&facts, &mut budget).unwrap();
    }
    assert_eq!(budget.steps_made(), 100 * 10);
}

#[test]
fn a_template_fills_texts_and_nothing_else() {
    let document = serde_json::json!({
        "summary": "${severity}: ${title} in ${component.name}${component.version == null ? '' : ' ' + component.version}",
        "priority": "${ {'critical': 1, 'high': 2}[string(severity)] }",
        "aliases": "${aliases}",
        "plain": ["text", 3, null, "costs $${5}", "${'}'}"],
    });
    let template = Template::compile(&document).unwrap();
    let data = data(FINDING);
    let filled = template.fill(&Facts::of(&CREATED, &data)).unwrap();
    assert_eq!(
        filled,
        serde_json::json!({
            "summary": "high: Prototype pollution in lodash in lodash 4.17.11",
            "priority": 2,
            "aliases": ["GHSA-jf85-cpcp-j695", "SNYK-JS-LODASH-450202"],
            "plain": ["text", 3, null, "costs ${5}", "}"],
        })
    );
    let hostile = self::data(r#"{"title": "\"}], \"admin\": true, \"${severity}", "severity": "low"}"#);
    let filled = template.fill(&Facts::of(&CREATED, &hostile)).unwrap();
    assert_eq!(
        filled["summary"], "low: \"}], \"admin\": true, \"${severity} in ",
        "what an event says is text, not template"
    );
    let wrong = Template::compile(&serde_json::json!({"a/b": ["x ${ titel }"]})).unwrap_err();
    assert_eq!(wrong.pointer, "/a~1b/0");
    assert_eq!(wrong.mistake.to_string(), "line 1, column 6: titel is not known: did you mean title?");
    assert!(Template::compile(&serde_json::json!("${ title")).is_err());
}

#[test]
fn a_template_cannot_grow_without_end() {
    let data = data(&format!(r#"{{"title": "{}"}}"#, "t".repeat(200_000)));
    let template =
        Template::compile(&serde_json::json!(["${title}${title}${title}", "${title}${title}${title}"])).unwrap();
    let unfilled = template.fill(&Facts::of(&CREATED, &data)).unwrap_err();
    assert_eq!(unfilled.pointer, "/1");
    assert!(unfilled.mistake.message.contains("more texts"), "{unfilled}");
}

/// Words of which expressions are made, put together as chance will.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "type",
        "severity",
        "high",
        "cvss",
        "project",
        "project.name",
        "data",
        "data.x",
        "aliases",
        "title",
        "'a'",
        "1",
        "1.5",
        "true",
        "null",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "?",
        ":",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ".size()",
        ".startsWith(",
        ".matches('a+')",
        ".all(x, ",
        ".exists(x, ",
        ".map(x, ",
        "x",
        "has(",
        "string(",
    ]);
    prop::collection::vec(words, 1..24).prop_map(|words| words.join(" "))
}

proptest! {
    /// Whatever is written: a mistake that says where, or an expression that ends within its bounds and whose text as we write
    /// it means the same.
    #[test]
    fn whatever_is_written_is_refused_or_bounded(source in soup()) {
        let data = data(FINDING);
        let facts = Facts::of(&CREATED, &data);
        match Expression::compile(&source) {
            Err(mistake) => prop_assert!(mistake.line >= 1 && mistake.column >= 1 && !mistake.message.is_empty()),
            Ok(expression) => {
                let mut budget = Budget::per_event();
                let answer = expression.answer(&facts, &mut budget);
                prop_assert!(budget.steps_made() <= STEPS_MAX);
                let written = expression.root.to_string();
                let again = Expression::compile(&written);
                prop_assert!(again.is_ok(), "{} became {}: {:?}", source, written, again);
                let same = again.unwrap().answer(&facts, &mut Budget::per_event());
                prop_assert_eq!(answer.is_ok(), same.is_ok(), "{} became {}", source, written);
                prop_assert_eq!(answer.ok(), same.ok(), "{} became {}", source, written);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(source in "\\PC{0,200}") {
        drop(Expression::compile(&source));
        drop(Template::compile(&serde_json::Value::String(source)));
    }

    /// Where both say something, the crate's own interpreter says the same.
    #[test]
    fn the_reference_interpreter_agrees(source in soup()) {
        let Ok(expression) = Expression::compile(&source) else { return Ok(()) };
        let mut context = cel::Context::default();
        let data_value: serde_json::Value = serde_json::from_str(FINDING).unwrap();
        for (name, value) in [
            ("type", serde_json::json!("vulnerability.created")),
            ("cvss", data_value["cvss_score"].clone()),
            ("aliases", data_value["aliases"].clone()),
            ("title", data_value["title"].clone()),
            ("project", serde_json::json!({"name": "pay-api"})),
            ("data", data_value),
        ] {
            context.add_variable(name, value).unwrap();
        }
        let Ok(program) = cel::Program::compile(&source) else { return Ok(()) };
        let Ok(cel::Value::Bool(theirs)) = program.execute(&context) else { return Ok(()) };
        let text = data(FINDING);
        let facts = Facts::of(&CREATED, &text).in_project("p", "pay-api", &Default::default(), None);
        let ours = expression.answer(&facts, &mut Budget::per_event());
        prop_assert_eq!(ours.ok(), Some(theirs), "{}", source);
    }
}
