//! Completed lessons.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::id::{EventId, OrgId, TrainingId};
use watchbell_domain::port::{Acceptance, TrainingStore, Written};
use watchbell_domain::training::{Lesson, Training, User};
use watchbell_engine::ingest::event::delivery_ids;

use crate::auth::{Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

/// Longest text, in characters.
const TEXT_LENGTH_MAX: usize = 320;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(list_trainings, add_training)).routes(routes!(get_training))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTraining {
    /// A UUID of your own: reported again under it, nothing is told twice.
    id: Option<String>,
    /// Who: `{"email": "…", "name": "…"}`, or the mail address alone.
    user: GivenUser,
    /// What: `{"name": "…", "id": "…"}`, or the name alone.
    training: GivenLesson,
    /// Points; may exceed 100.
    score: i64,
    started_at: Timestamp,
    completed_at: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum GivenUser {
    Email(String),
    Whole(UserView),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum GivenLesson {
    Name(String),
    Whole(LessonView),
}

/// Who completed a lesson.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrainingUser)]
struct UserView {
    /// Mail address.
    email: String,
    name: Option<String>,
}

/// A lesson.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Lesson)]
struct LessonView {
    name: String,
    /// The vendor's own.
    id: Option<String>,
}

/// A lesson that somebody completed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Training)]
struct TrainingView {
    id: String,
    user: UserView,
    training: LessonView,
    score: i64,
    started_at: Timestamp,
    completed_at: Timestamp,
    created_at: Timestamp,
}

impl From<Training> for TrainingView {
    fn from(training: Training) -> Self {
        Self {
            id: training.id.to_string(),
            user: UserView { email: training.user.email, name: training.user.name },
            training: LessonView { name: training.lesson.name, id: training.lesson.id },
            score: training.score,
            started_at: training.started_at,
            completed_at: training.completed_at,
            created_at: training.created_at,
        }
    }
}

impl NewTraining {
    fn read(self, org_id: OrgId, now: Timestamp, making: &Making) -> Result<Training> {
        let id = match self.id {
            None => TrainingId::make(now, &*making.entropy),
            Some(text) => text.parse().map_err(|error| Problem::payload("/id", format!("{error}")))?,
        };
        let user = match self.user {
            GivenUser::Email(email) => User { email, name: None },
            GivenUser::Whole(user) => User { email: user.email, name: user.name },
        };
        let lesson = match self.training {
            GivenLesson::Name(name) => Lesson { name, id: None },
            GivenLesson::Whole(lesson) => Lesson { name: lesson.name, id: lesson.id },
        };
        check("/user/email", Some(&user.email))?;
        check("/user/name", user.name.as_deref())?;
        check("/training/name", Some(&lesson.name))?;
        check("/training/id", lesson.id.as_deref())?;
        if self.started_at < Timestamp::UNIX_EPOCH {
            return Err(Problem::payload("/started_at", "a time before 1970"));
        }
        if self.completed_at < self.started_at {
            return Err(Problem::payload("/completed_at", "a lesson ends after its beginning"));
        }
        let (started_at, completed_at) = (whole(self.started_at), whole(self.completed_at));
        Ok(Training { id, org_id, user, lesson, score: self.score, started_at, completed_at, created_at: now })
    }
}

/// As it will come back from the store.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

fn check(pointer: &str, text: Option<&str>) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    let length = text.chars().count();
    match (1..=TEXT_LENGTH_MAX).contains(&length) && !text.trim().is_empty() && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(Problem::payload(pointer, "wanted are 1 to 320 characters on one line")),
    }
}

/// Report a completed lesson; `training.completed` follows. Answers 200 when it was reported before under the same id.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/trainings", tag = "trainings", request_body = NewTraining,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = TrainingView), (status = 200, body = TrainingView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn add_training(
    tenant: Tenant<right::EventsWrite>,
    State(trainings): State<Arc<dyn TrainingStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<Response> {
    let write = bodies.json(request, bodies.limits.other_bytes_max).await?;
    let now = making.clock.now();
    let training = write.parse::<NewTraining>()?.read(tenant.org, now, &making)?;
    let told = Acceptance {
        org_id: tenant.org,
        events: vec![training.event(EventId::make(now, &*making.entropy))],
        accepted_at: now,
        delivery_ids: delivery_ids(&*making.entropy),
    };
    let fresh = answer(StatusCode::CREATED, &TrainingView::from(training.clone()));
    let written = trainings.add_training(training.clone(), told, write.once.with(&fresh)).await?;
    match written {
        Written::Fresh(known) if known != training => {
            finish(Written::Fresh(()), answer(StatusCode::OK, &TrainingView::from(known)))
        }
        written @ (Written::Fresh(_) | Written::Repeated(_) | Written::KeyReused) => finish(written, fresh),
    }
}

/// The organisation's completed lessons.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/trainings", tag = "trainings",
    params(("org" = String, Path, description = "Id or slug"), PageQuery),
    responses((status = 200, body = List<TrainingView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_trainings(
    tenant: Tenant<right::EventsRead>,
    State(trainings): State<Arc<dyn TrainingStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<axum::Json<List<TrainingView>>> {
    let scope = format!("{}/trainings", tenant.org);
    let found = trainings.trainings(tenant.org, cursors.page(&scope, &query)?).await?;
    Ok(axum::Json(cursors.list(&scope, found, |training| training.id.0, TrainingView::from)))
}

/// One completed lesson.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/trainings/{id}", tag = "trainings",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = TrainingView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_training(
    tenant: Tenant<right::EventsRead>,
    IdIn(id): IdIn<TrainingId>,
    State(trainings): State<Arc<dyn TrainingStore>>,
) -> Result<axum::Json<TrainingView>> {
    let found = trainings.training(tenant.org, id).await?;
    Ok(axum::Json(found.ok_or(Problem::NotFound)?.into()))
}
