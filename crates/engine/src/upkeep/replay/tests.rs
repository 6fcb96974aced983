use std::num::NonZeroU32;
use std::sync::Mutex;

use futures_util::FutureExt;
use jiff::Timestamp;
use watchbell_domain::audit::Deed;
use watchbell_domain::id::{DeliveryId, EndpointId};
use watchbell_domain::port::testing::{ManualClock, SeededEntropy};
use watchbell_domain::port::{
    Advanced, Matched, Page, PageRequest, Pending, ReplayFilter, ReplayProgress, Terms, Written,
};

use super::*;

/// Jobs that make whatever a step may, until they have made `total`.
struct Jobs {
    jobs: Mutex<Vec<(ReplayJob, u64)>>,
    steps: Mutex<Vec<(ReplayId, u32)>>,
    failures: Mutex<u32>,
}

fn answer<'a, T: Send + 'a>(value: Result<T, StoreError>) -> Pending<'a, T> {
    Box::pin(std::future::ready(value))
}

impl ReplayStore for Jobs {
    fn match_replay(&self, _: OrgId, _: ReplayFilter, _: Option<DeliveryId>, _: u32, _: u32) -> Pending<'_, Matched> {
        unreachable!("the loop counts nothing")
    }

    fn create_replay(&self, _: ReplayJob, _: Terms) -> Pending<'_, Written<()>> {
        unreachable!("the loop makes no jobs")
    }

    fn replay_job(&self, _: OrgId, _: ReplayId) -> Pending<'_, Option<ReplayJob>> {
        unreachable!("the loop shows no jobs")
    }

    fn replay_jobs(&self, _: OrgId, _: PageRequest) -> Pending<'_, Page<ReplayJob>> {
        unreachable!("the loop lists no jobs")
    }

    fn running_replays(&self) -> Pending<'_, Vec<ReplayJob>> {
        let jobs = self.jobs.lock().unwrap();
        let running = jobs.iter().map(|(job, _)| job).filter(|job| job.state == ReplayState::Running);
        answer(Ok(running.cloned().collect()))
    }

    fn advance_replay(&self, step: ReplayStep) -> Pending<'_, Option<Advanced>> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return answer(Err(StoreError::Full));
        }
        let mut jobs = self.jobs.lock().unwrap();
        let Some((job, total)) = jobs.iter_mut().find(|(job, _)| job.id == step.id) else { return answer(Ok(None)) };
        let made = (*total - job.progress.made).min(u64::from(step.made));
        job.progress.made += made;
        self.steps.lock().unwrap().push((step.id, u32::try_from(made).unwrap()));
        if job.progress.made == *total {
            job.state = ReplayState::Finished { at: step.now };
        }
        answer(Ok(Some(Advanced { job: job.clone(), endpoints: vec![EndpointId(uuid::Uuid::nil())] })))
    }

    fn cancel_replay(&self, _: OrgId, _: ReplayId, _: Timestamp, _: Option<Deed>) -> Pending<'_, Option<ReplayJob>> {
        unreachable!("the loop cancels nothing")
    }
}

fn job(number: u8, per_second: u32) -> ReplayJob {
    let filter = ReplayFilter {
        endpoint_id: None,
        state: None,
        reason: None,
        event_type: None,
        since: None,
        until: Timestamp::UNIX_EPOCH,
    };
    ReplayJob {
        id: ReplayId(uuid::Uuid::from_bytes([number; 16])),
        org_id: OrgId(uuid::Uuid::from_bytes([number; 16])),
        filter,
        limit: None,
        per_second: NonZeroU32::new(per_second).unwrap(),
        matched: None,
        created_at: Timestamp::UNIX_EPOCH,
        state: ReplayState::Running,
        progress: ReplayProgress::default(),
    }
}

/// Runs the loop for some seconds on a clock that jumps from one thing to do to the next.
fn run(jobs: Vec<(ReplayJob, u64)>, failures: u32, seconds: i64) -> Jobs {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let store = Jobs { jobs: Mutex::new(jobs), steps: Mutex::default(), failures: Mutex::new(failures) };
    let store = Arc::new(store);
    let (wake, _woken) = Handle::channel();
    let parts = Parts {
        store: Arc::clone(&store) as _,
        wake,
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(1)),
    };
    let service = Service::new(Options::default(), parts);
    let mut running = Box::pin(service.run(CancellationToken::new()));
    while clock.monotonic() < SignedDuration::from_secs(seconds) {
        assert_eq!(running.as_mut().now_or_never(), None);
        clock.advance(clock.next_wake().unwrap());
    }
    drop(running);
    Arc::into_inner(store).unwrap()
}

fn made(jobs: &Jobs) -> Vec<u64> {
    jobs.jobs.lock().unwrap().iter().map(|(job, _)| job.progress.made).collect()
}

#[test]
fn a_job_is_as_fast_as_it_was_told() {
    for (per_second, seconds) in [(1, 10), (20, 10), (500, 4), (1000, 4)] {
        let jobs = run(vec![(job(1, per_second), u64::MAX)], 0, seconds);
        let expected = u64::from(per_second) * u64::try_from(seconds).unwrap();
        let made = made(&jobs)[0];
        assert!((expected..=expected + 50).contains(&made), "{per_second}/s for {seconds} s made {made}");
        assert!(jobs.steps.lock().unwrap().iter().all(|(_, made)| *made <= 50));
    }
}

#[test]
fn a_small_job_does_not_wait_for_a_large_one() {
    let jobs = run(vec![(job(1, 1000), 100_000), (job(2, 100), 30)], 0, 1);
    assert_eq!(made(&jobs)[1], 30);
    let position = jobs.steps.lock().unwrap().iter().position(|(id, _)| *id == job(2, 1).id);
    assert!(position.is_some_and(|position| position <= 1), "its turn comes at once");
}

#[test]
fn a_step_that_failed_is_made_again_and_a_finished_job_is_not_asked_again() {
    let jobs = run(vec![(job(1, 100), 25)], 2, 10);
    assert_eq!(made(&jobs), [25]);
    assert_eq!(jobs.steps.lock().unwrap().iter().map(|(_, made)| *made).collect::<Vec<_>>(), [10, 10, 5]);
}
