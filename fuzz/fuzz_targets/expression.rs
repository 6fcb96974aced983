//! A tenant's filter or template on any event: compiling and asking end, within their budget, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell_wire::expression::{Budget, Expression, Facts, STEPS_MAX, Template};
use watchbell_wire::{Data, EventType};

fuzz_target!(|input: (&str, &str)| {
    let (source, data) = input;
    let Ok(data) = Data::from_text(data.to_owned()).or_else(|_| Data::from_text("{}".to_owned())) else {
        return;
    };
    let facts = Facts::of(&EventType::VulnerabilityCreated, &data);
    if let Ok(expression) = Expression::compile(source) {
        let mut budget = Budget::per_event();
        let _ = expression.answer(&facts, &mut budget);
        assert!(budget.steps_made() <= STEPS_MAX);
        let _ = expression.explain(&facts);
    }
    if let Ok(template) = Template::compile(&serde_json::Value::String(source.to_owned())) {
        let _ = template.fill(&facts);
    }
});
