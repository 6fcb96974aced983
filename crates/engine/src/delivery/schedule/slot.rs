//! What the schedule knows of one endpoint: what it holds, and what it may do now.

use jiff::Timestamp;
use watchbell_domain::endpoint::Order;
use watchbell_domain::id::OrgId;

use super::super::breaker::Breaker;
use super::super::bucket::Bucket;
use super::LINES_PER_WINDOW;

/// What is held for an endpoint, an organisation, or all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Asked for.
    pub(super) claiming: u32,
    /// Claimed, not begun.
    pub(super) line: u32,
    pub(super) in_flight: u32,
}

impl Held {
    pub(super) const fn waiting(self) -> u32 {
        self.claiming + self.line
    }
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) org: OrgId,
    pub(super) held: Held,
    /// When the store has something due; `None`: nothing that we know of.
    pub(super) due: Option<Timestamp>,
    /// `None`: not known yet, and 1 until it is.
    pub(super) window: Option<u32>,
    pub(super) order: Order,
    /// Most that go out as one, where deliveries gather for that.
    pub(super) gathers: Option<u32>,
    /// How many of those in line and in flight were tried before.
    pub(super) retries: u32,
    /// Half of an odd window is rounded up and down in turn.
    rounds_up: bool,
    /// Outcomes that the store has not answered for yet.
    pub(super) unwritten: u32,
    pub(super) bucket: Option<Bucket>,
    pub(super) breaker: Breaker,
    /// Nothing is begun before this.
    pub(super) rests_until: Timestamp,
    /// The latest attempt went well: it is worth claiming ahead.
    pub(super) is_well: bool,
    pub(super) used_at: Timestamp,
    pub(super) is_hungry: bool,
    /// It is hungry, and there is no room for more in its organisation's line.
    pub(super) is_parked: bool,
    /// A digest has begun, and it is not known yet how many of the line go with it.
    pub(super) is_boarding: bool,
    pub(super) is_ready: bool,
    pub(super) later: Option<Timestamp>,
}

impl Slot {
    pub(super) fn new(org: OrgId, now: Timestamp) -> Self {
        Self {
            org,
            held: Held::default(),
            due: None,
            window: None,
            order: Order::Any,
            gathers: None,
            retries: 0,
            rounds_up: false,
            unwritten: 0,
            bucket: None,
            breaker: Breaker::default(),
            rests_until: Timestamp::MIN,
            is_well: false,
            used_at: now,
            is_hungry: false,
            is_parked: false,
            is_boarding: false,
            is_ready: false,
            later: None,
        }
    }

    fn window(&self) -> u32 {
        self.breaker.window(self.window.unwrap_or(1))
    }

    pub(super) fn rests_until(&self) -> Timestamp {
        self.rests_until.max(self.breaker.rests_until())
    }

    /// How many more may be claimed: its window, and a few times as many ahead while all goes well, as far as its rate
    /// lets them begin soon.
    pub(super) fn reach(&self, now: Timestamp) -> u32 {
        // The store says which is next in order, once it knows what became of the one before.
        if self.order == Order::Endpoint && self.unwritten > 0 {
            return 0;
        }
        if let Some(most) = self.gathers {
            // One digest is got ready at a time, whole; a token of the rate is for all of it.
            let has_room = self.held.in_flight < self.window();
            return if has_room { most.saturating_sub(self.held.waiting()) } else { 0 };
        }
        let is_ahead = self.is_well && self.order == Order::Any;
        let ahead = if is_ahead { self.window().saturating_mul(LINES_PER_WINDOW - 1) } else { 0 };
        let window = self.window().saturating_add(ahead).saturating_sub(self.held.waiting() + self.held.in_flight);
        let soon = self.bucket.map(|bucket| bucket.tokens(now).saturating_add(bucket.limit().per_second.get()));
        soon.map_or(window, |soon| window.min(soon.saturating_sub(self.held.waiting())))
    }

    /// How many retries may be claimed while first attempts wait: as many as half the window has free.
    pub(super) fn retries_free(&mut self) -> u32 {
        if self.gathers.is_some() {
            // First attempts and retries go out together.
            return u32::MAX;
        }
        self.rounds_up = !self.rounds_up;
        self.window().saturating_add(self.rounds_up.into()).div_euclid(2).saturating_sub(self.retries)
    }

    pub(super) fn wants(&self, now: Timestamp) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now) && self.rests_until() <= now;
        is_due && self.held.claiming == 0 && self.reach(now) > 0
    }

    fn has_next(&self, now: Timestamp) -> bool {
        self.held.line > 0 && self.held.in_flight < self.window() && !self.is_boarding && !self.fills(now)
    }

    /// Whether a digest stands in line that more is on its way to. Where there is no room for more it goes as it is.
    fn fills(&self, now: Timestamp) -> bool {
        let is_short = self.gathers.is_some_and(|most| self.held.line < most);
        is_short && (self.held.claiming > 0 || (self.wants(now) && !self.is_parked))
    }

    pub(super) fn may_start(&self, now: Timestamp) -> bool {
        self.has_next(now) && self.starts_at(now) <= now
    }

    /// When the next in line may begin.
    fn starts_at(&self, now: Timestamp) -> Timestamp {
        let token = self.bucket.map_or(Timestamp::MIN, |bucket| bucket.next_at(now));
        self.rests_until().max(token)
    }

    /// When something changes for it by itself.
    pub(super) fn wakes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let may_claim = self.held.claiming == 0 && self.reach(now) > 0;
        let due = self.due.map(|due| due.max(self.rests_until())).filter(|_| may_claim);
        let line = self.has_next(now).then(|| self.starts_at(now));
        [due, line].into_iter().flatten().filter(|at| *at > now).min()
    }
}
