use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn settings(zone: &str, leads: &[&str], overdue: OverdueRings) -> Settings {
    let leads = leads.iter().map(|lead| lead.parse().unwrap()).collect();
    Settings { zone: zone.parse().unwrap(), leads, overdue }
}

/// Every ring until `end`, by a loop that is never late.
fn all(due: &str, settings: &Settings, end: &str) -> Vec<(String, Stage, Option<i64>, Option<i64>)> {
    let schedule = Schedule::new(due.parse().unwrap(), settings);
    let mut told = None;
    let mut rings = Vec::new();
    while let Some(next) = schedule.next_at(told).filter(|next| *next < at(end)) {
        let just_before = next.saturating_sub(SignedDuration::from_micros(1)).unwrap();
        assert_eq!(schedule.ring(told, just_before), None, "not before its time");
        let ring = schedule.ring(told, next).expect("what is due rings");
        told = Some(ring.stage.told());
        rings.push((next.to_string(), ring.stage, ring.days_remaining, ring.days_overdue));
    }
    rings
}

#[test]
fn lead_times_are_read_and_bounded() {
    for good in ["30d", "1d", "366d", "1h", "72h"] {
        assert_eq!(good.parse::<Lead>().unwrap().to_string(), good);
    }
    for bad in ["", "d", "0d", "367d", "73h", "1w", "-1d", "+1d", "1 d", "1.5d", "١d"] {
        assert_eq!(bad.parse::<Lead>(), Err(LeadError), "{bad}");
    }
}

#[test]
fn an_item_rings_at_its_lead_times_and_each_day_after() {
    let settings = settings("UTC", &["1d", "30d", "7d", "12h"], OverdueRings::Daily);
    let rings = all("2026-01-31", &settings, "2026-02-03T00:00:00Z");
    let approaching =
        |at: &str, lead: &str, days| (at.to_owned(), Stage::Approaching(lead.parse().unwrap()), Some(days), None);
    let overdue = |at: &str, day| (at.to_owned(), Stage::Overdue(day), None, Some(i64::from(day)));
    assert_eq!(
        rings,
        [
            approaching("2026-01-02T00:00:00Z", "30d", 29),
            approaching("2026-01-25T00:00:00Z", "7d", 6),
            approaching("2026-01-31T00:00:00Z", "1d", 0),
            approaching("2026-01-31T12:00:00Z", "12h", 0),
            overdue("2026-02-01T00:00:00Z", 1),
            overdue("2026-02-02T00:00:00Z", 2),
        ]
    );
}

#[test]
fn once_overdue_is_told_once() {
    let settings = settings("UTC", &[], OverdueRings::Once);
    let rings = all("2026-01-31T12:00:00Z", &settings, "2027-01-01T00:00:00Z");
    assert_eq!(rings, [("2026-01-31T12:00:00Z".to_owned(), Stage::Overdue(1), None, Some(1))]);
    // Asked late, it says how late.
    let schedule = Schedule::new("2026-01-31".parse().unwrap(), &settings);
    let ring = schedule.ring(None, at("2026-02-10T12:00:00Z")).unwrap();
    assert_eq!((ring.stage, ring.days_overdue), (Stage::Overdue(1), Some(10)));
}

#[test]
fn days_of_23_and_of_25_hours_are_one_day_each() {
    let berlin = settings("Europe/Berlin", &["2d"], OverdueRings::Daily);
    let times = |due: &str, end: &str| all(due, &berlin, end).into_iter().map(|(at, ..)| at).collect::<Vec<_>>();
    assert_eq!(
        times("2026-03-29", "2026-03-31T12:00:00Z"),
        ["2026-03-27T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"]
    );
    assert_eq!(
        times("2026-10-24", "2026-10-26T12:00:00Z"),
        ["2026-10-22T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]
    );
}

#[test]
fn a_jump_forward_rings_once_for_the_state_it_lands_in() {
    let settings = Settings::default();
    let schedule = Schedule::new("2026-01-31".parse().unwrap(), &settings);
    let ring = schedule.ring(None, at("2026-01-31T01:00:00Z")).unwrap();
    assert_eq!(ring.stage, Stage::Approaching(Lead::Days(1)));
    let told = Some(ring.stage.told());
    assert_eq!(schedule.ring(told, at("2026-01-31T02:00:00Z")), None);
    let ring = schedule.ring(told, at("2026-02-03T12:00:00Z")).unwrap();
    assert_eq!((ring.stage, ring.days_overdue), (Stage::Overdue(3), Some(3)));
    // And back: nothing again, and the next one is the next day.
    let told = Some(ring.stage.told());
    assert_eq!(schedule.ring(told, at("2026-01-20T00:00:00Z")), None);
    assert_eq!(schedule.next_at(told), Some(at("2026-02-04T00:00:00Z")));
}

#[test]
fn another_time_zone_or_lead_time_tells_nothing_twice() {
    let (east, west) = (
        settings("Asia/Tokyo", &["3d"], OverdueRings::Daily),
        settings("Pacific/Pago_Pago", &["72h"], OverdueRings::Daily),
    );
    let due: Due = "2026-01-31".parse().unwrap();
    let (east, west) = (Schedule::new(due, &east), Schedule::new(due, &west));
    let now = at("2026-01-29T00:00:00Z");
    let told = Some(east.ring(None, now).unwrap().stage.told());
    for hours in 0..48 {
        assert_eq!(west.ring(told, now + SignedDuration::from_hours(hours)), None);
    }
}

proptest! {
    /// Whatever the clock does: rings go forward along the item's time, so none is told twice; and after every step the
    /// stage that the clock is in has been told, so none is missing.
    #[test]
    fn no_ring_is_double_and_none_missing(
        steps in prop::collection::vec(-400i64..800, 1..60),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo"]),
        leads in prop::collection::vec(1u16..60, 0..5),
        once: bool,
        day in 0i64..700,
    ) {
        let overdue = if once { OverdueRings::Once } else { OverdueRings::Daily };
        let leads = leads.into_iter().map(Lead::Days).collect();
        let settings = Settings { zone: zone.parse().unwrap(), leads, overdue };
        let begin = at("2018-06-01T00:00:00Z");
        let due = Due::Date(settings.zone.rules().to_datetime(begin + SignedDuration::from_hours(24 * day)).date());
        let schedule = Schedule::new(due, &settings);
        let (mut now, mut told) = (begin, None);
        let mut rung = Vec::new();
        for hours in steps {
            now += SignedDuration::from_hours(hours);
            // The loop looks only at what the index calls due.
            let is_due = schedule.next_at(told).is_some_and(|next| next <= now);
            let ring = schedule.ring(told, now);
            prop_assert_eq!(is_due, ring.is_some(), "index and rule agree at {}", now);
            if let Some(ring) = ring {
                prop_assert!(rung.last().is_none_or(|last| *last < ring.stage.told()));
                prop_assert!(ring.days_remaining.is_none_or(|days| days >= 0));
                prop_assert!(ring.days_overdue.is_none_or(|days| days >= 1));
                told = Some(ring.stage.told());
                rung.push(ring.stage.told());
            }
            prop_assert_eq!(schedule.ring(told, now), None);
            if let Some(stage) = schedule.stage(now) {
                prop_assert!(told >= Some(stage.told()));
            }
        }
    }
}
