//! Random lives of plans of action, in the store and in a model that counts seconds.
//!
//! Whatever order of making, rescheduling, remediating, reopening, cancelling, changing settings, looking, and turning
//! the clock forward and back comes up: exactly the rings of the model are told, none twice and none missing.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use watchbell_domain::id::{FindingId, OrgId};
use watchbell_domain::poam::{Due, Item, Lead, OverdueRings, Settings, State};
use watchbell_domain::port::Terms;
use watchbell_wire::EventType;

use super::World;
use super::poam::{DAY, HOUR, item, put, ring, told, update};
use super::world::{at, fresh};

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Make { due: i64 },
    Reschedule { item: usize, due: i64 },
    Say { item: usize, remediated: bool },
    Cancel { item: usize },
    Settle { leads: Vec<u16>, once: bool },
    Turn { hours: i64 },
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let due = -200_i64..1_200;
    prop_oneof![
        3 => due.clone().prop_map(|due| Step::Make { due }),
        2 => (any::<usize>(), due).prop_map(|(item, due)| Step::Reschedule { item, due }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(item, remediated)| Step::Say { item, remediated }),
        1 => any::<usize>().prop_map(|item| Step::Cancel { item }),
        1 => (proptest::collection::vec(1_u16..40, 0..4), any::<bool>())
            .prop_map(|(leads, once)| Step::Settle { leads, once }),
        6 => (-60_i64..120).prop_map(|hours| Step::Turn { hours }),
        6 => Just(Step::Look),
    ]
}

/// Store and model tell the same.
pub async fn told_as_the_model_says(world: World) {
    let world = &world;
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
        let lives = proptest::collection::vec(step(), 1..50);
        let outcome = TestRunner::new(config).run(&lives, |life| {
            handle.block_on(run(world, &life));
            Ok::<_, TestCaseError>(())
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    });
}

/// A plan, in hours.
struct Plan {
    item: Item,
    due: i64,
    is_open: bool,
    is_remediated: bool,
    /// Hours before the deadline that were told, negative; or days after it.
    told: Option<i64>,
}

struct Model {
    org: OrgId,
    now: i64,
    leads: Vec<i64>,
    once: bool,
    plans: Vec<Plan>,
    /// Whose, and how many days late; 0: approaching.
    rings: Vec<(String, i64)>,
}

async fn run(world: &World, life: &[Step]) {
    let org = world.org(&world.uuid(0).to_string()).await;
    let leads = vec![30 * 24, 7 * 24, 24];
    let mut model = Model { org, now: 0, leads, once: false, plans: Vec::new(), rings: Vec::new() };
    for step in life {
        model.step(world, step).await;
    }
    model.look(world).await;
    let mut said: Vec<(String, i64)> = Vec::new();
    for (event_type, data) in told(world, org).await {
        if event_type == EventType::PoamDeadlineApproaching {
            said.push((data.poam_id, 0));
        } else if event_type == EventType::PoamOverdue {
            said.push((data.poam_id, data.days_overdue.unwrap()));
        } else {
            assert_eq!(event_type, EventType::PoamCompleted);
        }
    }
    said.sort();
    model.rings.sort();
    assert_eq!(said, model.rings);
}

impl Model {
    async fn step(&mut self, world: &World, step: &Step) {
        let count = self.plans.len();
        match step {
            Step::Make { due } => {
                let due = self.now + due;
                let item = item(world, self.org, FindingId(world.uuid(0)), due * HOUR);
                put(world, &item).await;
                self.plans.push(Plan { item, due, is_open: true, is_remediated: false, told: None });
            }
            Step::Turn { hours } => self.now += hours,
            Step::Look => self.look(world).await,
            Step::Settle { leads, once } => {
                self.leads = leads.iter().map(|days| i64::from(*days) * 24).collect();
                self.once = *once;
                let settings = Settings {
                    leads: leads.iter().map(|days| Lead::Days(*days)).collect(),
                    overdue: if *once { OverdueRings::Once } else { OverdueRings::Daily },
                    ..Settings::default()
                };
                fresh(
                    world
                        .store
                        .set_poam_settings(self.org, settings, at(self.now * HOUR), Terms::default())
                        .await
                        .unwrap(),
                );
            }
            Step::Reschedule { item, due } if count > 0 => {
                let (now, plan) = (self.now, &mut self.plans[item % count]);
                let seen = world.store.poam_item(self.org, plan.item.id).await.unwrap().unwrap();
                let due = now + due;
                update(world, seen, now * HOUR, |item| item.due = Due::Instant(at(due * HOUR))).await;
                if due != plan.due {
                    (plan.due, plan.told) = (due, None);
                }
            }
            Step::Cancel { item } if count > 0 => {
                let (now, plan) = (self.now, &mut self.plans[item % count]);
                let seen = world.store.poam_item(self.org, plan.item.id).await.unwrap().unwrap();
                let state = State::Cancelled { at: at(now * HOUR) };
                update(world, seen, now * HOUR, |item| item.state = state).await;
                (plan.is_open, plan.is_remediated) = (false, false);
            }
            Step::Say { item, remediated } if count > 0 => {
                let (now, plan) = (self.now * HOUR, &mut self.plans[item % count]);
                let said =
                    if *remediated { EventType::VulnerabilityRemediated } else { EventType::VulnerabilityReopened };
                let data = format!("{{\"finding_id\":\"{}\"}}", plan.item.finding_id.bare());
                let event = world.event(said, &data, now);
                fresh(world.store.accept(world.acceptance(self.org, vec![event], now), None).await.unwrap());
                match remediated {
                    true if plan.is_open => (plan.is_open, plan.is_remediated) = (false, true),
                    false if plan.is_remediated => (plan.is_open, plan.is_remediated) = (true, false),
                    true | false => {}
                }
            }
            Step::Reschedule { .. } | Step::Cancel { .. } | Step::Say { .. } => {}
        }
    }

    /// The loop looks: what the model says is due now, and nothing else, is told.
    async fn look(&mut self, world: &World) {
        ring(world, self.now * HOUR).await;
        for plan in self.plans.iter_mut().filter(|plan| plan.is_open) {
            let left = plan.due - self.now;
            let (stage, days) = if left <= 0 {
                let days = -left / (DAY / HOUR) + 1;
                (Some(if self.once { 1 } else { days }), days)
            } else {
                (self.leads.iter().filter(|lead| **lead >= left).min().map(|lead| -lead), 0)
            };
            if let Some(stage) = stage.filter(|stage| plan.told.is_none_or(|told| *stage > told)) {
                plan.told = Some(stage);
                self.rings.push((plan.item.id.bare(), days));
            }
        }
    }
}
