//! The first act: everything that the dialects can say goes out, and a receiver that is down gets it later.

use serde_json::json;
use watchbell_domain::port::Clock;

use super::play::Play;
use super::receiver::SHAKY;
use super::{Error, samples};

/// The project that is scanned.
const PROJECT: &str = "webshop";

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Error> {
    play.show.chapter("Endpoints were registered: one in each dialect, all on one receiver that verifies");
    play.settle().await?;

    let project = play.project(PROJECT).await?;
    play.show.chapter(&format!("Scanners' reports on {PROJECT:?}, before the fix: what is new is told"));
    for report in samples::BEFORE {
        play.scan(&project, report).await?;
        play.settle_all().await?;
    }
    play.show.chapter(&format!("The reports on {PROJECT:?} after the fix: what is gone is told, and what came in"));
    for report in samples::AFTER {
        play.scan(&project, report).await?;
        play.settle_all().await?;
    }

    play.show.chapter("Events that no scan makes: deadlines, evidence, training");
    for (event_type, data) in samples::events(play.stage.clock.now()) {
        play.post("/events", &json!({"type": event_type, "data": data})).await?;
        play.settle().await?;
    }

    play.show.chapter("A receiver that is down twice, and what becomes of its delivery");
    play.stage.open_shaky().await?;
    play.post("/events", &json!({"type": "poam.completed", "data": samples::poam_completed()})).await?;
    play.settle().await?;
    let attempts = play.attempts_to(SHAKY).await?;
    play.show.attempts(&attempts);
    play.stage.close_shaky().await
}
